//! The output streams of containers: pipes that are looked into, and emptied
//! only when everybody who needs what is in them has it.

use crate::held::Held;
use crate::source::Source;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice, tee};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

/// Bytes that a pipe holds unless it has been enlarged (pipe(7)).
pub(crate) const USUAL: usize = 65_536;

/// Most bytes of output that are read and logged at once.
pub(crate) const CHUNK: usize = 2 * USUAL;

/// Bytes that the pipe of a container gets room for while it prints faster
/// than that is logged. The chunk being logged stays in the pipe meanwhile: in
/// one of the usual size the container would have to wait.
pub(crate) const BUSY: usize = 2 * CHUNK;

/// One output of a container.
pub(crate) struct Stream {
    /// The pipe; always the head of what is still owed to somebody.
    pub(crate) pipe: OwnedFd,
    /// Bytes at the head of the pipe that are in the log, but that a client
    /// has not got yet. As long as there are any, no new output is read.
    pub(crate) logged: usize,
    /// How many of those, the last ones, some log gets only together with what
    /// follows: kept in the pipe until then.
    pub(crate) held: Held,
    /// Whether `pipe` is in the event loop.
    pub(crate) watched: bool,
    /// Whether we have made `pipe` [`BUSY`] bytes large.
    pub(crate) busy: bool,
    /// Whether only news of it are: what is held back stays readable.
    pub(crate) edge: bool,
    /// Where the pipe is filled from, if not by the container itself.
    pub(crate) source: Option<Source>,
}

impl Stream {
    /// A pipe that the container writes to.
    pub(crate) fn new(pipe: OwnedFd, source: Option<Source>) -> Self {
        let held = Held::default();
        Stream { pipe, logged: 0, held, watched: false, busy: false, edge: false, source }
    }

    /// Gives a container that has filled its pipe more room, if it has not got
    /// it; whether it has now. Not a must: where pipes may not be larger, it
    /// waits more often.
    pub(crate) fn make_room(&mut self) -> bool {
        // If the container has set a size itself, it stays.
        if self.busy || self.source.is_some() || fcntl_getpipe_size(&self.pipe) != Ok(USUAL) {
            return false;
        }
        self.busy = fcntl_setpipe_size(&self.pipe, BUSY).is_ok();
        self.busy
    }

    /// Takes that room back from a container that has become quiet.
    pub(crate) fn take_room(&mut self) {
        if self.busy && fcntl_getpipe_size(&self.pipe) == Ok(BUSY) {
            let _ = fcntl_setpipe_size(&self.pipe, USUAL);
        }
        self.busy = false;
    }

    /// Bytes at the head of the pipe that a client has not got.
    pub(crate) fn owed(&self) -> usize {
        self.logged.saturating_sub(self.held.most())
    }

    /// Bytes in the pipe at the moment.
    pub(crate) fn filled(&self) -> usize {
        rustix::io::ioctl_fionread(&self.pipe).unwrap_or(0) as usize
    }
}

/// What is needed to look into pipes: a pipe of our own for copies, and a hole
/// to empty pipes into.
pub(crate) struct Peek {
    read: OwnedFd,
    write: OwnedFd,
    null: OwnedFd,
}

impl Peek {
    /// Opens pipe and hole. Errors: pipe2(2), open(2) of `/dev/null`.
    pub(crate) fn new() -> Result<Self, Errno> {
        let (read, write) = copy_pipe()?;
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
        let null = rustix::fs::open(c"/dev/null", flags, rustix::fs::Mode::empty())?;
        Ok(Peek { read, write, null })
    }

    /// Reads what is in `pipe` after `skip` bytes, and leaves it there. As
    /// read(2), save that [`Errno::NOBUFS`] says that there is something, but
    /// too far from the head to be copied. `known` is how many bytes are worth
    /// nothing without more.
    pub(crate) fn look(
        &mut self,
        pipe: BorrowedFd<'_>,
        skip: usize,
        known: usize,
        into: &mut [u8],
    ) -> Result<usize, Errno> {
        let useless = skip.saturating_add(known);
        let want = skip.saturating_add(into.len());
        let mut copied = tee_all(pipe, self.write.as_fd(), want)?;
        if copied == 0 && useless == 0 {
            return Ok(0);
        }
        if copied <= useless {
            // The copy may have too few slots: the container can enlarge its
            // pipe to 1 MB, and slots may hold a byte each.
            self.empty(copied)?;
            let size = fcntl_getpipe_size(pipe)?;
            fcntl_setpipe_size(&self.write, size).map_err(|_| Errno::NOBUFS)?;
            copied = tee_all(pipe, self.write.as_fd(), want)?;
            if copied <= useless {
                self.empty(copied)?;
                return Err(Errno::NOBUFS);
            }
        }
        self.empty_some(skip, copied)?;
        let mut read = 0;
        while read < copied - skip {
            let rest = into.get_mut(read..copied - skip).unwrap_or(&mut []);
            match rustix::io::read(&self.read, rest) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.renew()?;
                    return Err(error);
                }
            }
        }
        Ok(read)
    }

    /// Takes `count` bytes that have been looked at out of `pipe`.
    pub(crate) fn consume(&self, pipe: BorrowedFd<'_>, count: usize) {
        let mut rest = count;
        while rest > 0 {
            match self.discard(pipe, rest) {
                Ok(0) | Err(_) => break,
                Ok(gone) => rest -= gone,
            }
        }
    }

    /// Takes up to `count` bytes out of `pipe` and forgets them. As read(2).
    pub(crate) fn discard(&self, pipe: BorrowedFd<'_>, count: usize) -> Result<usize, Errno> {
        loop {
            match splice(pipe, None, &self.null, None, count, SpliceFlags::NONBLOCK) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Takes `count` of the `copied` bytes out of the copy.
    fn empty_some(&mut self, count: usize, copied: usize) -> Result<(), Errno> {
        let mut rest = count.min(copied);
        while rest > 0 {
            match self.discard(self.read.as_fd(), rest) {
                Ok(0) | Err(_) => {
                    self.renew()?;
                    return Err(Errno::IO);
                }
                Ok(gone) => rest -= gone,
            }
        }
        Ok(())
    }

    /// Has copies of whole chunks from now on.
    pub(crate) fn make_room(&mut self) {
        let _ = fcntl_setpipe_size(&self.write, CHUNK);
    }

    fn empty(&mut self, copied: usize) -> Result<(), Errno> {
        self.empty_some(copied, copied)
    }

    /// Gets a new pipe for copies, because something is left in the old one.
    fn renew(&mut self) -> Result<(), Errno> {
        (self.read, self.write) = copy_pipe()?;
        Ok(())
    }
}

fn copy_pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
}

/// tee(2) without waiting. 0: the pipe is empty and nobody can write to it.
fn tee_all(from: BorrowedFd<'_>, to: BorrowedFd<'_>, count: usize) -> Result<usize, Errno> {
    loop {
        match tee(from, to, count, SpliceFlags::NONBLOCK) {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
