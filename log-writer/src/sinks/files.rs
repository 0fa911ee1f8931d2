//! The log files of a container: at most one of each form.

use super::buffer::Space;
use super::log_file::{Done, Form, LogFile};
use crate::PROGRAM;
use crate::held::Held;
use crate::repair::repair;
use crate::stamp::now;
use crate::untold::{self, Loss, Untold};
use rustix::time::Timespec;
use wire::message::Stream;
use wire::record::{Fields, Tag};
use wire::{AsFd, BorrowedFd, Errno, Fds, OwnedFd, Record, bundle};

/// The log files of a container.
#[derive(Default)]
pub(crate) struct Files {
    k8s: Option<LogFile>,
    json: Option<LogFile>,
}

/// A piece of output.
pub(crate) struct Piece {
    /// How many bytes.
    pub(crate) len: usize,
    /// Where from.
    pub(crate) stream: Stream,
    /// When it came.
    pub(crate) now: Timespec,
    /// As many of the first bytes as that says have been there before.
    pub(crate) held: Held,
    /// Whether an unfinished character at the end is left out of JSON: these
    /// bytes are `kept`.
    pub(crate) hold: bool,
}

impl Files {
    /// The files open as `log`, which the `fields` of the container's record describe.
    /// `untold` is what earlier log-writers dropped.
    pub(crate) fn open(log: OwnedFd, fields: Fields<'_>, untold: &Untold) -> Self {
        match try_open(log, fields, untold) {
            Ok(files) => files,
            Err(error) => {
                wire::error!(PROGRAM, "cannot open a container's logs: {error}");
                Files::default()
            }
        }
    }

    /// Whether there is none.
    pub(crate) fn is_none(&self) -> bool {
        self.k8s.is_none() && self.json.is_none()
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut LogFile> {
        [&mut self.k8s, &mut self.json].into_iter().flatten()
    }

    /// Repairs what an earlier log-writer, killed in the middle of a record,
    /// may have left. `space` is scratch memory.
    pub(crate) fn repair(&mut self, space: &mut Space) {
        for (form, log) in [(Form::K8s, &self.k8s), (Form::Json, &self.json)] {
            if let Some(log) = log {
                repair(log.file(), form, space.all());
            }
        }
    }

    /// Logs the piece of output that `space` begins with.
    pub(crate) fn write(
        &mut self,
        record: BorrowedFd<'_>,
        space: &mut Space,
        piece: &Piece,
    ) -> Done {
        let Piece { len, stream, now, held, hold } = *piece;
        if self.is_none() {
            return Done::default();
        }
        let (chunk, mut buffer) = space.split(len);
        let old = held.most();
        let mut done = Done { taken: len.saturating_sub(old), kept: 0, renewed: false };
        if let Some(log) = &mut self.k8s {
            let fresh = chunk.get(old..).unwrap_or(&[]);
            done = log.write(record, &mut buffer, now, stream, fresh, hold);
        }
        if let Some(log) = &mut self.json {
            // Two files end with the same line when they reach their limit.
            let end = old + done.taken;
            let fresh = chunk.get(old.saturating_sub(held.json)..end).unwrap_or(&[]);
            let json = log.write(record, &mut buffer, now, stream, fresh, hold);
            done.kept = json.kept;
            done.renewed |= json.renewed;
        }
        done
    }

    /// Starts all of them anew; whether one is a new file now. `space` is
    /// scratch memory.
    pub(crate) fn renew(&mut self, record: BorrowedFd<'_>, space: &mut Space) -> bool {
        self.iter_mut().fold(false, |renewed, log| log.renew(record, space.all()) | renewed)
    }

    /// Whether one of them could not be started anew the last time.
    pub(crate) fn is_stuck(&self) -> bool {
        [&self.k8s, &self.json].into_iter().flatten().any(LogFile::is_stuck)
    }

    /// Ends them: says what was dropped, puts everything on the disk.
    pub(crate) fn finish(&mut self, record: BorrowedFd<'_>) {
        if self.is_none() {
            return;
        }
        let mapped = Record::map(record);
        let sync = !mapped.is_ok_and(|record| record.fields().flag(Tag::NoSyncLog));
        for log in self.iter_mut() {
            log.finish(record, now(), sync);
        }
    }

    /// What was dropped from each and it does not say yet: k8s-file, json-file.
    pub(crate) fn untold(&self) -> (Loss, Loss) {
        let of = |log: &Option<LogFile>| log.as_ref().map_or(untold::NONE, LogFile::untold);
        (of(&self.k8s), of(&self.json))
    }

    /// Hands the descriptor that the hub is to keep to `give`.
    pub(crate) fn share(&self, give: impl FnOnce(BorrowedFd<'_>)) {
        match (&self.k8s, &self.json) {
            (Some(k8s), Some(json)) => match bundle::tie(&[k8s.file(), json.file()]) {
                Ok(both) => give(both.as_fd()),
                Err(error) => wire::error!(PROGRAM, "cannot hand on a new log file: {error}"),
            },
            (Some(log), None) | (None, Some(log)) => give(log.file()),
            (None, None) => {}
        }
    }
}

fn try_open(log: OwnedFd, fields: Fields<'_>, untold: &Untold) -> Result<Files, Errno> {
    let has = |form: Form| fields.string(form.tag()).is_some();
    let (has_k8s, has_json) = (has(Form::K8s), has(Form::Json));
    let fds = if has_k8s && has_json {
        bundle::open(log)?
    } else {
        let mut one = Fds::new();
        drop(one.push(log));
        one
    };
    let mut fds = fds.into_iter();
    let mut file = |form, wanted: bool, counts, untold| {
        let file = if wanted { fds.next() } else { None };
        file.map(|file| LogFile::new(form, file, fields, counts, untold))
    };
    let k8s = file(Form::K8s, has_k8s, true, untold.k8s);
    let json = file(Form::Json, has_json, !has_k8s, untold.json);
    Ok(Files { k8s, json })
}
