//! The calls in flight on one connection: how many, how large, and whether
//! anybody still waits for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

use super::super::service::Call;

/// Calls in flight at which reading stops.
const CALLS: usize = 64;

/// Bytes of the requests in flight at which reading stops.
const BYTES: usize = 8 * 1024 * 1024;

/// All calls of a connection.
#[derive(Debug)]
pub(crate) struct Calls {
    state: Mutex<State>,
    /// Written to when a call has ended.
    ended: OwnedFd,
}

#[derive(Debug, Default)]
struct State {
    /// Not answered yet, by the client's number.
    waiting: Vec<(u32, Arc<Call>)>,
    /// Those, and those whose answer is being sent.
    running: usize,
    /// Of their requests.
    bytes: usize,
}

impl Calls {
    /// None yet.
    ///
    /// # Errors
    /// Those of eventfd(2).
    pub(crate) fn new() -> Result<Calls, Errno> {
        let ended = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Calls { state: Mutex::default(), ended })
    }

    /// A new call.
    ///
    /// # Errors
    /// Those of eventfd(2).
    pub(crate) fn begin(&self, question: u32, bytes: usize) -> Result<Task<'_>, Errno> {
        let call = Arc::new(Call::new()?);
        let mut state = self.lock();
        state.waiting.push((question, call.clone()));
        state.running += 1;
        state.bytes += bytes;
        drop(state);
        Ok(Task { calls: self, call, bytes })
    }

    /// Whether a call of this number has no answer yet.
    pub(crate) fn has(&self, question: u32) -> bool {
        self.lock().waiting.iter().any(|(number, _)| *number == question)
    }

    /// Nobody waits any more for the call of this number.
    pub(crate) fn cancel(&self, question: u32) {
        let state = self.lock();
        let found = state.waiting.iter().find(|(number, _)| *number == question);
        if let Some((_, call)) = found {
            call.cancel();
        }
    }

    /// Nobody waits any more for any call.
    pub(crate) fn cancel_all(&self) {
        self.lock().waiting.iter().for_each(|(_, call)| call.cancel());
    }

    /// Whether there are so many that one has to end first.
    pub(crate) fn full(&self) -> bool {
        let state = self.lock();
        state.running >= CALLS || state.bytes >= BYTES
    }

    /// Whether there are none.
    pub(crate) fn none(&self) -> bool {
        self.lock().running == 0
    }

    /// Becomes readable when a call ends.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Has [`Calls::ended`] wait for the next.
    pub(crate) fn ended_seen(&self) {
        // Nothing to read is what is wanted.
        let _ = rustix::io::read(&self.ended, &mut [0u8; 8]);
    }

    /// A thread that panics takes the process with it: nothing is half-done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call, as the thread has it that works on it. It counts until it is
/// dropped.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    calls: &'a Calls,
    call: Arc<Call>,
    bytes: usize,
}

impl Task<'_> {
    /// For the service.
    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// There is an answer: the number is free for another call.
    pub(crate) fn answered(&self) {
        self.calls.lock().waiting.retain(|(_, call)| !Arc::ptr_eq(call, &self.call));
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        self.answered();
        let mut state = self.calls.lock();
        state.running -= 1;
        state.bytes -= self.bytes;
        drop(state);
        // Fails only when the counter is at its end, and then it is readable.
        let _ = rustix::io::write(&self.calls.ended, &1u64.to_ne_bytes());
    }
}
