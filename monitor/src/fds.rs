//! Pipes and paths, as everything here needs them.

use std::ffi::CString;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

use crate::inherited::text;

/// A pipe of which one end is for the container and one for us: ours does not
/// block. Both are close-on-exec.
#[derive(Debug)]
pub struct Pipe {
    /// The container's end.
    pub theirs: OwnedFd,
    /// Our end.
    pub ours: OwnedFd,
}

/// Which end of a pipe is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ours {
    /// We read what the container writes.
    Read,
    /// We write what the container reads.
    Write,
}

/// Makes a pipe.
///
/// # Errors
/// When descriptors have run out.
pub fn pipe(which: Ours) -> Result<Pipe, String> {
    let make = || {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let (ours, theirs) = if which == Ours::Read { (read, write) } else { (write, read) };
        do_not_block(&ours)?;
        Ok(Pipe { theirs, ours })
    };
    make().map_err(|error: Errno| format!("cannot make a pipe: {}", text(error)))
}

/// Sets O_NONBLOCK.
///
/// # Errors
/// Those of fcntl(2).
pub fn do_not_block(fd: impl AsFd) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)
}

/// Opens a log file to append to, and makes it with this mode if it is not there.
/// Does not wait for the reader of a FIFO, if it may read it itself.
///
/// # Errors
/// Those of open(2).
pub fn open_log(path: &Path, mode: Mode) -> Result<OwnedFd, Errno> {
    let path = c_path(path)?;
    let open = |access| {
        let flags = access | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
        rustix::fs::open(path.as_c_str(), flags, mode)
    };
    match open(OFlags::RDWR) {
        Err(Errno::ACCESS | Errno::PERM) => open(OFlags::WRONLY),
        done => done,
    }
}

/// One descriptor for all files of a log, for the hub; see [`wire::bundle`].
///
/// # Errors
/// When descriptors have run out.
pub fn tie_logs(files: &[BorrowedFd<'_>]) -> Result<Option<OwnedFd>, Errno> {
    match files {
        [] => Ok(None),
        [one] => rustix::io::fcntl_dupfd_cloexec(one, 3).map(Some),
        all => wire::bundle::tie(all).map(Some),
    }
}

/// A path for rustix, which as built for the roles allocates nothing itself.
///
/// # Errors
/// [`Errno::INVAL`] for a path with a NUL in it; command lines have none.
pub fn c_path(path: &Path) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}
