//! Descriptors this process was started with.
//!
//! Engines leak descriptors in on purpose (reserved ports, `--preserve-fds`):
//! the runtime gets them at their numbers, and they stay open until just
//! before the exit files appear. Three are for us, named by `_OCI_*`.

use std::env;
use std::fs;
use std::mem::MaybeUninit;

use rustix::io::IoSlice;
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

/// The numbers of all descriptors above stderr that are open now. Call it
/// before anything else is opened.
pub fn list() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // The directory being read is in the list, too, but closed afterwards.
    let numbers: Vec<i32> = numbers.filter(|number| *number > 2).collect();
    numbers.into_iter().filter(|number| is_open(*number)).collect()
}

fn is_open(number: i32) -> bool {
    fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()
}

/// Takes over the descriptor that an environment variable names, and makes it
/// close-on-exec. An unset or empty variable is no descriptor.
///
/// # Errors
/// Says which variable is wrong and why.
pub fn from_environment(name: &str) -> Result<Option<OwnedFd>, String> {
    let Some(value) = env::var_os(name) else { return Ok(None) };
    if value.is_empty() {
        return Ok(None);
    }
    let number: i32 = value
        .to_str()
        .and_then(|text| text.trim_start().parse().ok())
        .ok_or_else(|| format!("unable to parse {name} {}", value.display()))?;
    match wire::sys::take_inherited(number) {
        Ok(fd) => Ok(Some(fd)),
        Err(error) => Err(format!("unable to make {name} CLOEXEC {}", text(error))),
    }
}

/// Most descriptors beside one message (unix(7), SCM_MAX_FD).
const MAX_RIGHTS: usize = 253;

/// Puts descriptors into the queue of a socket that nobody reads: they stay
/// open until the one that is returned is closed, and cost the hub nothing.
///
/// # Errors
/// Those of socketpair(2) and sendmsg(2).
pub fn stash(fds: &[OwnedFd]) -> Result<OwnedFd, Errno> {
    use rustix::net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
        SocketType, sendmsg, socketpair,
    };
    let flags = SocketFlags::CLOEXEC;
    let (queue, entrance) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    for some in fds.chunks(MAX_RIGHTS) {
        let some: Vec<BorrowedFd<'_>> = some.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_RIGHTS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&some)) {
            return Err(Errno::TOOBIG);
        }
        sendmsg(&entrance, &[IoSlice::new(b"fds")], &mut control, SendFlags::DONTWAIT)?;
    }
    Ok(queue)
}

/// The system's words for an error number.
pub fn text(error: Errno) -> String {
    let error = std::io::Error::from_raw_os_error(error.raw_os_error());
    crate::conmon::strerror::strerror(&error)
}
