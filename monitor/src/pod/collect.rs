//! The output of an exec session, from its pipes into memory, until it is over.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::{Errno, OwnedFd};

/// Most bytes of a stream that are kept; the rest is read and dropped, so that
/// the command can go on.
const MAX_OUTPUT: usize = 16 << 20;

/// Bytes taken from a stream before the other gets its turn.
const TURN: usize = 1 << 20;
/// Bytes read at once: what a pipe holds as a rule.
const PIECE: usize = 64 * 1024;

/// How long a stream may stay silent before it is given up, when the command
/// has ended and something it left behind holds the stream open.
const GRACE: Duration = Duration::from_millis(50);
/// How long that may go on printing.
const MAX_GRACE: Duration = Duration::from_secs(1);

/// One stream.
#[derive(Debug, Default)]
pub struct Stream {
    /// `None` when it has ended.
    fd: Option<OwnedFd>,
    /// What came, up to the limit.
    pub bytes: Vec<u8>,
    /// How many bytes came beyond it.
    pub dropped: usize,
}

impl Stream {
    /// Reads from `fd`, which must not block.
    pub fn new(fd: Option<OwnedFd>) -> Self {
        Stream { fd, ..Stream::default() }
    }

    /// Reads what is there. The result says whether anything was.
    fn read(&mut self, limit: usize) -> bool {
        let mut piece = vec![0u8; PIECE];
        let mut taken = 0;
        while taken < TURN
            && let Some(fd) = &self.fd
        {
            match rustix::io::read(fd, &mut piece[..]) {
                Ok(count @ 1..) => {
                    let room = limit.saturating_sub(self.bytes.len()).min(count);
                    self.bytes.extend_from_slice(piece.get(..room).unwrap_or_default());
                    self.dropped += count - room;
                    taken += count;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                // A terminal that nobody has open any more says EIO.
                Ok(_) | Err(_) => self.fd = None,
            }
        }
        taken > 0
    }
}

/// How collecting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The command has ended with this status, and this is its output.
    Status(i32),
    /// Its time is up.
    TimedOut,
}

/// Reads both streams until the command has ended and they have, too, or until
/// `deadline`. `status` is a pipe on which `read_status` finds the command's
/// status when it has ended.
pub fn collect(
    streams: &mut [Stream; 2],
    status: &OwnedFd,
    mut read_status: impl FnMut() -> Option<i32>,
    deadline: Option<Instant>,
) -> End {
    collect_at_most(streams, status, &mut read_status, deadline, MAX_OUTPUT)
}

fn collect_at_most(
    streams: &mut [Stream; 2],
    status: &OwnedFd,
    read_status: &mut dyn FnMut() -> Option<i32>,
    deadline: Option<Instant>,
    limit: usize,
) -> End {
    // The status, since when it is known, and when something was read last.
    let mut ended: Option<(i32, Instant, Instant)> = None;
    loop {
        let until = match ended {
            None => deadline,
            Some((_, since, last)) => Some((last + GRACE).min(since + MAX_GRACE)),
        };
        wait(streams, ended.is_none().then_some(status), until);
        let mut any = false;
        // First, so that what the command wrote is there to be read then.
        if ended.is_none()
            && let Some(status) = read_status()
        {
            let now = Instant::now();
            ended = Some((status, now, now));
            any = true;
        }
        for stream in streams.iter_mut() {
            any |= stream.read(limit);
        }
        let now = Instant::now();
        match &mut ended {
            None if deadline.is_some_and(|at| at <= now) => return End::TimedOut,
            None => {}
            Some((status, since, last)) => {
                let all = streams.iter().all(|stream| stream.fd.is_none());
                if any {
                    *last = now;
                }
                if all || now >= *last + GRACE || now >= *since + MAX_GRACE {
                    return End::Status(*status);
                }
            }
        }
    }
}

/// Waits until something can be read, or until that time.
fn wait(streams: &[Stream; 2], status: Option<&OwnedFd>, until: Option<Instant>) {
    let fds = streams.iter().filter_map(|stream| stream.fd.as_ref());
    let mut polled: Vec<PollFd<'_>> =
        fds.chain(status).map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let timeout = until.map(|at| {
        let left = at.saturating_duration_since(Instant::now());
        // Longer waits than the kernel takes come to an end early.
        let seconds = i64::try_from(left.as_secs()).unwrap_or(i64::MAX).min(i64::from(i32::MAX));
        Timespec { tv_sec: seconds, tv_nsec: left.subsec_nanos().into() }
    });
    let _ = poll(&mut polled, timeout.as_ref());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use rustix::io::write;
    use rustix::pipe::{PipeFlags, pipe_with};

    struct Session {
        streams: [Stream; 2],
        out: Option<OwnedFd>,
        status: OwnedFd,
        told: OwnedFd,
    }

    fn session() -> Session {
        let pipe = || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let (read, out) = pipe();
        let (status, told) = pipe();
        Session {
            streams: [Stream::new(Some(read)), Stream::new(None)],
            out: Some(out),
            status,
            told,
        }
    }

    fn status_of(status: &OwnedFd) -> Option<i32> {
        let mut byte = [0u8];
        rustix::io::read(status, &mut byte[..]).is_ok().then_some(i32::from(byte[0]))
    }

    #[test]
    fn output_that_was_there_when_the_command_ended_is_complete() {
        let mut session = session();
        write(session.out.as_ref().unwrap(), b"all of it").unwrap();
        write(&session.told, &[7]).unwrap();
        session.out = None;
        let status = &session.status;
        let end = collect(&mut session.streams, status, || status_of(status), None);
        assert_eq!(end, End::Status(7));
        assert_eq!(session.streams[0].bytes, b"all of it");
    }

    #[test]
    fn whoever_holds_the_output_open_is_not_waited_for() {
        let mut session = session();
        write(session.out.as_ref().unwrap(), b"said").unwrap();
        write(&session.told, &[0]).unwrap();
        let status = &session.status;
        let end = collect(&mut session.streams, status, || status_of(status), None);
        assert_eq!(end, End::Status(0));
        assert_eq!(session.streams[0].bytes, b"said");
    }

    #[test]
    fn the_deadline_holds_and_what_came_until_then_is_kept() {
        let mut session = session();
        write(session.out.as_ref().unwrap(), b"so far").unwrap();
        let status = &session.status;
        let soon = Some(Instant::now() + Duration::from_millis(20));
        let end = collect(&mut session.streams, status, || status_of(status), soon);
        assert_eq!(end, End::TimedOut);
        assert_eq!(session.streams[0].bytes, b"so far");
    }

    #[test]
    fn beyond_the_limit_output_is_counted_and_dropped() {
        let mut session = session();
        let out = session.out.take().unwrap();
        let text: Vec<u8> = (0..10_000u32).map(|at| at as u8).collect();
        write(&out, &text).unwrap();
        write(&session.told, &[0]).unwrap();
        drop(out);
        let status = &session.status;
        let mut read = || status_of(status);
        collect_at_most(&mut session.streams, status, &mut read, None, 9_999);
        assert_eq!(session.streams[0].bytes, text[..9_999]);
        assert_eq!(session.streams[0].dropped, 1);
    }
}
