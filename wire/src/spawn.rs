//! Starting our programs, each at the other end of a [`Link`].

use crate::sys::{self, Environment, Mask, SIGPIPE, Strings};
use crate::{BorrowedFd, Errno, Link, in_place};
use core::ffi::CStr;
use rustix::fd::RawFd;
use rustix::process::Pid;

/// Exit status of a process that could not become one of our programs.
const CANNOT_START: i32 = 111;

/// Starts a role with this name. A write to a closed pipe is an error to it, not
/// its end. Otherwise as [`spawn`].
pub fn spawn_role(
    program: BorrowedFd<'_>,
    name: &CStr,
    environment: Environment<'_>,
    withheld: &[RawFd],
) -> Result<(Link, Pid), Errno> {
    spawn(program, &[name], Mask::of(&[SIGPIPE]), environment, withheld)
}

/// Starts a program with these names (at most two), the first of which is its
/// own, and these signals blocked. Its standard input is its end of the link; it
/// does not get the descriptors `withheld`. If it cannot be executed it says so
/// itself, and the link closes.
///
/// # Errors
/// Those of socketpair(2) and clone(2).
pub fn spawn(
    program: BorrowedFd<'_>,
    names: &[&CStr],
    blocked: Mask,
    environment: Environment<'_>,
    withheld: &[RawFd],
) -> Result<(Link, Pid), Errno> {
    let (link, theirs) = Link::pair()?;
    let pid = in_place::start(&mut || {
        for number in withheld {
            sys::close_inherited(*number);
        }
        let _ = sys::block_only(blocked);
        let placed = sys::place_for_exec(&theirs, 0);
        let name = names.first().map_or("?", |name| name.to_str().unwrap_or("?"));
        let mut room = [core::ptr::null(); 3];
        if let (Ok(()), Some(names)) = (placed, Strings::new(&mut room, names.iter().copied())) {
            let error = sys::exec(Some(program), c"", names, environment);
            crate::error!(name, "cannot be executed: {error}");
        }
        CANNOT_START
    })?;
    Ok((link, pid))
}
