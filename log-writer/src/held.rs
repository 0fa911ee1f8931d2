//! The beginning of a line that the journal is to get whole: it stays at the
//! head of its pipe until the line ends, so that it is not lost with this
//! process. A pipe with nothing else in it is watched for news only.

use crate::container::Life;
use crate::role::Role;
use crate::stream::{CHUNK, Stream};
use core::fmt::Write;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use wire::message::Stream as Which;
use wire::{AsFd, BorrowedFd, Key};

impl Role {
    /// As [`pump`](Self::pump), for a stream with something held back, and
    /// nothing else at the head of its pipe.
    pub(crate) fn pump_held(&mut self, at: Key, which: Which) {
        let container = self.tables.containers.get_mut(at);
        let Some(stream) = container.and_then(|container| container.stream(which)) else {
            return;
        };
        let held = stream.held;
        if stream.filled() <= held {
            if is_ready(stream.pipe.as_fd(), PollFlags::HUP) {
                self.flush_held(at, which);
                return self.end_of_output(at, which);
            }
            return self.mind_held(at, which);
        }
        match self.peek.look(stream.pipe.as_fd(), 0, held, self.tables.space.input(CHUNK)) {
            Ok(len) if len > held => self.take(at, which, len),
            // It cannot be seen as one piece.
            Ok(_) | Err(_) => self.flush_held(at, which),
        }
    }

    /// Sees to it that more can come after what is held back, and that it will
    /// be noticed.
    pub(crate) fn mind_held(&mut self, at: Key, which: Which) {
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let running = container.life == Life::Running;
        let Some(stream) = container.stream(which) else {
            return;
        };
        if !running || stream.held == 0 || stream.owed() > 0 {
            return;
        }
        if !has_room(stream) {
            return self.flush_held(at, which);
        }
        if stream.filled() > stream.held {
            // That was there already: no news of it will come.
            self.watch(at, which, false);
            self.watch(at, which, true);
        }
    }

    /// Sends the journal what is held back, as the part of a line that it is.
    pub(crate) fn flush_held(&mut self, at: Key, which: Which) {
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let held = container.held(which);
        if held == 0 {
            return;
        }
        let Some(stream) = container.stream(which) else {
            return;
        };
        let skip = stream.owed();
        stream.held = 0;
        let space = self.tables.space.input(held);
        let got = self.peek.look(stream.pipe.as_fd(), skip, held.saturating_sub(1), space);
        if let Ok(len) = got
            && let Some(entries) = &mut container.journal
        {
            let part = space.get(..len).unwrap_or(&[]);
            entries.write(&mut self.journal, container.record.as_fd(), which, part, false);
        }
        self.settle(at, which);
    }
}

/// Whether anything fits into a stream's pipe. Small pieces may take a slot
/// each (pipe(7)): a few bytes can fill it.
fn has_room(stream: &Stream) -> bool {
    if let Some(source) = &stream.source {
        // A key pressed is a slot: this is how much somebody can type.
        return source.has_room() || (source.enlarge_stage().is_ok() && source.has_room());
    }
    // Only a write end can tell.
    let mut path = heapless::String::<32>::new();
    let done = write!(path, "/proc/self/fd/{}\0", stream.pipe.as_raw_fd());
    let path = core::ffi::CStr::from_bytes_with_nul(path.as_bytes());
    let (Ok(()), Ok(path)) = (done, path) else {
        return false;
    };
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
        .is_ok_and(|end| is_ready(end.as_fd(), PollFlags::OUT))
}

/// Whether `fd` is in this state now.
fn is_ready(fd: BorrowedFd<'_>, state: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, state)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let done = poll(&mut fds, Some(&now));
    let [fd] = fds;
    done.is_ok() && fd.revents().contains(state)
}
