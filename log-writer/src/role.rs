//! The loop: waits for the hub, for output, for clients with room, and for
//! nothing to be left to do.

use crate::client::Client;
use crate::container::{Container, Life};
use crate::fan_out::BOTH;
use crate::sinks::{Journal, Space};
use crate::stream::{Peek, Stream};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::event::{EventFlags, Events, Ready, concerns, now_ms};
use wire::key::Slots;
use wire::message::Stream as Which;
use wire::{AsFd, BorrowedFd, Errno, Key, Link, Message};

/// Milliseconds without any event after which the role goes. A container that
/// prints once a second keeps its log-writer, and the start of a new one (about
/// a millisecond) is rare.
const QUIET: u64 = 3000;

/// The same for one that was started before there was anything to do, and has
/// been told nothing yet: a runtime that executes a command takes less.
const UNTOLD: u64 = QUIET / 3;

/// Less output than that in one round (bytes) is hardly worth the round.
pub(crate) const SMALL: usize = 4096;

/// Pause after a small round that follows another at once, in nanoseconds. A
/// container that prints line by line, without pause, fills some kilobytes in
/// that time and does not fill its pipe; nobody who reads a log notices it.
const PAUSE: i64 = 150_000;

/// Most containers of one hub.
const CONTAINERS: usize = 1024;

/// Most clients of one hub.
const CLIENTS: usize = 4096;

/// Everything large. Pages that are never used are never resident.
pub(crate) struct Tables {
    pub(crate) containers: Slots<Container, CONTAINERS>,
    pub(crate) clients: Slots<Client, CLIENTS>,
    /// Output as it was read and as it is logged.
    pub(crate) space: Space,
}

impl Tables {
    /// Empty ones; all zero, so that they cost nothing in the program file.
    pub(crate) const fn new() -> Self {
        Tables { containers: Slots::new(), clients: Slots::new(), space: Space::new() }
    }
}

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    /// The hub has sent something.
    Link,
    /// A stream's pipe has something.
    Stream(Key, Which),
    /// A terminal has something.
    Source(Key, Which),
    /// A client has room.
    Client(Key),
}

impl From<Token> for u64 {
    fn from(token: Token) -> u64 {
        let (kind, key) = match token {
            Token::Link => (0, Key(0)),
            Token::Stream(key, which) => (which as u64, key),
            Token::Source(key, which) => (which as u64 + 2, key),
            Token::Client(key) => (1, key),
        };
        kind << 32 | u64::from(key.0)
    }
}

impl Token {
    fn from_u64(token: u64) -> Token {
        let key = Key(token as u32);
        match token >> 32 {
            1 => Token::Client(key),
            2 => Token::Stream(key, Which::Stdout),
            3 => Token::Stream(key, Which::Stderr),
            4 => Token::Source(key, Which::Stdout),
            5 => Token::Source(key, Which::Stderr),
            _ => Token::Link,
        }
    }
}

/// The role.
pub(crate) struct Role {
    pub(crate) link: Link,
    pub(crate) events: Events,
    pub(crate) peek: Peek,
    pub(crate) journal: Journal,
    pub(crate) tables: &'static mut Tables,
    /// Messages received so far, those that could not be read included.
    pub(crate) seen: u32,
    /// Milliseconds ([`now_ms`]) of the last event, unless it has just been.
    active: u64,
    /// When to look at terminals that nobody has open; 0: there are none.
    pub(crate) retry: u64,
    /// Milliseconds without any event after which the role goes.
    pub(crate) quiet: u64,
    /// Bytes of output taken in this round; at least [`SMALL`] if a client got
    /// any.
    pub(crate) taken: usize,
    /// When to look for observers to be dropped, in ms; `MAX`: never.
    pub(crate) overdue: u64,
    /// When to look for news that the kernel does not report, in ms; `MAX`:
    /// never. See [`crate::held`].
    pub(crate) look: u64,
    /// Milliseconds until the look after that.
    pub(crate) look_after: u64,
    /// When the last of that was taken, in ms since the epoch.
    pub(crate) taken_at: i64,
    /// That of the last small round.
    small: i64,
}

impl Role {
    /// A role without containers. Fails when the system refuses what it needs.
    pub(crate) fn new(link: Link, tables: &'static mut Tables) -> Result<Self, Errno> {
        let events = Events::new()?;
        events.add(&link, Token::Link.into(), EventFlags::IN)?;
        Ok(Role {
            link,
            events,
            peek: Peek::new()?,
            journal: Journal::new(),
            tables,
            seen: 0,
            active: 0,
            retry: 0,
            quiet: QUIET,
            taken: 0,
            taken_at: 0,
            small: 0,
            overdue: u64::MAX,
            look: u64::MAX,
            look_after: 0,
        })
    }

