//! A log in a file: its limits, and starting it anew. What records look like
//! is the business of its [`Form`].

use super::buffer::Buffer;
use super::trouble::{Trouble, Wrote, reason};
use super::{json_file, k8s_file};
use crate::place::{Place, Why};
use crate::repair::repair;
use crate::rotation::{self, Reopened};
use crate::stamp::{self, Zone};
use crate::untold::Loss;
use crate::{PROGRAM, stamp::Stamp};
use rustix::fs::{OFlags, SeekFrom};
use rustix::time::Timespec;
use wire::message::Stream;
use wire::record::{Fields, Tag};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd, Record};

/// What the records of a log look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// See [`k8s_file`].
    K8s,
    /// See [`json_file`].
    Json,
}

impl Form {
    /// The field of a container's record with the path of such a log.
    pub(crate) fn tag(self) -> Tag {
        match self {
            Form::K8s => Tag::LogPath,
            Form::Json => Tag::JsonPath,
        }
    }

    /// Whether `line` is a record, or the beginning of one.
    pub(crate) fn begins(self, line: &[u8]) -> bool {
        match self {
            Form::K8s => k8s_file::begins(line),
            Form::Json => json_file::begins(line),
        }
    }
}

/// A log file.
pub(crate) struct LogFile {
    form: Form,
    file: OwnedFd,
    /// Whether `file` is a regular file, which can be cut and replaced.
    regular: bool,
    /// Bytes the file may have before it is started anew.
    limit: u64,
    /// Bytes it has, those in the buffer included.
    size: u64,
    /// Bytes that may be logged at all.
    global_limit: u64,
    /// Bytes logged so far, in this file and its predecessors. Counted only if
    /// there is such a limit; the record's offset is what lasts.
    total: u64,
    zone: Zone,
    /// What could not be written.
    trouble: Trouble,
    /// Starting it anew failed the last time, which has been reported.
    stuck: bool,
}

/// One chunk of output on its way to a log file.
pub(super) struct Way<'a, 'b> {
    pub(super) record: BorrowedFd<'a>,
    pub(super) buffer: &'a mut Buffer<'b>,
    pub(super) stamp: Stamp,
    pub(super) stream: Stream,
    renewed: bool,
}

/// What became of a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Done {
    /// Bytes at its beginning that were logged.
    pub(crate) taken: usize,
    /// Bytes after those that have to come again, before what follows. What
    /// is left then is over the limit.
    pub(crate) kept: usize,
    /// The log has become a new file on the way.
    pub(crate) renewed: bool,
}

impl LogFile {
    /// A log open as `file`, with the options in the container's record.
    /// `counts`: it is the one that the limit on all that is logged is about.
    /// `untold` is what earlier log-writers dropped.
    pub(crate) fn new(
        form: Form,
        file: OwnedFd,
        fields: Fields<'_>,
        counts: bool,
        untold: Loss,
    ) -> Self {
        let mut log = LogFile {
            form,
            file,
            regular: false,
            limit: u64::MAX,
            size: 0,
            global_limit: u64::MAX,
            total: 0,
            zone: Zone::new(),
            trouble: Trouble::new(untold),
            stuck: false,
        };
        log.measure();
        let limit = |tag| fields.number(tag).filter(|limit| *limit > 0);
        log.limit = limit(Tag::LogSizeMax).unwrap_or(u64::MAX);
        if counts {
            log.global_limit = limit(Tag::LogGlobalMax).unwrap_or(u64::MAX);
        }
        log
    }

    /// What was dropped and the log does not say yet.
    pub(crate) fn untold(&self) -> Loss {
        self.trouble.untold()
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

    fn stamp(&mut self, record: BorrowedFd<'_>, now: Timespec) -> Stamp {
        match self.form {
            Form::K8s => self.zone.stamp(now, record),
            Form::Json => stamp::format(now, 0),
        }
    }

    /// Logs one chunk of output, read at `now`. With `hold`, an unfinished
    /// character at its end may be left out.
    pub(crate) fn write(
        &mut self,
        record: BorrowedFd<'_>,
        buffer: &mut Buffer<'_>,
        now: Timespec,
        stream: Stream,
        chunk: &[u8],
        hold: bool,
    ) -> Done {
        if chunk.is_empty() {
            return Done::default();
        }
        let limited = self.global_limit < u64::MAX;
        if limited {
            self.total = rustix::fs::tell(record).unwrap_or(self.total);
        }
        let stamp = self.stamp(record, now);
        let mut way = Way { record, buffer, stamp, stream, renewed: false };
        let (taken, kept) = match self.form {
            Form::K8s => (k8s_file::log(self, &mut way, chunk), 0),
            Form::Json => json_file::log(self, &mut way, chunk, hold),
        };
        self.flush(&mut way);
        if limited {
            // After the records: killed in between, they are counted once.
            let _ = rustix::fs::seek(record, SeekFrom::Start(self.total));
        }
        Done { taken, kept, renewed: way.renewed }
    }

    /// Whether nothing more is to be logged, ever.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.total >= self.global_limit
    }

