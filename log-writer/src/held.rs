//! What some log is to get whole: the beginning of a line for the journal, that
//! of a character for JSON. It stays at the head of its pipe until the rest is
//! there, so that it is not lost with this process. A pipe with nothing else
//! in it is watched for news only.
//!
//! There may be news without an event: a writer that waits in the middle of one
//! write(2) fills whatever room it gets, and the kernel wakes readers only if
//! the pipe was empty. So there are looks without events, soon after output was
//! taken and ever more rarely afterwards.

use crate::container::Life;
use crate::fan_out::BOTH;
use crate::fd_path;
use crate::role::Role;
use crate::sinks::Piece;
use crate::source::ready;
use crate::stamp;
use crate::stream::{CHUNK, Stream};
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use wire::event::now_ms;
use wire::message::Stream as Which;
use wire::{AsFd, Key};

/// Most milliseconds between two looks without an event. Later than after the
/// first few it is about a writer that was stopped in between.
const RAREST: u64 = 1000;

/// How many bytes at the end of what is logged are held back for whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    /// The beginning of a line for the journal.
    pub(crate) journal: usize,
    /// The beginning of a character for the json-file log: at most 3.
    pub(crate) json: usize,
}

impl Held {
    /// How many bytes of output have to stay.
    pub(crate) fn most(self) -> usize {
        self.journal.max(self.json)
    }
}

impl Role {
    /// As [`pump`](Self::pump), for a stream with something held back, and
    /// nothing else at the head of its pipe.
    pub(crate) fn pump_held(&mut self, at: Key, which: Which) {
        let container = self.tables.containers.get_mut(at);
        let Some(stream) = container.and_then(|container| container.stream(which)) else {
            return;
        };
        let held = stream.held.most();
        if stream.filled() <= held {
            if ready(stream.pipe.as_fd(), PollFlags::HUP) {
                self.flush_held(at, which);
                return self.end_of_output(at, which);
            }
            return self.mind_held(at, which);
        }
        match self.peek.look(stream.pipe.as_fd(), 0, held, self.tables.space.input(CHUNK)) {
            Ok(len) if len > held => self.take(at, which, len),
            // It cannot be seen as one piece.
            Ok(_) | Err(_) => self.flush_held(at, which),
        }
    }

    /// Sees to it that more can come after what is held back, and that it will
    /// be noticed.
    pub(crate) fn mind_held(&mut self, at: Key, which: Which) {
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let running = container.life == Life::Running;
        let Some(stream) = container.stream(which) else {
            return;
        };
        if !running || stream.held.most() == 0 || stream.owed() > 0 {
            return;
        }
        // If it has no room, nobody adds to it: what is in it then, is all.
        let more = stream.filled() > stream.held.most();
        let full = !more && !has_room(stream);
        if more || (full && stream.filled() > stream.held.most()) {
            // That was there already: no news of it will come.
            self.watch(at, which, false);
            self.watch(at, which, true);
        } else if full {
            self.flush_held(at, which);
        } else {
            self.look_after = 1;
            self.look = now_ms() + 1;
        }
    }

    /// Looks at the pipes with something held back, if it is time to.
    pub(crate) fn look_at_held(&mut self) {
        if self.look == u64::MAX || now_ms() < self.look {
            return;
        }
        self.look = u64::MAX;
        let after = self.look_after.saturating_mul(2).min(RAREST);
        let mut waits = false;
        let mut from = 0;
        while let Some(at) = self.tables.containers.next_key(from) {
            from = at.slot() + 1;
            for which in BOTH {
                let container = self.tables.containers.get_mut(at);
                let stream = container.and_then(|container| container.stream(which));
                let Some(stream) = stream.filter(|stream| stream.held.most() > 0) else {
                    continue;
                };
                if stream.filled() > stream.held.most() {
                    self.pump(at, which);
                } else {
                    waits = true;
                }
            }
        }
        if waits && self.look == u64::MAX {
            self.look_after = after;
            self.look = now_ms() + after;
        }
    }

    /// Nothing has come for long: no process stays for the rest of a character.
    pub(crate) fn give_up_characters(&mut self) {
        let mut from = 0;
        while let Some(at) = self.tables.containers.next_key(from) {
            from = at.slot() + 1;
            for which in BOTH {
                let container = self.tables.containers.get(at);
                if container.is_some_and(|container| container.held(which).journal == 0) {
                    self.flush_held(at, which);
                }
            }
        }
    }

    /// Logs what is held back, as the part that it is.
    pub(crate) fn flush_held(&mut self, at: Key, which: Which) {
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let held = container.held(which);
        let most = held.most();
        if most == 0 {
            return;
        }
        let Some(stream) = container.stream(which) else {
            return;
        };
        let skip = stream.owed();
        stream.held = Held::default();
        let space = &mut self.tables.space;
        let got = self.peek.look(stream.pipe.as_fd(), skip, most - 1, space.input(most));
        let mut renewed = false;
        if got == Ok(most) {
            let (now, record) = (stamp::now(), container.record.as_fd());
            let piece = Piece { len: most, stream: which, now, held, hold: false };
            renewed = container.files.write(record, space, &piece).renewed;
            if held.journal > 0
                && let Some(entries) = &mut container.journal
            {
                let part = space.input(most).get(most - held.journal..).unwrap_or(&[]);
                entries.write(&mut self.journal, record, which, part, false);
            }
        }
        container.save_untold();
        if renewed {
            self.tell_log(at);
        }
        self.settle(at, which);
    }
}

/// Whether anything fits into a stream's pipe. Small pieces may take a slot
/// each (pipe(7)): a few bytes can fill it.
fn has_room(stream: &Stream) -> bool {
    if let Some(source) = &stream.source {
        // A key pressed is a slot: this is how much somebody can type.
        return source.has_room() || (source.enlarge_stage().is_ok() && source.has_room());
    }
    // Only a write end can tell.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    fd_path::with(stream.pipe.as_fd(), |path| rustix::fs::open(path, flags, Mode::empty()))
        .is_ok_and(|end| ready(end.as_fd(), PollFlags::OUT))
}
