//! A container's entries in systemd's journal: one per line, with the newline.
//!
//! `MESSAGE` has its length before it; `PRIORITY` is 6 for standard output, 3
//! for standard error, or what the line begins with (`<0>` to `<7>`, taken
//! away); the fields that are the same for all come from the record. A part of
//! a line has `CONTAINER_PARTIAL_MESSAGE=true`.

use super::entry::{Journal, Patience};
use crate::PROGRAM;
use crate::untold::Loss;
use core::fmt::Write;
use rustix::io::IoSlice;
use wire::message::Stream;
use wire::record::{Fields, Tag};
use wire::{BorrowedFd, Errno, Record};

/// Most bytes of a line that are held back until the line ends; as conmon.
pub(crate) const HELD: usize = 8191;

/// Most bytes in one entry. Longer lines are parts. Readers of the journal may
/// cut a field at 64 kB (sd_journal_set_data_threshold(3)); conmon's entries
/// are about as long as this at most.
pub(crate) const PART: usize = 16_384;

/// Priority of what we say ourselves: warning (syslog(3)).
const NOTICE: u8 = b'4';

/// Where a stream is in its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// At its beginning.
    Start,
    /// After parts that have been sent with this priority.
    Within(u8),
    /// After a part that was dropped: the rest is, too.
    Lost,
}

/// What is to be remembered between two chunks of a container.
pub(crate) struct Entries {
    /// Parts of lines are marked.
    marks: bool,
    stdout: Place,
    stderr: Place,
    /// Lines dropped since the last time the journal was told, and why the
    /// first of them was.
    untold: Loss,
    /// The last entry met an error that has been reported.
    failing: bool,
}

/// One chunk on its way to the journal.
struct Chunk<'a> {
    journal: &'a mut Journal,
    /// The fields that all entries have.
    fields: &'a [u8],
    patience: Patience,
    /// There is no journald.
    absent: bool,
}

impl Entries {
    /// For the container with these fields in its record. `None` if it is not for the journal.
    /// `untold` is what earlier log-writers dropped.
    pub(crate) fn new(fields: Fields<'_>, untold: Loss) -> Option<Self> {
        fields.all(Tag::Journal).next()?;
        Some(Entries {
            marks: !fields.flag(Tag::JournalUnmarked),
            stdout: Place::Start,
            stderr: Place::Start,
            untold,
            failing: false,
        })
    }

    /// What was dropped and the journal does not say yet.
    pub(crate) fn untold(&self) -> Loss {
        self.untold
    }

