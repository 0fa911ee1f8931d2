//! What fills a stream's pipe when the container does not do so itself: its
//! terminal. Bytes go from the terminal to a pipe that the hub holds as well
//! (the stage) without passing through this process, so that none is lost if
//! it is killed in between.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, splice};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

/// Most that is moved at once, in bytes.
const MOVE: usize = 65_536;

/// What is moved at once where the kernel cannot move by itself, in bytes: a
/// pipe that is ready for writing takes that much (PIPE_BUF of pipe(7)).
const STEP: usize = 4096;

/// Largest size that anybody may give a pipe (/proc/sys/fs/pipe-max-size).
const LARGEST_PIPE: usize = 1 << 20;

/// A terminal master, or another output that is no pipe.
pub(crate) struct Source {
    /// The output.
    pub(crate) fd: OwnedFd,
    /// Whether it can come back to life after it has ended.
    pub(crate) terminal: bool,
    /// Whether `fd` is in the event loop.
    pub(crate) watched: bool,
    /// Nobody has the terminal open; it is looked at again from time to time.
    pub(crate) hung: bool,
    /// Write end of the stream's pipe.
    stage: OwnedFd,
}

/// What came of moving.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moved {
    /// That many bytes are in the pipe now.
    Bytes(usize),
    /// Nothing is there.
    Nothing,
    /// The pipe is full.
    Full,
    /// Nobody has the terminal open at the moment.
    Hung,
    /// The output has ended.
    Ended,
}

impl Source {
    /// Output of `fd`, moved to the pipe end `stage`.
    pub(crate) fn new(fd: OwnedFd, stage: OwnedFd, terminal: bool) -> Self {
        Source { fd, terminal, watched: false, hung: false, stage }
    }

    /// Moves what is there, as far as the pipe takes it.
    pub(crate) fn advance(&mut self) -> Moved {
        let moved = loop {
            let flags = SpliceFlags::NONBLOCK;
            match splice(&self.fd, None, &self.stage, None, MOVE, flags) {
                Err(Errno::INTR) => {}
                Err(Errno::INVAL) => break self.copy(),
                other => break other,
            }
        };
        self.hung = false;
        match moved {
            Ok(0) | Err(Errno::IO) if self.terminal => {
                self.hung = true;
                Moved::Hung
            }
            // That does not say which side it is about.
            Err(Errno::AGAIN) if !self.has_room() => Moved::Full,
            Err(Errno::AGAIN) => Moved::Nothing,
            Ok(0) | Err(_) => Moved::Ended,
            Ok(bytes) => Moved::Bytes(bytes),
        }
    }

    /// What splice(2) does, for kernels whose terminals cannot.
    fn copy(&self) -> Result<usize, Errno> {
        if !self.has_room() {
            return Err(Errno::AGAIN);
        }
        let mut bytes = [0; STEP];
        let read = rustix::io::read(&self.fd, &mut bytes)?;
        rustix::io::write(&self.stage, bytes.get(..read).unwrap_or(&[]))
    }

    /// Whether the pipe has.
    pub(crate) fn has_room(&self) -> bool {
        ready(self.stage.as_fd(), PollFlags::OUT)
    }

    /// Whether there is something to move; does not wait.
    pub(crate) fn is_ready(&self) -> bool {
        ready(self.fd.as_fd(), PollFlags::IN)
    }

    /// Gives the pipe as much room as a pipe can have. Errors: fcntl(2)
    /// F_SETPIPE_SZ.
    pub(crate) fn enlarge_stage(&self) -> Result<(), Errno> {
        fcntl_setpipe_size(&self.stage, LARGEST_PIPE).map(drop)
    }
}

/// Whether a descriptor is ready for that now.
pub(crate) fn ready(fd: BorrowedFd<'_>, what: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, what)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut fds, Some(&now)), Ok(1))
}
