//! Starting a log file anew, with or without keeping what it had.

use crate::place::Place;
use rustix::fs::{FileType, Mode, Stat};
use wire::{BorrowedFd, Errno, OwnedFd};

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

/// Starts the log `file` anew at its place. If somebody has renamed or removed
/// it, what is there now becomes the log (it is created if nothing is).
///
/// If it is still in place: with `backups`, it becomes the newest of so many
/// (`.1`), and each older one gets the next number. Without, an empty file
/// replaces it: the old content is gone. A symbolic link stays where it is:
/// the file behind it is emptied, or, with backups, nothing happens
/// ([`Errno::LOOP`]).
///
/// A new file has the permissions of the one before it: whoever made that knew
/// who may read it.
///
/// Other errors are those of open(2), rename(2) and ftruncate(2); the log is
/// then as it was.
pub(crate) fn reopen(
    place: &Place<'_>,
    file: BorrowedFd<'_>,
    backups: u64,
) -> Result<Reopened, Errno> {
    let own = rustix::fs::fstat(file)?;
    let is_own = |stat: &Stat| (stat.st_dev, stat.st_ino) == (own.st_dev, own.st_ino);
    let name = place.name()?;
    let mode = Mode::from_raw_mode(own.st_mode & 0o666);
    match place.stat(&name, true) {
        Ok(named) if is_own(&named) => {}
        Ok(_) | Err(Errno::NOENT) => return place.open(mode).map(Reopened::New),
        Err(error) => return Err(error),
    }
    if !is_regular(&own) {
        return Ok(Reopened::Same);
    }
    let is_link = !is_own(&place.stat(&name, false)?);
    match (is_link, backups) {
        (false, 0) => replace(place, mode).map(Reopened::New),
        (false, _) => keep(place, backups, mode).map(Reopened::New),
        (true, 0) => rustix::fs::ftruncate(file, 0).map(|()| Reopened::Emptied),
        (true, _) => Err(Errno::LOOP),
    }
}

/// Puts a new, empty file in the place of the log, which exists at any moment.
fn replace(place: &Place<'_>, mode: Mode) -> Result<OwnedFd, Errno> {
    let pid = rustix::process::getpid().as_raw_nonzero();
    for turn in 0..TRIES {
        let new = place.with_end(format_args!(".{pid}.{turn}.tmp"))?;
        let file = match place.create(&new, mode) {
            Err(Errno::EXIST) => continue,
            other => other?,
        };
        if let Err(error) = place.rename(&new, &place.name()?) {
            place.unlink(&new);
            return Err(error);
        }
        return Ok(file);
    }
    Err(Errno::EXIST)
}

/// Makes the log the newest backup, and a new file the log.
///
/// Each step is one rename(2), and whoever finds the steps half done goes on:
/// a number that is free ends the row that has to move, and a log without its
/// name is one that [`reopen`] makes a new file for.
fn keep(place: &Place<'_>, backups: u64, mode: Mode) -> Result<OwnedFd, Errno> {
    let backup = |number: u64| place.with_end(format_args!(".{number}"));
    let mut last = 1;
    while last < backups {
        match place.stat(&backup(last)?, false) {
            Ok(_) => last += 1,
            Err(Errno::NOENT) => break,
            Err(error) => return Err(error),
        }
    }
    for number in (1..last).rev() {
        place.rename(&backup(number)?, &backup(number + 1)?)?;
    }
    let (name, newest) = (place.name()?, backup(1)?);
    place.rename(&name, &newest)?;
    place.create(&name, mode).inspect_err(|_| {
        // If that fails too, the next try finds a log without its name.
        let _ = place.rename_back(&newest, &name);
    })
}
