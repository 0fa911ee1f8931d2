//! Cap'n Proto RPC on one connection: as much of the protocol as it takes to
//! offer one object whose methods return no objects.
//!
//! [`serve`] reads ([`incoming`]), looks what it is ([`dispatch`]), starts a
//! thread for each call ([`calls`]), and sends what comes back ([`answers`],
//! [`outgoing`]).
//!
//! # Invariants
//! * No state outlives a call, so a connection can be given away between two
//!   messages, and whoever has it then goes on as if nothing had happened: our
//!   object has one number for ever, and questions that were answered are
//!   forgotten.
//! * A slow call delays nobody, nor does a client that does not read.
//! * Whatever a client sends: an answer or an end of its connection, in bounded
//!   memory.

pub(crate) mod answers;
mod calls;
mod dispatch;
pub(crate) mod incoming;
pub(crate) mod methods;
pub(crate) mod outgoing;
#[cfg(test)]
mod tests;

use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use wire::{AsFd, Errno, OwnedFd};

use self::calls::Calls;
use self::incoming::{Incoming, Progress};
use self::outgoing::{Outgoing, timespec};
use super::service::{Served, Service};

/// Bytes that a request may have. Its texts end up on a command line, which
/// the kernel limits to 6 MB (execve(2)); the default is 2 MB.
const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// How long nothing comes, and nothing is in flight, until the connection
    /// is given back.
    quiet: Duration,
    /// How long the rest of a message may take to come.
    rest: Duration,
    /// How long a client may read nothing while answers wait for it.
    patience: Duration,
}

/// A message is sent in one go, on this machine.
const REST: Duration = Duration::from_secs(10);

/// A client may be stopped for a while.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a connection until the client is gone, or until nothing has come and
/// nothing been in flight for `quiet`. Calls that are in flight when the
/// client goes are told so, and waited for.
///
/// Another thread may end this by shutting the reading end of the stream down
/// (shutdown(2)): then the calls in flight are told the same, and their answers
/// are sent.
pub fn serve<S: Service + ?Sized>(connection: OwnedFd, service: &S, quiet: Duration) -> Served {
    serve_within(connection, service, Limits { quiet, rest: REST, patience: PATIENCE })
}

fn serve_within<S: Service + ?Sized>(connection: OwnedFd, service: &S, limits: Limits) -> Served {
    let outgoing = Outgoing::new(connection.as_fd(), limits.patience);
    let calls = match Calls::new() {
        Ok(calls) => calls,
        Err(error) => {
            outgoing.last(&answers::abort(&format!("cannot make an eventfd: {error}")));
            return Served::Closed;
        }
    };
    let door = Door { service, connection: &connection, outgoing, calls, limits };
    let end = thread::scope(|scope| {
        let end = door.run(scope);
        door.calls.cancel_all();
        end
    });
    drop(door);
    match end {
        End::Quiet => Served::Park(connection),
        End::Closed => Served::Closed,
    }
}

/// Why reading has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Quiet,
    Closed,
}

/// What the thread that reads has at hand, and lends to those of the calls.
struct Door<'a, S: ?Sized> {
    service: &'a S,
    connection: &'a OwnedFd,
    outgoing: Outgoing<'a>,
    calls: Calls,
    limits: Limits,
}

impl<S: Service + ?Sized> Door<'_, S> {
    fn run<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> End {
        let mut incoming = Incoming::new(REQUEST_BYTES);
        // When something last happened: a message came or began, a call ended.
        let mut last = Instant::now();
        loop {
            let began = incoming.half_read();
            let progress = if self.calls.full() {
                Ok(Progress::Nothing)
            } else {
                incoming.read(self.connection)
            };
            let outcome = match progress {
                Ok(Progress::Frame(frame)) => {
                    last = Instant::now();
                    self.message(scope, &frame)
                }
                Ok(Progress::Part) => {
                    if !began {
                        last = Instant::now();
                    }
                    continue;
                }
                Ok(Progress::Nothing) => self.wait(&incoming, &mut last),
                Ok(Progress::End) => return End::Closed,
                Err(reason) => Err(reason),
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(reason) => {
                    self.outgoing.last(&answers::abort(&reason));
                    return End::Closed;
                }
            }
        }
    }

    /// Waits until there is something to read, and room for it; or for the end.
    fn wait(&self, incoming: &Incoming, last: &mut Instant) -> Result<Option<End>, String> {
        let limit = if incoming.half_read() {
            Some(self.limits.rest)
        } else if self.calls.none() {
            Some(self.limits.quiet)
        } else {
            None
        };
        let left = limit.map(|limit| timespec(limit.saturating_sub(last.elapsed())));
        let readable = if self.calls.full() { PollFlags::empty() } else { PollFlags::IN };
        let ended = self.calls.ended();
        let mut watched = [
            PollFd::new(self.connection, readable | PollFlags::RDHUP),
            PollFd::new(&ended, PollFlags::IN),
        ];
        match poll(&mut watched, left.as_ref()) {
            Ok(0) if incoming.half_read() => {
                let rest = self.limits.rest;
                return Err(format!("the rest of a message did not come within {rest:?}"));
            }
            Ok(0) => return Ok(Some(End::Quiet)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("cannot wait for the client: {error}")),
        }
        let [connection, ended] = &watched;
        if !ended.revents().is_empty() {
            self.calls.ended_seen();
            *last = Instant::now();
        }
        // What it sent before it went is of no use to anybody any more; but for
        // telling whether there is something, reading is the only way.
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let closed = readable.is_empty() && connection.revents().intersects(gone);
        Ok(closed.then_some(End::Closed))
    }
}
