//! Starting a log file anew.

use crate::PROGRAM;
use core::ffi::CStr;
use core::fmt::Write;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

/// Permissions of a new log file, as conmon's.
const MODE: Mode = Mode::from_raw_mode(0o640);

/// Longest path, its NUL included (PATH_MAX of limits.h).
const PATH_MAX: usize = 4096;

/// How many names are tried for the new file before it has the log's name.
const TRIES: u32 = 16;

/// What became of a log.
#[derive(Debug)]
pub(crate) enum Reopened {
    /// From now on this file is the log.
    New(OwnedFd),
    /// The file stays; its old content is gone.
    Emptied,
    /// Everything stays: what is not a regular file is never replaced.
    Same,
}

/// Whether this is a regular file.
pub(crate) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// Starts the log `file` anew under `path`. If somebody has renamed or removed
/// it, what is at `path` becomes the log (it is created if nothing is). If it
/// is still in place, an empty file replaces it: the old content is gone. A
/// symbolic link stays where it is; then the file behind it is emptied.
///
/// Errors are those of open(2), rename(2) and ftruncate(2); the log is then as
/// it was.
pub(crate) fn reopen(path: &CStr, file: BorrowedFd<'_>) -> Result<Reopened, Errno> {
    let own = rustix::fs::fstat(file)?;
    let is_own = |stat: &Stat| (stat.st_dev, stat.st_ino) == (own.st_dev, own.st_ino);
    match rustix::fs::stat(path) {
        Ok(named) if is_own(&named) => {}
        Ok(_) | Err(Errno::NOENT) => return open(path).map(Reopened::New),
        Err(error) => return Err(error),
    }
    if !is_regular(&own) {
        return Ok(Reopened::Same);
    }
    let entry = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    if !is_own(&entry) {
        rustix::fs::ftruncate(file, 0)?;
        return Ok(Reopened::Emptied);
    }
    replace(path).map(Reopened::New)
}

/// Opens what is at `path`, or a new file, for appending.
fn open(path: &CStr) -> Result<OwnedFd, Errno> {
    // O_NONBLOCK is for a FIFO that nobody reads.
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK | OFlags::NOCTTY;
    rustix::fs::open(path, flags | OFlags::CLOEXEC, MODE)
}

/// Puts a new, empty file in the place of `path`, which exists at any moment.
fn replace(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let pid = rustix::process::getpid().as_raw_nonzero();
    for turn in 0..TRIES {
        let mut name = heapless::Vec::<u8, PATH_MAX>::new();
        let named = name.extend_from_slice(path.to_bytes());
        named.map_err(|_| Errno::NAMETOOLONG)?;
        write!(name, ".{pid}.{turn}.tmp\0").map_err(|_| Errno::NAMETOOLONG)?;
        let new = CStr::from_bytes_with_nul(&name).map_err(|_| Errno::INVAL)?;
        let file = match rustix::fs::open(new, flags, MODE) {
            Err(Errno::EXIST) => continue,
            other => other?,
        };
        if let Err(error) = rustix::fs::rename(new, path) {
            let _ = rustix::fs::unlink(new);
            return Err(error);
        }
        return Ok(file);
    }
    Err(Errno::EXIST)
}

/// Repairs a log that a killed log-writer may have left in the middle of a
/// record: takes the torn record away (its output is still in the pipe, and
/// will be logged again), or, if the last line is not one of ours, ends it.
/// `space` is scratch memory: as much as is looked at.
pub(crate) fn repair(file: BorrowedFd<'_>, space: &mut [u8]) {
    if let Err(error) = try_repair(file, space) {
        wire::error!(PROGRAM, "cannot repair the end of a log: {error}");
    }
}

fn try_repair(file: BorrowedFd<'_>, space: &mut [u8]) -> Result<(), Errno> {
    use rustix::fd::AsRawFd;
    let stat = rustix::fs::fstat(file)?;
    if !is_regular(&stat) || stat.st_size == 0 {
        return Ok(());
    }
    let mut name = heapless::String::<32>::new();
    let number = file.as_raw_fd();
    write!(name, "/proc/self/fd/{number}\0").map_err(|_| Errno::INVAL)?;
    let name = CStr::from_bytes_with_nul(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    let reader = rustix::fs::open(name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;

    let size = stat.st_size as u64;
    let from = size.saturating_sub(space.len() as u64);
    let read = rustix::io::pread(&reader, &mut *space, from)?;
    let tail = space.get(..read).unwrap_or(&[]);
    if tail.last() == Some(&b'\n') {
        return Ok(());
    }
    let line_start = memchr::memrchr(b'\n', tail).map_or(0, |at| at + 1);
    let line = tail.get(line_start..).unwrap_or(&[]);
    if (line_start > 0 || from == 0) && begins_like_a_record(line) {
        return rustix::fs::ftruncate(file, from + line_start as u64);
    }
    rustix::io::write(file.as_fd(), b"\n").map(drop)
}

/// Whether `line` is a record, or the beginning of one.
fn begins_like_a_record(line: &[u8]) -> bool {
    let form = b"dddd-dd-ddTdd:dd:dd.ddddddddd+dd:dd std";
    form.iter().zip(line).all(|(form, byte)| match (form, byte) {
        (b'd', byte) if byte.is_ascii_digit() => true,
        (b'+', b'-') => true,
        (form, byte) => form == byte,
    })
}
