//! Cap'n Proto RPC on one connection: as much of the protocol as it takes to
//! offer one object whose methods return no objects.
//!
//! [`serve`] reads ([`incoming`]), starts a thread for each call ([`calls`]),
//! and sends what comes back ([`answers`], [`outgoing`]).
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
pub(crate) mod incoming;
pub(crate) mod methods;
pub(crate) mod outgoing;
#[cfg(test)]
mod tests;

use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use capnp::Word;
use rustix::event::{PollFd, PollFlags, poll};
use wire::{AsFd, Errno, OwnedFd};

use self::calls::Calls;
use self::incoming::{Frame, Incoming, Progress};
use self::outgoing::{Outgoing, timespec};
use super::schema::conmon_capnp::conmon;
use super::schema::rpc_capnp::{call, disembargo, exception, message};
use super::service::{Served, Service};

/// Bytes that a request may have. Its texts end up on a command line, which
/// the kernel limits to 6 MB (execve(2)); the default is 2 MB.
const REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// How long the rest of a message may take to come: it is sent in one go, on
/// this machine.
const REST_OF_MESSAGE: Duration = Duration::from_secs(10);

/// How long a client may read nothing while answers wait for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a connection until the client is gone, or until nothing has come and
/// nothing been in flight for `quiet`. Calls that are in flight when the
/// client goes are told so, and waited for.
pub fn serve<S: Service + ?Sized>(connection: OwnedFd, service: &S, quiet: Duration) -> Served {
    let end = {
        let outgoing = Outgoing::new(connection.as_fd(), PATIENCE);
        match Calls::new() {
            Ok(calls) => {
                let door = Door { service, connection: &connection, outgoing, calls, quiet };
                thread::scope(|scope| {
                    let end = door.run(scope);
                    door.calls.cancel_all();
                    end
                })
            }
            Err(error) => {
                outgoing.last(&answers::abort(&format!("cannot make an eventfd: {error}")));
                End::Closed
            }
        }
    };
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
    quiet: Duration,
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
            Some(REST_OF_MESSAGE)
        } else if self.calls.none() {
            Some(self.quiet)
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
                let seconds = REST_OF_MESSAGE.as_secs();
                return Err(format!("the rest of a message did not come within {seconds} s"));
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

    /// Does what a message says. An error is a message that no client sends.
    fn message<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        frame: &Frame,
    ) -> Result<Option<End>, String> {
        let reader = frame.reader().map_err(text)?;
        let message: message::Reader<'_> = reader.get_root().map_err(text)?;
        match message.which() {
            Ok(message::Bootstrap(bootstrap)) => {
                let question = bootstrap.map_err(text)?.get_question_id();
                let words: [Word; 11] = answers::bootstrap(question);
                self.outgoing.words(&words);
            }
            Ok(message::Call(call)) => self.call(scope, call.map_err(text)?, frame.size())?,
            Ok(message::Finish(finish)) => {
                self.calls.cancel(finish.map_err(text)?.get_question_id());
            }
            // Nothing of ours is counted, and nothing of ours can be missing there.
            Ok(message::Release(_) | message::Unimplemented(_)) => {}
            Ok(message::Abort(_)) => return Ok(Some(End::Closed)),
            Ok(message::Return(_)) => return Err("a return, and we have asked nothing".into()),
            Ok(message::Disembargo(disembargo)) => {
                let disembargo = disembargo.map_err(text)?;
                match disembargo.get_context().which() {
                    Ok(disembargo::context::SenderLoopback(id)) => {
                        self.outgoing.message(&answers::loopback(disembargo, id).map_err(text)?);
                    }
                    _ => self.unknown(message)?,
                }
            }
            _ => self.unknown(message)?,
        }
        Ok(None)
    }

    fn unknown(&self, message: message::Reader<'_>) -> Result<(), String> {
        self.outgoing.message(&answers::unimplemented(message).map_err(text)?);
        Ok(())
    }

    /// Starts a call, or answers at once that it cannot be.
    fn call<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        call: call::Reader<'_>,
        size: usize,
    ) -> Result<(), String> {
        use exception::Type::Failed;
        let question = call.get_question_id();
        if self.calls.has(question) {
            return Err(format!("question {question} is asked twice"));
        }
        let outcome = read_request(call).and_then(|request| {
            let task = self
                .calls
                .begin(question, size)
                .map_err(|error| (Failed, format!("cannot make an eventfd: {error}")))?;
            let run = move || {
                let outcome = request.answer(self.service, task.call());
                let answer = match outcome {
                    Ok(response) => answers::results(question, &response),
                    Err(reason) => answers::failure(question, Failed, &reason),
                };
                // From now on the client may use the number again.
                task.answered();
                self.outgoing.message(&answer);
                drop(task);
            };
            let started = thread::Builder::new().spawn_scoped(scope, run);
            started.map(drop).map_err(|error| (Failed, format!("cannot start a thread: {error}")))
        });
        if let Err((kind, reason)) = outcome {
            self.outgoing.message(&answers::failure(question, kind, &reason));
        }
        Ok(())
    }
}

/// What is asked of our object; or which exception answers it.
fn read_request(call: call::Reader<'_>) -> Result<methods::Request, (exception::Type, String)> {
    use exception::Type::{Failed, Unimplemented};
    answers::for_our_object(call).map_err(|reason| (Failed, reason))?;
    if !matches!(call.get_send_results_to().which(), Ok(call::send_results_to::Caller(()))) {
        return Err((Unimplemented, "results go to the caller only".into()));
    }
    let interface = call.get_interface_id();
    if interface != <conmon::Client as capnp::traits::HasTypeId>::TYPE_ID {
        return Err((Unimplemented, format!("no interface {interface:#018x}")));
    }
    let method = call.get_method_id();
    let content = call.get_params().map(|params| params.get_content());
    content
        .map_err(text)
        .and_then(|content| methods::Request::read(method, content))
        .map_err(|error| (Failed, format!("read request: {error}")))?
        .ok_or_else(|| (Unimplemented, format!("no method {method}")))
}

fn text(error: capnp::Error) -> String {
    error.to_string()
}
