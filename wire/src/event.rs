//! A thin event loop over epoll(7).

use crate::{AsFd, Errno, OwnedFd};
use core::mem::MaybeUninit;
use rustix::event::{Timespec, epoll};

pub use rustix::event::epoll::EventFlags;

/// What became ready: the caller's token and the readiness flags.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// What the fd was added with.
    pub token: u64,
    /// epoll's flags.
    pub flags: EventFlags,
}

/// Events taken from the kernel at once. More wait in the kernel.
pub const BATCH: usize = 16;

/// An epoll instance.
pub struct Events {
    epoll: OwnedFd,
}

impl Events {
    /// epoll_create1(2).
    pub fn new() -> Result<Self, Errno> {
        Ok(Events { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Watches `fd`; every event of it carries `token`. Fails with
    /// [`Errno::PERM`] for what is always ready (regular files).
    pub fn add(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> Result<(), Errno> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), flags)
    }

    /// Changes what is watched for.
    pub fn modify(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> Result<(), Errno> {
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), flags)
    }

    /// Stops watching. Needed before closing an fd that another process has a
    /// duplicate of: epoll goes by open file description, not by fd.
    pub fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits at most `timeout_ms` milliseconds (for ever if `None`) and hands
    /// every event to `each`. An interrupted wait is an empty one.
    pub fn wait(
        &self,
        timeout_ms: Option<u64>,
        ready: &mut heapless::Vec<Ready, BATCH>,
    ) -> Result<(), Errno> {
        // Longer waits would take epoll_pwait2(2), of Linux 5.11. To wake up
        // early does no harm.
        let timeout = timeout_ms.map(|ms| ms.min(i32::MAX as u64)).map(|ms| Timespec {
            tv_sec: (ms / 1000) as i64,
            tv_nsec: ((ms % 1000) * 1_000_000) as _,
        });
        let mut buffer = [MaybeUninit::<epoll::Event>::uninit(); BATCH];
        ready.clear();
        match epoll::wait(&self.epoll, &mut buffer[..], timeout.as_ref()) {
            Ok((events, _)) => {
                for event in events {
                    // The batch holds as many as the buffer.
                    let _ = ready.push(Ready { token: event.data.u64(), flags: event.flags });
                }
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Whether there may be news of `token`: by this batch, or as the batch cannot tell, being empty or full.
pub fn concerns(ready: &heapless::Vec<Ready, BATCH>, token: u64) -> bool {
    ready.is_empty() || ready.is_full() || ready.iter().any(|event| event.token == token)
}

/// Milliseconds of a clock that only goes forward (CLOCK_MONOTONIC).
pub fn now_ms() -> u64 {
    let (seconds, nanoseconds) = crate::sys::clock(libc::CLOCK_MONOTONIC);
    seconds.unsigned_abs() * 1000 + u64::from(nanoseconds) / 1_000_000
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_batch_with_room_for_more_says_that_there_is_no_news() {
        let other = Ready { token: 1, flags: EventFlags::IN };
        let mut ready = heapless::Vec::new();
        assert!(concerns(&ready, 7), "nothing, as after a time-out");
        ready.push(other).unwrap();
        assert!(!concerns(&ready, 7));
        while ready.push(other).is_ok() {}
        assert!(concerns(&ready, 7), "more may wait behind a full batch");
        ready.truncate(BATCH - 2);
        ready.push(Ready { token: 7, flags: EventFlags::HUP }).unwrap();
        assert!(concerns(&ready, 7));
    }
}
