//! Questions and answers on one stream, for several threads.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capnp::message::{Builder, HeapAllocator};
use rustix::event::{PollFd, PollFlags, poll};
use wire::{AsFd, Errno, OwnedFd};

use super::{Error, lossy, no_message};
use crate::inherited::text;
use crate::pod::rpc::incoming::{Frame, Incoming, Progress};
use crate::pod::rpc::outgoing::Outgoing;
use crate::pod::schema::rpc_capnp::message;

/// Bytes that an answer may have: twice the output of an exec, and as much
/// again.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// How long the server may read nothing while we send.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream to a server.
#[derive(Debug)]
pub(super) struct Connection {
    stream: OwnedFd,
    sending: Mutex<()>,
    state: Mutex<State>,
    /// Something came, or the thread that read has got what it wanted.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// The number of the next question.
    next: u32,
    /// `None` while a thread reads, on behalf of all.
    incoming: Option<Incoming>,
    /// What came for others than the thread that read it, by the question.
    answers: HashMap<u32, Frame>,
    /// Why nothing will come any more.
    broken: Option<String>,
}

impl Connection {
    /// Nothing asked yet.
    pub(super) fn new(stream: OwnedFd) -> Connection {
        let state = State {
            next: 0,
            incoming: Some(Incoming::new(ANSWER_BYTES)),
            answers: HashMap::new(),
            broken: None,
        };
        let (sending, state, changed) = (Mutex::new(()), Mutex::new(state), Condvar::new());
        Connection { stream, sending, state, changed }
    }

    /// Asks a question, waits for the answer, and says that it has come.
    pub(super) fn ask(
        &self,
        write: impl FnOnce(u32, message::Builder<'_>) -> capnp::Result<()>,
    ) -> Result<Frame, Error> {
        let number = {
            let mut state = self.lock();
            let number = state.next;
            state.next = number.wrapping_add(1);
            number
        };
        let mut question = Builder::new_default();
        write(number, question.init_root()).map_err(no_message)?;
        self.send(&question);
        let answer = self.wait(number)?;
        let mut finish = Builder::new_default();
        finish.init_root::<message::Builder<'_>>().init_finish().set_question_id(number);
        self.send(&finish);
        Ok(answer)
    }

    /// Sends a message. When that fails, the stream is shut down, and the
    /// answer that somebody waits for is an error.
    fn send(&self, message: &Builder<HeapAllocator>) {
        let _sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        Outgoing::new(self.stream.as_fd(), PATIENCE).message(message);
    }

    /// Ends the connection, for both sides.
    pub(super) fn disconnect(&self) {
        // Fails only when the other side has done it.
        let _ = rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Both);
    }

    /// Waits for the answer to a question. One of the threads that wait reads,
    /// for all of them.
    fn wait(&self, number: u32) -> Result<Frame, Error> {
        let mut state = self.lock();
        loop {
            if let Some(answer) = state.answers.remove(&number) {
                return Ok(answer);
            }
            if let Some(reason) = &state.broken {
                return Err(Error::Connection(reason.clone()));
            }
            let Some(mut incoming) = state.incoming.take() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let outcome =
                self.receive(&mut incoming).and_then(|frame| Ok((question(&frame)?, frame)));
            state = self.lock();
            state.incoming = Some(incoming);
            match outcome {
                Ok((Some(question), frame)) => {
                    state.answers.insert(question, frame);
                }
                Ok((None, _)) => {}
                Err(reason) => state.broken = Some(reason),
            }
            self.changed.notify_all();
        }
    }

    /// Waits for a whole message.
    fn receive(&self, incoming: &mut Incoming) -> Result<Frame, String> {
        loop {
            match incoming.read(&self.stream)? {
                Progress::Frame(frame) => return Ok(frame),
                Progress::Part => {}
                Progress::End => return Err("the server has closed the connection".into()),
                Progress::Nothing => {
                    let mut watched = [PollFd::new(&self.stream, PollFlags::IN)];
                    match poll(&mut watched, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => {
                            return Err(format!("cannot wait for the server: {}", text(error)));
                        }
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The question that a message answers; `None` for one that is no answer.
///
/// # Errors
/// The server's reason for ending the connection, or what is wrong with the
/// message.
fn question(frame: &Frame) -> Result<Option<u32>, String> {
    let words = |error: capnp::Error| format!("cannot read what the server sent: {error}");
    let reader = frame.reader().map_err(words)?;
    let message: message::Reader<'_> = reader.get_root().map_err(words)?;
    match message.which() {
        Ok(message::Return(answer)) => Ok(Some(answer.map_err(words)?.get_answer_id())),
        Ok(message::Abort(exception)) => {
            let reason = exception.and_then(|exception| exception.get_reason()).map_err(words)?;
            Err(format!("the server has ended the connection: {}", lossy(reason)))
        }
        _ => Ok(None),
    }
}
