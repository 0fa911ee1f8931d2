//! Descriptors this process was started with.
//!
//! Engines leak descriptors in on purpose (reserved ports, `--preserve-fds`):
//! the runtime gets them at their numbers, and they stay open until just
//! before the exit files appear. Three are for us, named by `_OCI_*`.

use std::env;
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::fs::MetadataExt;

use rustix::io::IoSlice;
use wire::{AsFd, BorrowedFd, Errno, OwnedFd, sys};

/// The numbers of all descriptors above stderr that are open now. Call it
/// before anything else is opened.
pub fn list() -> Vec<i32> {
    let mut numbers = among_the_first().unwrap_or_else(from_directory);
    numbers.retain(|number| *number > 2);
    numbers
}

/// The open ones if all of them are among the first few: as many as the size
/// of the directory says (Linux 6.2 and later; before, that is 0).
fn among_the_first() -> Option<Vec<i32>> {
    let count = usize::try_from(fs::metadata("/proc/self/fd").ok()?.size()).ok()?;
    let open: Vec<i32> = (0..64).filter(|number| sys::is_open(*number)).take(count).collect();
    (count > 0 && open.len() == count).then_some(open)
}

fn from_directory() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // The directory being read is in the list, too, but closed afterwards.
    let numbers: Vec<i32> = numbers.collect();
    numbers.into_iter().filter(|number| sys::is_open(*number)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsRawFd;
    use rustix::fs::{Mode, OFlags, open};

    #[test]
    fn open_descriptors_are_listed_wherever_they_are() {
        // Other tests open and close theirs meanwhile.
        let low = open("/dev/null", OFlags::RDONLY, Mode::empty()).unwrap();
        assert!(list().contains(&low.as_raw_fd()));
        assert!(from_directory().contains(&low.as_raw_fd()));
        let high = rustix::io::fcntl_dupfd_cloexec(&low, 500).unwrap();
        let listed = list();
        assert!(listed.contains(&low.as_raw_fd()) && listed.contains(&high.as_raw_fd()));
        assert!(listed.iter().all(|number| *number > 2));
    }
}
