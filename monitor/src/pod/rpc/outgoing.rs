//! Messages into a stream, whole or not at all, and not waiting for ever.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use capnp::Word;
use capnp::message::{Allocator, Builder};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use wire::{BorrowedFd, Errno};

/// Bytes that are copied together so that they leave in one piece.
const ONE_PIECE: usize = 64 * 1024;

/// The sending half of a connection, for several threads.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    stream: BorrowedFd<'a>,
    /// How long the other side may read nothing.
    patience: Duration,
    /// Cleared by what ends the connection: half a message may be out there.
    open: Mutex<bool>,
}

impl<'a> Outgoing<'a> {
    /// Gives the connection up when the other side reads nothing for
    /// `patience`.
    pub(crate) fn new(stream: BorrowedFd<'a>, patience: Duration) -> Outgoing<'a> {
        Outgoing { stream, patience, open: Mutex::new(true) }
    }

    /// Sends a message. When that fails, the connection is shut down, so that
    /// the reading half finds its end, and nothing is sent any more.
    pub(crate) fn message<A: Allocator>(&self, message: &Builder<A>) {
        self.segments(&message.get_segments_for_output());
    }

    /// Sends a message of one segment.
    pub(crate) fn words(&self, words: &[Word]) {
        self.segments(&[Word::words_to_bytes(words)]);
    }

    /// Sends a last message; nothing is sent after it.
    pub(crate) fn last<A: Allocator>(&self, message: &Builder<A>) {
        self.message(message);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *open) {
            self.close();
        }
    }

    fn segments(&self, segments: &[&[u8]]) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if *open && self.write_all(segments).is_err() {
            *open = false;
            self.close();
        }
    }

    /// What is small leaves in one piece; what is large is not copied for that.
    fn write_all(&self, segments: &[&[u8]]) -> Result<(), Errno> {
        let mut bytes = head(segments);
        for segment in segments {
            if bytes.len() + segment.len() > ONE_PIECE {
                self.write(&bytes)?;
                bytes.clear();
                self.write(segment)?;
            } else {
                bytes.extend_from_slice(segment);
            }
        }
        self.write(&bytes)
    }

    fn close(&self) {
        // Fails only when the other side is gone already.
        let _ = shutdown(self.stream, Shutdown::Both);
    }

    fn write(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match send(self.stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::AGAIN) => self.wait()?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait(&self) -> Result<(), Errno> {
        let mut watched = [PollFd::new(&self.stream, PollFlags::OUT)];
        match poll(&mut watched, Some(&timespec(self.patience))) {
            Ok(0) => Err(Errno::TIMEDOUT),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The head of a message: the count of its segments less one, their lengths in
/// words, and nothing up to a whole word.
fn head(segments: &[&[u8]]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let mut head = length(segments.len().saturating_sub(1)).to_le_bytes().to_vec();
    for segment in segments {
        head.extend_from_slice(&length(segment.len() / size_of::<Word>()).to_le_bytes());
    }
    head.resize(head.len().next_multiple_of(size_of::<Word>()), 0);
    head
}

/// For poll(2).
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::time::Instant;
    use wire::AsFd;

    #[test]
    fn a_reader_that_does_not_read_is_given_up() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let outgoing = Outgoing::new(theirs.as_fd(), Duration::from_millis(50));
        let words = vec![capnp::word(1, 2, 3, 4, 5, 6, 7, 8); 1 << 20];
        let begun = Instant::now();
        outgoing.words(&words);
        assert!(begun.elapsed() >= Duration::from_millis(50));
        // The reading half of the connection finds its end, and nothing is tried again.
        assert_eq!(rustix::io::read(&theirs, &mut [0u8; 8]), Ok(0));
        let begun = Instant::now();
        outgoing.words(&words);
        assert!(begun.elapsed() < Duration::from_millis(50));
        drop(ours);
    }
}