    /// Sends the lines of a chunk. With `hold`, an unfinished last line that
    /// is not too long is left out; the result is how many bytes that is.
    /// They have to come again, before what follows.
    pub(crate) fn write(
        &mut self,
        journal: &mut Journal,
        record: BorrowedFd<'_>,
        stream: Stream,
        chunk: &[u8],
        hold: bool,
    ) -> usize {
        let Ok(record) = Record::map(record) else {
            return 0;
        };
        let fields = record.fields().all(Tag::Journal).next().unwrap_or(&[]);
        let mut way = Chunk { journal, fields, patience: Patience::default(), absent: false };
        let mut rest = chunk;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            if end.is_none() && hold && rest.len() <= HELD {
                return rest.len();
            }
            let (line, more) =
                rest.split_at_checked(end.map_or(rest.len(), |at| at + 1)).unwrap_or((rest, &[]));
            rest = more;
            self.line(&mut way, stream, line, end.is_some());
        }
        0
    }

    /// Says what was dropped, if that is still untold.
    pub(crate) fn finish(&mut self, journal: &mut Journal, record: BorrowedFd<'_>) {
        if self.untold.lines > 0
            && let Ok(record) = Record::map(record)
        {
            let fields = record.fields().all(Tag::Journal).next().unwrap_or(&[]);
            let patience = Patience::default();
            let _ = self.tell_dropped(&mut Chunk { journal, fields, patience, absent: false });
        }
    }

    /// Sends a line, or a part that has not `ended`.
    fn line(&mut self, way: &mut Chunk<'_>, stream: Stream, line: &[u8], ended: bool) {
        let place = match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        let next = match place {
            Place::Start => {
                let (priority, text) = priority(stream, line);
                self.parts(way, priority, text, ended)
            }
            Place::Within(priority) => self.parts(way, priority, line, ended),
            Place::Lost => Place::Lost,
        };
        let next = if ended { Place::Start } else { next };
        match stream {
            Stream::Stdout => self.stdout = next,
            Stream::Stderr => self.stderr = next,
        }
    }

    /// Sends a line in as many parts as it takes; where that leads.
    fn parts(&mut self, way: &mut Chunk<'_>, priority: u8, text: &[u8], ended: bool) -> Place {
        let mut parts = text.chunks(PART).peekable();
        while let Some(part) = parts.next() {
            let whole = ended && parts.peek().is_none();
            if !self.send(way, priority, part, !whole) {
                return Place::Lost;
            }
        }
        Place::Within(priority)
    }

    /// Sends an entry. `false`: it was dropped.
    fn send(&mut self, way: &mut Chunk<'_>, priority: u8, text: &[u8], part: bool) -> bool {
        let mut sent = Err(Errno::CONNREFUSED);
        if !way.absent {
            sent = if self.untold.lines > 0 { self.tell_dropped(way) } else { Ok(()) };
            sent = sent.and_then(|()| way.send(priority, text, part && self.marks));
        }
        match sent {
            Ok(()) => self.failing = false,
            // Without journald there is no log, and nobody is to hear of it.
            Err(Errno::NOENT | Errno::CONNREFUSED) => way.absent = true,
            Err(error) => {
                if self.untold.lines == 0 {
                    self.untold.why = error;
                }
                self.untold.lines = self.untold.lines.saturating_add(1);
                if !self.failing {
                    self.failing = true;
                    let why = reason(error);
                    wire::error!(PROGRAM, "dropping log lines, cannot write to the journal: {why}");
                }
            }
        }
        sent.is_ok()
    }

    /// Sends an entry that says what was dropped.
    #[cold]
    fn tell_dropped(&mut self, way: &mut Chunk<'_>) -> Result<(), Errno> {
        let mut text = heapless::String::<96>::new();
        let (dropped, why) = (self.untold.lines, reason(self.untold.why));
        let _ = writeln!(text, "[conmote: {dropped} log lines dropped: {why}]");
        way.send(NOTICE, text.as_bytes(), false)?;
        self.untold.lines = 0;
        Ok(())
    }
}

impl Chunk<'_> {
    fn send(&mut self, priority: u8, text: &[u8], mark: bool) -> Result<(), Errno> {
        let len = (text.len() as u64).to_le_bytes();
        let priority = [priority];
        let mark: &[u8] = if mark { b"CONTAINER_PARTIAL_MESSAGE=true\n" } else { b"" };
        let entry = [
            IoSlice::new(b"MESSAGE\n"),
            IoSlice::new(&len),
            IoSlice::new(text),
            IoSlice::new(b"\nPRIORITY="),
            IoSlice::new(&priority),
            IoSlice::new(b"\n"),
            IoSlice::new(self.fields),
            IoSlice::new(mark),
        ];
        self.journal.send(&entry, &mut self.patience)
    }
}

/// The priority of a line, and what is left of it.
fn priority(stream: Stream, line: &[u8]) -> (u8, &[u8]) {
    match line {
        [b'<', priority @ b'0'..=b'7', b'>', text @ ..] => (*priority, text),
        _ if stream == Stream::Stdout => (b'6', line),
        _ => (b'3', line),
    }
}

/// What an error means to whoever reads it.
fn reason(error: Errno) -> &'static str {
    match error {
        Errno::AGAIN | Errno::NOBUFS => "journald is too slow",
        Errno::ACCESS | Errno::PERM => "permission denied",
        Errno::NOMEM => "out of memory",
        _ => "its socket does not work",
    }
}
