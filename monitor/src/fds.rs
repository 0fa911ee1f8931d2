//! Pipes and paths, as everything here needs them.

use std::ffi::CString;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use wire::{AsFd, Errno, OwnedFd};

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

/// A path for rustix, which as built for the roles allocates nothing itself.
///
/// # Errors
/// [`Errno::INVAL`] for a path with a NUL in it; command lines have none.
pub fn c_path(path: &Path) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}