    /// Works until the hub closes the link and nobody is owed anything.
    pub(crate) fn run(&mut self) {
        let mut ready = heapless::Vec::new();
        // Most often the first messages of the hub are there already.
        if !self.obey() {
            return self.end();
        }
        let mut busy = true;
        loop {
            let (timeout, enough) = self.patience(busy);
            if self.events.wait(Some(timeout), &mut ready).is_err() {
                return;
            }
            let seen = self.seen;
            if concerns(&ready, Token::Link.into()) && !self.obey() {
                return self.end();
            }
            busy = !ready.is_empty() || self.seen != seen;
            if enough && !busy && !self.rest() {
                return;
            }
            self.taken = 0;
            self.work(&ready);
            self.pause();
        }
    }

    /// For how many milliseconds events are waited for, and whether the role
    /// has rested for long enough if there are none until then; whether it was
    /// just `busy`. Most of the time nobody has to look at the clock for that.
    fn patience(&mut self, busy: bool) -> (u64, bool) {
        let retry = if self.retry > 0 { self.retry } else { u64::MAX };
        let soon = retry.min(self.overdue).min(self.look);
        let quiet = if self.seen == 0 { self.quiet.min(UNTOLD) } else { self.quiet };
        if busy && soon == u64::MAX {
            return (quiet, true);
        }
        let now = now_ms();
        if busy {
            self.active = now;
        }
        let rested = self.active.saturating_add(quiet);
        (rested.min(soon).saturating_sub(now), rested <= soon)
    }

    /// Lets output gather if it comes in small pieces one right after another
    /// and no client waits for it: a third of the work for the same log.
    fn pause(&mut self) {
        if self.taken == 0 || self.taken >= SMALL {
            return;
        }
        if self.taken_at.abs_diff(self.small) <= 1 {
            let pause = Timespec { tv_sec: 0, tv_nsec: PAUSE };
            let _ = rustix::thread::nanosleep(&pause);
        }
        self.small = self.taken_at;
    }

    /// Does what the events ask for.
    pub(crate) fn work(&mut self, ready: &[Ready]) {
        for event in ready {
            match Token::from_u64(event.token) {
                Token::Link => {}
                Token::Stream(at, which) | Token::Source(at, which) => self.pump(at, which),
                Token::Client(key) => self.serve(key),
            }
        }
        if self.retry > 0 && now_ms() >= self.retry {
            self.retry_sources();
        }
        self.look_at_held();
        self.drop_overdue();
    }

    /// Nothing has come for long. `false`: the role is not needed any more.
    pub(crate) fn rest(&mut self) -> bool {
        let owing = |(_, container): (Key, &Container)| {
            container.life != Life::Running || BOTH.iter().any(|which| container.owed(*which) > 0)
        };
        self.active = now_ms();
        self.give_up_characters();
        if self.tables.containers.iter().any(owing) {
            return true;
        }
        for (_, container) in self.tables.containers.iter_mut() {
            for which in BOTH {
                container.stream(which).map(Stream::take_room);
            }
        }
        let idle = Message::Idle { seen: self.seen };
        if self.link.send(&idle, &[]).is_err() {
            // The hub reads nothing; it will be asked again.
            return true;
        }
        // From here on the hub watches the outputs.
        let seen = self.seen;
        while self.seen == seen {
            wait_for(self.link.as_fd(), PollFlags::IN);
            if !self.obey() {
                if self.seen != seen {
                    self.end();
                }
                return false;
            }
        }
        self.active = now_ms();
        true
    }

    /// Sends the hub a message. It always reads; if it is slow, this waits: it
    /// never waits for us. If it is gone, the link says so by itself.
    pub(crate) fn tell(&self, message: &Message, fds: &[BorrowedFd<'_>]) {
        while let Err(Errno::AGAIN) = self.link.send(message, fds) {
            wait_for(self.link.as_fd(), PollFlags::OUT);
        }
    }

    /// Sends the hub the new log files of a container.
    pub(crate) fn tell_log(&self, at: Key) {
        if let Some(container) = self.tables.containers.get(at) {
            let name = container.name;
            container.files.share(|log| self.tell(&Message::Log { container: name }, &[log]));
        }
    }
}

fn wait_for(fd: BorrowedFd<'_>, what: PollFlags) {
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, what)], None);
}
