//! Several descriptors as one: they lie in the queue of a socket that nobody
//! empties. Whoever holds that socket holds them all, and can have duplicates.

use crate::link::{self, Fds};
use crate::{AsFd, BorrowedFd, Errno, OwnedFd};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};

/// Ties duplicates of at most [`link::MAX_FDS`] descriptors together. Closing
/// the result closes them. Errors: socketpair(2), sendmsg(2).
pub fn tie(fds: &[BorrowedFd<'_>]) -> Result<OwnedFd, Errno> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    let (bundle, entrance) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
    link::send(entrance.as_fd(), b"fds", fds)?;
    Ok(bundle)
}

/// Duplicates of what is in a bundle, close-on-exec and in the order in which
/// they were tied; the bundle stays as it is. Errors: recvmsg(2).
pub fn open(bundle: impl AsFd) -> Result<Fds, Errno> {
    let mut packet = [0; 8];
    link::receive(bundle.as_fd(), &mut packet, RecvFlags::PEEK).map(|(_, fds)| fds)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, fstat};

    fn null() -> OwnedFd {
        rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty()).unwrap()
    }

    #[test]
    fn what_was_tied_can_be_had_again_and_again() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let null = null();
        let number = |fd: BorrowedFd<'_>| fstat(fd).unwrap().st_ino;
        let bundle = tie(&[read.as_fd(), null.as_fd()]).unwrap();
        drop(read);
        for _ in 0..3 {
            let fds = open(&bundle).unwrap();
            let got: Vec<_> = fds.iter().map(|fd| number(fd.as_fd())).collect();
            assert_eq!(got, [number(write.as_fd()), number(null.as_fd())]);
        }
        // The pipe is closed with the last of its readers.
        assert!(rustix::io::write(&write, b"x").is_ok());
        drop(bundle);
        assert_eq!(rustix::io::write(&write, b"x"), Err(Errno::PIPE));
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        assert_eq!(open(null()).err(), Some(Errno::NOTSOCK));
    }
}
