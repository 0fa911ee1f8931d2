//! Messages out of a stream: the standard framing of Cap'n Proto, which is a
//! count of segments, their lengths in words, and then the segments.

use capnp::Word;
use capnp::message::{Reader, ReaderOptions};
use capnp::serialize::BufferSegments;
use rustix::net::{RecvFlags, recv};
use wire::{AsFd, Errno};

/// Bytes per word.
const WORD: usize = 8;

/// Segments that a message may have; Cap'n Proto's own readers draw the line
/// here, too.
const SEGMENTS: usize = 511;

/// Bytes that memory grows by, at least, while a message comes in. It also at
/// most doubles: a claim of gigabytes costs its sender the bytes.
const GROWTH: usize = 16 * 1024;

/// How deep a message may be nested: ours are about ten deep.
const NESTING: i32 = 64;

/// The words that may be visited on top of twice a message's own: pointers may
/// lead to one place many times, and this bounds what a reader makes of it.
const TRAVERSAL: usize = 1024;

/// A whole message, framing included.
#[derive(Debug)]
pub(crate) struct Frame {
    words: Vec<Word>,
}

impl Frame {
    /// Bytes on the wire.
    pub(crate) fn size(&self) -> usize {
        self.words.len() * WORD
    }

    /// To look into it.
    ///
    /// # Errors
    /// Says what is wrong with the framing.
    pub(crate) fn reader(&self) -> capnp::Result<Reader<BufferSegments<&[u8]>>> {
        let options = ReaderOptions {
            traversal_limit_in_words: Some(2 * self.words.len() + TRAVERSAL),
            nesting_limit: NESTING,
        };
        let segments = BufferSegments::new(Word::words_to_bytes(&self.words), options)?;
        Ok(Reader::new(segments, options))
    }
}

/// What one look at the stream brought.
#[derive(Debug)]
pub(crate) enum Progress {
    /// A whole message; there may be more.
    Frame(Frame),
    /// A part of one; there may be more.
    Part,
    /// Nothing there now.
    Nothing,
    /// The stream has ended, between two messages or within one.
    End,
}

/// The part of a message that has come in. It never holds bytes of the next
/// one: what is not read stays in the socket, for whoever reads there then.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Room for what is read next; the first `filled` bytes are there.
    words: Vec<Word>,
    filled: usize,
    /// Bytes until more is known: one word, the head, or the whole.
    wanted: usize,
    /// Bytes that a message may have.
    limit: usize,
}

impl Incoming {
    /// For messages of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Incoming {
        Incoming { words: Vec::new(), filled: 0, wanted: WORD, limit }
    }

    /// Whether a message has begun, and not ended.
    pub(crate) fn half_read(&self) -> bool {
        self.filled > 0
    }

    /// Reads once, without waiting.
    ///
    /// # Errors
    /// One line that says why this is no message for us.
    pub(crate) fn read(&mut self, stream: impl AsFd) -> Result<Progress, String> {
        let room = self.wanted.min(GROWTH.max(2 * self.filled).next_multiple_of(WORD));
        self.words.resize(room / WORD, capnp::word(0, 0, 0, 0, 0, 0, 0, 0));
        let room = Word::words_to_bytes_mut(&mut self.words).get_mut(self.filled..);
        match recv(stream, room.unwrap_or_default(), RecvFlags::DONTWAIT) {
            Ok((0, _)) | Err(Errno::CONNRESET) => return Ok(Progress::End),
            Ok((count, _)) => self.filled += count,
            Err(Errno::AGAIN) => return Ok(Progress::Nothing),
            Err(Errno::INTR) => return Ok(Progress::Part),
            Err(error) => return Err(format!("cannot read from the client: {error}")),
        }
        // Each round knows more: the count, the lengths, all.
        while self.filled == self.wanted {
            let wanted = self.wanted()?;
            if wanted == self.wanted {
                return Ok(Progress::Frame(self.take()));
            }
            self.wanted = wanted;
        }
        Ok(Progress::Part)
    }

    fn take(&mut self) -> Frame {
        let words = std::mem::take(&mut self.words);
        *self = Incoming::new(self.limit);
        Frame { words }
    }

    /// Bytes of the head or, when all of the head is there, of the message.
    fn wanted(&self) -> Result<usize, String> {
        let bytes = Word::words_to_bytes(&self.words);
        let mut numbers = bytes
            .get(..self.filled)
            .unwrap_or_default()
            .as_chunks()
            .0
            .iter()
            .map(|bytes| u32::from_le_bytes(*bytes) as usize);
        let segments = numbers.next().unwrap_or(0).saturating_add(1);
        if segments > SEGMENTS {
            return Err(format!("a message of {segments} segments, {SEGMENTS} are allowed"));
        }
        let head = (4 + 4 * segments).next_multiple_of(WORD);
        if self.filled < head {
            return Ok(head);
        }
        // At most 511 lengths below 2³² words each: no overflow.
        let body: u64 = numbers.take(segments).map(|words| words as u64 * WORD as u64).sum();
        let total = body.saturating_add(head as u64);
        if total > self.limit as u64 {
            return Err(format!("a message of {total} bytes, {} are allowed", self.limit));
        }
        Ok(total as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};

    /// A message that claims to be large costs no more than what came of it.
    #[test]
    fn memory_grows_with_the_bytes_not_with_the_claim() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let mut head = 0u32.to_le_bytes().to_vec();
        head.extend((1u32 << 26).to_le_bytes());
        send(&ours, &head, SendFlags::empty()).unwrap();
        let mut incoming = Incoming::new(usize::MAX);
        let mut sent = head.len();
        for _ in 0..20 {
            while matches!(incoming.read(&theirs), Ok(Progress::Part)) {}
            assert_eq!(incoming.filled, sent);
            assert!(incoming.words.capacity() * WORD <= 4 * GROWTH.max(sent));
            sent += send(&ours, &[1; 20_000], SendFlags::empty()).unwrap();
        }
        assert!(incoming.half_read());
    }

    #[test]
    fn nothing_of_the_next_message_is_read() {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        // Two segments of one word and of none, and the same again.
        let message = [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7];
        send(&ours, &message.repeat(2), SendFlags::empty()).unwrap();
        let mut incoming = Incoming::new(100);
        for left in [true, false] {
            let frame = loop {
                match incoming.read(&theirs).unwrap() {
                    Progress::Frame(frame) => break frame,
                    other => assert!(matches!(other, Progress::Part)),
                }
            };
            assert_eq!(Word::words_to_bytes(&frame.words), message);
            assert!(!incoming.half_read());
            let rest = rustix::io::ioctl_fionread(&theirs).unwrap();
            assert_eq!(rest, if left { 24 } else { 0 });
        }
        assert!(matches!(incoming.read(&theirs), Ok(Progress::Nothing)));
        drop(ours);
        assert!(matches!(incoming.read(&theirs), Ok(Progress::End)));
    }
}
