//! The `k8s-file` log: `STAMP STREAM TAG CONTENT\n`, where TAG is `F` for a
//! line that ended and `P` for a part of one.
//!
//! Lines are split chunk by chunk and never joined: a chunk that ends in the
//! middle of a line gives a `P` record, the rest of the line a new one. All
//! records of a chunk have the same stamp.

use super::buffer::Buffer;
use super::trouble::{Trouble, Wrote, reason};
use crate::PROGRAM;
use crate::rotation::{self, Reopened};
use crate::stamp::{self, Zone};
use rustix::fs::OFlags;
use rustix::time::Timespec;
use wire::message::Stream;
use wire::record::Tag;
use wire::{AsFd, BorrowedFd, Errno, OwnedFd, Record};

/// Bytes of a record before its content: stamp, ` stdout `, tag and blank.
const HEAD: usize = stamp::LEN + 10;

/// A log file of this form.
pub(crate) struct K8sFile {
    file: OwnedFd,
    /// Whether `file` is a regular file, which can be cut and replaced.
    regular: bool,
    /// Bytes the file may have before it is started anew.
    limit: u64,
    /// Bytes it has, those in the buffer included.
    size: u64,
    zone: Zone,
    /// What could not be written.
    trouble: Trouble,
    /// Starting it anew failed the last time, which has been reported.
    stuck: bool,
}

impl K8sFile {
    /// A log open as `file`, with the options in the container's record.
    pub(crate) fn new(file: OwnedFd, record: BorrowedFd<'_>) -> Self {
        let mut log = K8sFile {
            file,
            regular: false,
            limit: u64::MAX,
            size: 0,
            zone: Zone::new(),
            trouble: Trouble::new(),
            stuck: false,
        };
        log.measure();
        if let Ok(record) = Record::map(record)
            && let Some(limit) = record.fields().number(Tag::LogSizeMax)
            && limit > 0
        {
            log.limit = limit;
        }
        log
    }

    /// The file as it is at the moment.
    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Looks what the file is and how long.
    fn measure(&mut self) {
        let Ok(stat) = rustix::fs::fstat(&self.file) else {
            return;
        };
        self.regular = rotation::is_regular(&stat);
        self.size = if self.regular { stat.st_size as u64 } else { 0 };
        if !self.regular {
            // Nobody who reads a FIFO slowly may hold up a container.
            let _ = rustix::fs::fcntl_getfl(&self.file)
                .and_then(|flags| rustix::fs::fcntl_setfl(&self.file, flags | OFlags::NONBLOCK));
        }
    }

    /// Logs one chunk of output, read at `now`. The result says whether the
    /// log has become a new file on the way.
    pub(crate) fn write(
        &mut self,
        record: BorrowedFd<'_>,
        buffer: &mut Buffer<'_>,
        now: Timespec,
        stream: Stream,
        chunk: &[u8],
    ) -> bool {
        let stamp = self.zone.stamp(now, record);
        let full = head(&stamp, stream, b'F');
        let mut renewed = false;
        let mut rest = chunk;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let (line, more) =
                rest.split_at_checked(end.map_or(rest.len(), |at| at + 1)).unwrap_or((rest, &[]));
            rest = more;
            let len = (HEAD + line.len() + usize::from(end.is_none())) as u64;
            if self.size + len > self.limit && self.size > 0 && self.regular {
                self.flush(record, buffer, &stamp);
                renewed |= self.renew(record);
            }
            self.size += len;
            if end.is_some() {
                if !buffer.push(&full, line, b"") {
                    self.flush(record, buffer, &stamp);
                    buffer.push(&full, line, b"");
                }
            } else {
                let part = head(&stamp, stream, b'P');
                if !buffer.push(&part, line, b"\n") {
                    self.flush(record, buffer, &stamp);
                    buffer.push(&part, line, b"\n");
                }
            }
        }
        self.flush(record, buffer, &stamp);
        renewed
    }

    /// Writes the buffer to the file.
    fn flush(&mut self, record: BorrowedFd<'_>, buffer: &mut Buffer<'_>, stamp: &[u8; stamp::LEN]) {
        let records = buffer.filled();
        if !records.is_empty() {
            let notice = head(stamp, Stream::Stderr, b'F');
            let file = self.file.as_fd();
            match self.trouble.write(file, self.regular, &notice, records) {
                Wrote::Records => {}
                Wrote::Otherwise => self.measure(),
                Wrote::Dropped(why) => {
                    self.measure();
                    with_path(record, |path| {
                        let why = reason(why);
                        wire::error!(PROGRAM, "dropping log lines, cannot write {path}: {why}");
                    });
                }
            }
        }
        buffer.clear();
    }

    /// Starts the log anew by its name, because of its size or because
    /// somebody asked for it. The result says whether it is a new file now.
    /// If that fails, the old file stays the log.
    pub(crate) fn renew(&mut self, record: BorrowedFd<'_>) -> bool {
        // If it fails: not again before as many bytes as a log may have.
        self.size = 0;
        let done = Record::map(record).and_then(|record| {
            let path = record.fields().string(Tag::LogPath).ok_or(Errno::NOENT)?;
            rotation::reopen(path, self.file.as_fd())
        });
        if let Err(error) = done
            && !self.stuck
        {
            with_path(record, |path| {
                wire::error!(PROGRAM, "cannot reopen {path}, going on with the old log: {error}");
            });
        }
        self.stuck = done.is_err();
        match done {
            Ok(Reopened::New(file)) => {
                self.file = file;
                self.measure();
                true
            }
            Ok(Reopened::Emptied | Reopened::Same) | Err(_) => false,
        }
    }

    /// Ends the log: says what was dropped, if that is still untold.
    pub(crate) fn finish(&mut self, record: BorrowedFd<'_>, now: Timespec) {
        if self.trouble.is_untold() {
            let notice = head(&self.zone.stamp(now, record), Stream::Stderr, b'F');
            self.trouble.write(self.file.as_fd(), self.regular, &notice, &[]);
        }
    }

    /// Has everything written so far put on the disk.
    pub(crate) fn sync(&self, record: BorrowedFd<'_>) {
        match rustix::fs::fsync(&self.file) {
            // EINVAL, EROFS: this kind of file cannot be synced.
            Ok(()) | Err(Errno::INVAL | Errno::ROFS) => {}
            Err(error) => with_path(record, |path| {
                wire::error!(PROGRAM, "cannot sync {path} to disk: {error}");
            }),
        }
    }
}

/// Says something about the log of the container with this record.
#[cold]
fn with_path(record: BorrowedFd<'_>, say: impl FnOnce(&str)) {
    let record = Record::map(record);
    let fields = record.as_ref().map(|record| record.fields());
    let path = fields.ok().and_then(|fields| fields.string(Tag::LogPath));
    say(path.and_then(|path| path.to_str().ok()).unwrap_or("a log"));
}

/// What stands before the content of a record.
fn head(stamp: &[u8; stamp::LEN], stream: Stream, tag: u8) -> [u8; HEAD] {
    let name: &[u8; 8] = match stream {
        Stream::Stdout => b" stdout ",
        Stream::Stderr => b" stderr ",
    };
    let mut head = [b' '; HEAD];
    let parts = stamp.iter().chain(name).chain(core::iter::once(&tag));
    for (to, from) in head.iter_mut().zip(parts) {
        *to = *from;
    }
    head
}
