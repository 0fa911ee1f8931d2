//! The end of a log after a log-writer was killed.

use crate::rotation::is_regular;
use crate::sinks::Form;
use crate::{PROGRAM, fd_path};
use rustix::fs::{Mode, OFlags};
use wire::{AsFd, BorrowedFd, Errno};

/// Repairs a log that a killed log-writer may have left in the middle of a
/// record: takes the torn record away (its output is still in the pipe, and
/// will be logged again), or, if the last line is not one of ours, ends it.
/// `space` is scratch memory: as much as is looked at.
pub(crate) fn repair(file: BorrowedFd<'_>, form: Form, space: &mut [u8]) {
    if let Err(error) = try_repair(file, form, space) {
        wire::error!(PROGRAM, "cannot repair the end of a log: {error}");
    }
}

fn try_repair(file: BorrowedFd<'_>, form: Form, space: &mut [u8]) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(file)?;
    if !is_regular(&stat) || stat.st_size == 0 {
        return Ok(());
    }
    let reader = fd_path::with(file, |path| {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    })?;

    let size = stat.st_size as u64;
    let from = size.saturating_sub(space.len() as u64);
    let read = rustix::io::pread(&reader, &mut *space, from)?;
    let tail = space.get(..read).unwrap_or(&[]);
    if tail.last() == Some(&b'\n') {
        return Ok(());
    }
    let line_start = memchr::memrchr(b'\n', tail).map_or(0, |at| at + 1);
    let line = tail.get(line_start..).unwrap_or(&[]);
    if (line_start > 0 || from == 0) && form.begins(line) {
        return rustix::fs::ftruncate(file, from + line_start as u64);
    }
    rustix::io::write(file.as_fd(), b"\n").map(drop)
}
