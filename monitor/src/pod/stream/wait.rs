//! Waiting for descriptors and the clock, whichever comes first.

use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// poll(2), until `until` at the latest (`None`: for ever). May end early.
pub fn wait(polled: &mut [PollFd<'_>], until: Option<Instant>) {
    let timeout = until.map(|at| {
        let left = at.saturating_duration_since(Instant::now());
        Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX).min(i64::from(i32::MAX)),
            tv_nsec: left.subsec_nanos().into(),
        }
    });
    if poll(polled, timeout.as_ref()).is_err() {
        polled.iter_mut().for_each(PollFd::clear_revents);
    }
}

/// What of `flags` poll(2) has found, for the descriptor at that place.
pub fn found(polled: &[PollFd<'_>], at: usize) -> PollFlags {
    polled.get(at).map_or(PollFlags::empty(), PollFd::revents)
}
