//! Starting the two roles, talking to them, and losing them.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};
use wire::event::{EventFlags, Events};
use wire::sys::Environment;
use wire::{AsFd, BorrowedFd, Errno, Link, Message, OwnedFd, spawn_role};

use crate::hub::Source;
use rustix::process::{Pid, Signal};

/// Which role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// log-writer.
    Writer,
    /// attach-proxy.
    Proxy,
}

impl Kind {
    fn name(self) -> &'static CStr {
        match self {
            Kind::Writer => c"log-writer",
            Kind::Proxy => c"attach-proxy",
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().to_str().unwrap_or("?"))
    }
}

/// A role that ends sooner than this many ms after its start may be broken (out
/// of memory, say), and gets a pause before it is started again.
const MIN_LIFE_MS: u64 = 500;
/// That pause, in ms: a role that fails at once costs a few percent of a
/// processor then, and one that was killed is hardly missed.
const PAUSE_MS: u64 = 50;

/// A role: the program, and the process if there is one.
pub(crate) struct Role {
    kind: Kind,
    program: OwnedFd,
    running: Option<Running>,
    started_at: u64,
    /// Not to be started before this, in ms of the clock.
    pub(crate) not_before: Option<u64>,
}

struct Running {
    link: Link,
    pid: Pid,
    /// Messages sent so far.
    sent: u32,
}

impl Role {
    pub(crate) fn new(kind: Kind, program: OwnedFd) -> Self {
        Role { kind, program, running: None, started_at: 0, not_before: None }
    }

    /// It has been started, as this process. (If that was before there was a
    /// hub, and it is lost at once, it gets no pause.)
    pub(crate) fn runs(&mut self, link: Link, pid: Pid) {
        self.running = Some(Running { link, pid, sent: 0 });
    }

    /// Watches the link to the running role.
    pub(crate) fn watch(&self, events: &Events) -> Result<(), Errno> {
        self.link().map_or(Ok(()), |link| {
            events.add(link, Source::Role(self.kind).token(), EventFlags::IN)
        })
    }

    /// The link to the running role.
    pub(crate) fn link(&self) -> Option<&Link> {
        self.running.as_ref().map(|running| &running.link)
    }

    /// Starts it. Its end of the link is its standard input. `Ok(false)` when
    /// it has just failed and is not to be started yet.
    pub(crate) fn start(
        &mut self,
        environment: Environment<'static>,
        now: u64,
    ) -> Result<bool, Errno> {
        if self.not_before.is_some_and(|time| now < time) {
            return Ok(false);
        }
        self.not_before = None;
        self.started_at = now;
        match spawn_role(self.program.as_fd(), self.kind.name(), environment, &[]) {
            Ok((link, pid)) => {
                self.runs(link, pid);
                Ok(true)
            }
            Err(error) => {
                self.not_before = Some(now + PAUSE_MS);
                Err(error)
            }
        }
    }

    /// Sends a message. A role that has not read hundreds of messages is
    /// stuck: it is killed, and its work given to a new one when its link
    /// closes. Never waits.
    pub(crate) fn send(&mut self, message: &Message, fds: &[BorrowedFd<'_>]) {
        let Some(running) = &mut self.running else {
            return;
        };
        match running.link.send(message, fds) {
            Ok(()) => running.sent = running.sent.wrapping_add(1),
            Err(error) => {
                wire::error!(
                    "exit-reaper",
                    "cannot send to {}: {error}; starting it anew",
                    self.kind
                );
                let _ = rustix::process::kill_process(running.pid, Signal::KILL);
            }
        }
    }

    /// Whether a role that says it has seen so many messages has seen all.
    pub(crate) fn has_seen_all(&self, seen: u32) -> bool {
        self.running.as_ref().is_some_and(|running| running.sent == seen)
    }

    /// Closes the link, which tells an idle role to exit.
    pub(crate) fn dismiss(&mut self) {
        self.running = None;
    }

    /// The role has closed its link without being asked to.
    pub(crate) fn lost(&mut self, now: u64) {
        self.running = None;
        if now.saturating_sub(self.started_at) < MIN_LIFE_MS {
            self.not_before = Some(now + PAUSE_MS);
        }
    }
}
