//! Answers to an engine, which may not be reading just now.

use crate::{AsFd, Errno};
use rustix::event::{PollFd, PollFlags, Timespec};

/// How long an engine may leave its end of a pipe full, in seconds. Whoever
/// has not read for so long will not read the answer either.
const PATIENCE_S: i64 = 30;

/// Writes all of it, one message in one write(2) where there is room for it.
/// Sleeps while there is none, whether or not `fd` blocks.
///
/// # Errors
/// [`Errno::TIMEDOUT`] when there is no room for half a minute; else those of
/// write(2).
pub fn answer(fd: impl AsFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let patience = Timespec { tv_sec: PATIENCE_S, tv_nsec: 0 };
        let mut polled = [PollFd::new(&fd, PollFlags::OUT)];
        match rustix::event::poll(&mut polled, Some(&patience)) {
            Ok(0) => return Err(Errno::TIMEDOUT),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        }
        match rustix::io::write(&fd, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