    /// Whether a record of that many bytes is one too many for this file.
    #[inline]
    pub(super) fn is_over(&self, len: usize) -> bool {
        self.size + len as u64 > self.limit && self.size > 0 && self.regular
    }

    /// Counts a record of that many bytes.
    #[inline]
    pub(super) fn count(&mut self, len: usize) {
        self.size += len as u64;
        self.total = self.total.saturating_add(len as u64);
    }

    /// Writes what is in the buffer, and starts a new file for what follows.
    #[cold]
    pub(super) fn turn_over(&mut self, way: &mut Way<'_, '_>) {
        self.flush(way);
        way.renewed |= self.renew(way.record, way.buffer.spare());
    }

    /// Writes the buffer to the file.
    pub(super) fn flush(&mut self, way: &mut Way<'_, '_>) {
        let records = way.buffer.filled();
        if !records.is_empty() {
            let file = self.file.as_fd();
            match self.trouble.write(file, self.regular, self.form, &way.stamp, records) {
                Wrote::Records => {}
                Wrote::Otherwise => self.measure(),
                Wrote::Dropped(why) => {
                    self.measure();
                    with_path(way.record, self.form, |path| {
                        let why = reason(why);
                        wire::error!(PROGRAM, "dropping log lines, cannot write {path}: {why}");
                    });
                }
            }
        }
        way.buffer.clear();
    }

    /// Starts the log anew by its name, because of its size or because
    /// somebody asked for it. The result says whether it is a new file now.
    /// If that fails, the old file stays the log. `space` is scratch memory.
    pub(crate) fn renew(&mut self, record: BorrowedFd<'_>, space: &mut [u8]) -> bool {
        // If it fails: not again before as many bytes as a log may have.
        self.size = 0;
        let done = Record::map(record).and_then(|record| {
            let fields = record.fields();
            let place = Place::find(fields, self.form.tag())?;
            let backups = fields.number(Tag::LogBackups).unwrap_or(0);
            rotation::reopen(&place, self.file.as_fd(), backups)
        });
        if let Err(error) = done
            && !self.stuck
        {
            with_path(record, self.form, |path| {
                let why = Why(error);
                wire::error!(PROGRAM, "cannot reopen {path}, going on with the old log: {why}");
            });
        }
        self.stuck = done.is_err();
        match done {
            Ok(Reopened::New(file)) => {
                self.file = file;
                // A log-writer that was killed after it had started this file,
                // and before the hub knew, may have left it in a record.
                repair(self.file.as_fd(), self.form, space);
                self.measure();
                true
            }
            Ok(Reopened::Emptied | Reopened::Same) | Err(_) => false,
        }
    }

    /// Whether the last attempt to start it anew failed.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Ends the log: says what was dropped, if that is still untold, and has
    /// everything put on the disk.
    pub(crate) fn finish(&mut self, record: BorrowedFd<'_>, now: Timespec, sync: bool) {
        if self.untold().lines > 0 {
            let stamp = self.stamp(record, now);
            self.trouble.write(self.file.as_fd(), self.regular, self.form, &stamp, &[]);
        }
        if !sync {
            return;
        }
        match rustix::fs::fsync(&self.file) {
            // EINVAL, EROFS: this kind of file cannot be synced.
            Ok(()) | Err(Errno::INVAL | Errno::ROFS) => {}
            Err(error) => with_path(record, self.form, |path| {
                wire::error!(PROGRAM, "cannot sync {path} to disk: {error}");
            }),
        }
    }
}

/// Says something about such a log of the container with this record.
#[cold]
fn with_path(record: BorrowedFd<'_>, form: Form, say: impl FnOnce(&str)) {
    let record = Record::map(record);
    let fields = record.as_ref().map(|record| record.fields());
    let path = fields.ok().and_then(|fields| fields.string(form.tag()));
    say(path.and_then(|path| path.to_str().ok()).unwrap_or("a log"));
}
