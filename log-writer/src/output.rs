//! One chunk of output on its way from a pipe to the log and to the clients.

use crate::PROGRAM;
use crate::fan_out::BOTH;
use crate::held::Held;
use crate::role::{Role, SMALL, Token};
use crate::sinks::Piece;
use crate::source::Moved;
use crate::stamp;
use crate::stream::{CHUNK, USUAL};
use wire::event::{EventFlags, Events, now_ms};
use wire::message::Stream as Which;
use wire::{AsFd, BorrowedFd, Errno, Key, Message};

/// Milliseconds between two looks at a terminal that nobody has open.
const RETRY: u64 = 100;

/// A terminal that gives that many bytes at once may have more (its buffer is
/// of 4096).
const PIECE: usize = 2048;

/// Most pieces taken from a terminal before they are logged: half of what a
/// pipe has room for, as each may take two of its 16 slots.
const PIECES: usize = 8;

impl Role {
    /// Takes one chunk of a stream as far as it goes.
    pub(crate) fn pump(&mut self, at: Key, which: Which) {
        self.fill(at, which);
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let unused =
            container.files.is_none() && container.journal.is_none() && container.clients == 0;
        let Some(stream) = container.stream(which) else {
            return;
        };
        if stream.owed() > 0 {
            return;
        }
        if stream.held.most() > 0 {
            return self.pump_held(at, which);
        }
        let pipe = stream.pipe.as_fd();
        let got = if unused {
            self.peek.discard(pipe, usize::MAX >> 1)
        } else {
            self.peek.look(pipe, 0, 0, self.tables.space.input(CHUNK))
        };
        match got {
            Ok(0) => self.end_of_output(at, which),
            Ok(len) if unused => self.taken = self.taken.saturating_add(len),
            Ok(len) => self.take(at, which, len),
            Err(Errno::AGAIN) => {}
            Err(error) => {
                wire::error!(PROGRAM, "cannot read output: {error}");
                self.end_of_output(at, which);
            }
        }
    }

    /// Logs and sends the first `len` bytes of the input buffer, which stand
    /// behind what is already logged of the stream: after what is held back of
    /// it, they are new.
    pub(crate) fn take(&mut self, at: Key, which: Which, len: usize) {
        let now = stamp::now();
        self.taken_at = now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000);
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let held = container.held(which);
        let record = container.record.as_fd();
        let space = &mut self.tables.space;
        let piece = Piece { len, stream: which, now, held, hold: true };
        let filed = container.files.write(record, space, &piece);
        let mut keep = Held { journal: 0, json: filed.kept };
        if let Some(entries) = &mut container.journal {
            let chunk = space.input(len).get(held.most() - held.journal..).unwrap_or(&[]);
            keep.journal = entries.write(&mut self.journal, record, which, chunk, true);
        }
        container.save_untold();
        let new = len.saturating_sub(held.most());
        let clients = container.clients;
        let Some(stream) = container.stream(which) else {
            return;
        };
        let begin = stream.owed();
        stream.logged += new;
        stream.held = keep;
        // Writes of other sizes than pages fill a pipe with fewer bytes.
        if len > USUAL / 2 && stream.make_room() {
            self.peek.make_room();
        }
        if filed.renewed {
            self.tell_log(at);
        }
        // Clients want their output now.
        self.taken += if clients > 0 { SMALL } else { new };
        if clients > 0 {
            self.offer(at, which, begin, len);
        }
        self.settle(at, which);
        self.mind_held(at, which);
    }

    /// Moves what a terminal has into the stream's pipe, unless that waits for
    /// an owner.
    fn fill(&mut self, at: Key, which: Which) {
        let container = self.tables.containers.get_mut(at);
        let stream = container.and_then(|container| container.stream(which));
        let Some(stream) = stream.filter(|stream| stream.owed() == 0) else {
            return;
        };
        let Some(source) = &mut stream.source else {
            return;
        };
        // A terminal gives what it has in pieces; one write to the log is
        // cheaper than many.
        let mut moved = source.advance();
        for _ in 1..PIECES {
            if !matches!(moved, Moved::Bytes(PIECE..)) {
                break;
            }
            moved = source.advance();
        }
        match moved {
            Moved::Bytes(_) | Moved::Nothing | Moved::Full => {}
            Moved::Hung => {
                if self.retry == 0 {
                    self.retry = now_ms() + RETRY;
                }
            }
            Moved::Ended => {
                if source.watched {
                    self.events.remove(&source.fd);
                }
                // The pipe has no writer left now, and ends when it is empty.
                stream.source = None;
            }
        }
        self.watch(at, which, true);
    }

    /// Looks at the terminals that nobody had open.
    pub(crate) fn retry_sources(&mut self) {
        self.retry = 0;
        let mut from = 0;
        while let Some(at) = self.tables.containers.next_key(from) {
            from = at.slot() + 1;
            for which in BOTH {
                let container = self.tables.containers.get_mut(at);
                let stream = container.and_then(|container| container.stream(which));
                let source = stream.and_then(|stream| stream.source.as_ref());
                if source.is_some_and(|source| source.hung) {
                    self.pump(at, which);
                }
            }
        }
    }

    /// The container has closed a stream and all of it is taken care of.
    pub(crate) fn end_of_output(&mut self, at: Key, which: Which) {
        self.close(at, which);
        if let Some(container) = self.tables.containers.get(at) {
            let eof = Message::Eof { container: container.name, stream: which };
            self.tell(&eof, &[]);
        }
    }

    /// Watches a stream (and the terminal behind it), or stops that.
    pub(crate) fn watch(&mut self, at: Key, which: Which, on: bool) {
        let container = self.tables.containers.get_mut(at);
        let Some(stream) = container.and_then(|container| container.stream(which)) else {
            return;
        };
        let edge = stream.held.most() > 0;
        if stream.watched && stream.edge != edge {
            set_watch(&self.events, stream.pipe.as_fd(), Token::Link, false, &mut stream.watched);
        }
        stream.edge = edge;
        let token = Token::Stream(at, which);
        if edge && on && !stream.watched {
            let flags = EventFlags::IN | EventFlags::ET;
            stream.watched = self.events.add(&stream.pipe, token.into(), flags).is_ok();
        } else {
            set_watch(&self.events, stream.pipe.as_fd(), token, on, &mut stream.watched);
        }
        if let Some(source) = &mut stream.source {
            let token = Token::Source(at, which);
            let on = on && !source.hung;
            set_watch(&self.events, source.fd.as_fd(), token, on, &mut source.watched);
        }
    }

    /// Lets go of a stream.
    pub(crate) fn close(&mut self, at: Key, which: Which) {
        self.watch(at, which, false);
        if let Some(container) = self.tables.containers.get_mut(at) {
            *container.slot(which) = None;
        }
    }
}

/// Puts `fd` into the event loop or takes it out; `watched` says what it is.
fn set_watch(events: &Events, fd: BorrowedFd<'_>, token: Token, on: bool, watched: &mut bool) {
    if on && !*watched {
        *watched = events.add(fd, token.into(), EventFlags::IN).is_ok();
    } else if !on && *watched {
        events.remove(fd);
        *watched = false;
    }
}
