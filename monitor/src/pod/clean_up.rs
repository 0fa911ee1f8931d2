//! Cleaning up after a worker that was killed: what it was having created is
//! removed, as nobody has been told of it. The hub starts this program when
//! such a worker's ledger is not empty.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use wire::Message;

use super::hub::{Hub, NOT_FOUND};
use super::ledger::{self, Unfinished};
use super::{containers, spawn, worker};

/// The argument that makes the program clean up.
pub const WORD: &str = "clean-up";

/// Cleans up.
///
/// # Errors
/// It was not started by a hub, or the system refuses what it needs.
pub fn clean_up() -> Result<(), String> {
    let (hub, [ledger, record]) = Hub::started_for(Message::CleanUp)?;
    let settings = worker::settings(&record)?;
    for Unfinished { request, runtime } in ledger::unfinished(&ledger) {
        // It has been killed with the worker, but may not have noticed yet.
        runtime.into_iter().for_each(wait_for_end);
        // What the hub has is watched and recorded like any other; a hub that
        // does not say has other worries.
        if hub.find(&request.id).is_err_and(|why| why == NOT_FOUND) {
            log::warn!("a worker was killed while it had {} created: removing that", request.id);
            containers::remove(&settings, &request);
        }
    }
    Ok(())
}

/// Waits until a process has ended. Not for ever: its number may be somebody else's by now.
fn wait_for_end(pid: Pid) {
    let limit: Duration = spawn::PATIENCE;
    if let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
        && let Ok(limit) = Timespec::try_from(limit)
    {
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit));
    }
}
