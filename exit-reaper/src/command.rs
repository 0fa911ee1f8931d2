//! The exit command: whatever the engine wants run when a container is gone.

use core::ffi::CStr;
use rustix::fd::IntoRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use wire::record::{Fields, Tag};
use wire::sys::{self, Environment, Mask, Strings};
use wire::{Errno, OwnedFd, in_place};

/// Most arguments of an exit command; `monitor` refuses more.
const MAX_ARGUMENTS: usize = 1024;
/// Most of a usual one. podman passes about thirty.
const USUAL_ARGUMENTS: usize = 60;

/// Starts it, with our environment and working directory, `/dev/null` for
/// standard input, output and error, and nothing else open. `alone`: there is no
/// other container to care for. `Ok(None)` when there is no such command.
pub(crate) fn start(
    fields: Fields<'_>,
    environment: Environment<'static>,
    alone: bool,
) -> Result<Option<Pid>, Errno> {
    let Some(path) = fields.string(Tag::ExitCommand) else {
        return Ok(None);
    };
    let mut child = || become_command(path, fields, environment);
    // A program on a file system that hangs must not keep us from the others.
    let start = if alone { in_place::start } else { in_place::start_apart };
    start(&mut child).map(Some)
}

/// In the child.
fn become_command(path: &CStr, fields: Fields<'_>, environment: Environment<'static>) -> i32 {
    let messages = prepare(fields);
    let error = match fields.strings(Tag::ExitCommandArg).count() {
        ..=USUAL_ARGUMENTS => exec::<{ USUAL_ARGUMENTS + 2 }>(path, fields, environment),
        _ => exec::<{ MAX_ARGUMENTS + 2 }>(path, fields, environment),
    };
    if let Ok(messages) = messages {
        let _ = sys::place_for_exec(&messages, 2);
    }
    let path = path.to_str().unwrap_or("?");
    wire::error!("exit-reaper", "cannot run the exit command {path}: {error}");
    1
}

/// With room for so many arguments, its name and the end included. Kept apart, because they may take pages of stack that
/// the hub would have to keep.
#[inline(never)]
fn exec<const ROOM: usize>(
    path: &CStr,
    fields: Fields<'_>,
    environment: Environment<'static>,
) -> Errno {
    let arguments = core::iter::once(path).chain(fields.strings(Tag::ExitCommandArg));
    let mut room = [core::ptr::null(); ROOM];
    match Strings::new(&mut room, arguments) {
        Some(arguments) => sys::exec(None, path, arguments, environment),
        None => Errno::TOOBIG,
    }
}

/// Gives the child what a fresh program may expect. The result is where messages
/// went until then, if there is a descriptor for that; after other failures they
/// still go there.
fn prepare(fields: Fields<'_>) -> Result<OwnedFd, Errno> {
    sys::block_only(Mask::default())?;
    if let Some(score) = fields.string(Tag::OomScoreAdj) {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(c"/proc/self/oom_score_adj", flags, Mode::empty()) {
            let _ = rustix::io::write(&file, score.to_bytes());
        }
    }
    let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    let messages = rustix::io::fcntl_dupfd_cloexec(sys::stderr(), 3);
    for number in 0..3 {
        sys::place_for_exec(&null, number)?;
    }
    // It may be one of the three itself, and is not to be closed then.
    let _ = null.into_raw_fd();
    messages
}
