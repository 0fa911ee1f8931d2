//! Opening log files, while the caller can still be told that it fails.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::AsRawFd;
use rustix::fs::{FileType, Mode, fstat};
use wire::OwnedFd;

use crate::conmon::config::LogFile;
use crate::conmon::strerror::strerror;
use crate::fds;

/// Permissions of a new log file, less the umask: the engine's group may read.
const MODE: Mode = Mode::from_raw_mode(0o640);

/// The directories of `--log-allowlist-dir` as they really are; those that do
/// not exist allow nothing. `None` if the option is not given.
pub fn allowed(directories: &[PathBuf]) -> Option<Vec<PathBuf>> {
    let real = directories.iter().filter_map(|directory| fs::canonicalize(directory).ok());
    (!directories.is_empty()).then(|| real.collect())
}

/// Opens or creates a log for appending; symbolic links are followed and the
/// file is closed on exec. With `allowed` it must be in one of these
/// directories, or below one.
///
/// Readable too where permissions allow it, so that the log's writer can look
/// at what the file ends with.
///
/// # Errors
/// One line that names the file.
pub fn open(path: &Path, allowed: Option<&[PathBuf]>) -> Result<LogFile, String> {
    let failed = |error: io::Error| {
        format!("Failed to open log file {}: {}", path.display(), strerror(&error))
    };
    let refused = || {
        format!(
            "log file {} is in no directory given with --log-allowlist-dir; log to one of those",
            path.display()
        )
    };
    let path = std::path::absolute(path).map_err(failed)?;
    // Before it is made; and once more when it is open, as links may change.
    if let Some(allowed) = allowed
        && !is_below(&real(&path).map_err(failed)?, allowed)
    {
        return Err(refused());
    }
    let fd = fds::open_log(&path, MODE)
        .map_err(|error| failed(io::Error::from_raw_os_error(error.raw_os_error())))?;
    if let Some(allowed) = allowed
        && !is_below(&opened(&fd).map_err(failed)?, allowed)
    {
        return Err(refused());
    }
    Ok(LogFile { path, fd })
}

/// The path of a log without symbolic links, if it exists or its directory does.
fn real(path: &Path) -> io::Result<PathBuf> {
    if fs::symlink_metadata(path).is_ok() {
        return fs::canonicalize(path);
    }
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    Ok(fs::canonicalize(path.parent().unwrap_or(Path::new("/")))?.join(name))
}

/// The path under which a file is open.
fn opened(file: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn is_below(file: &Path, directories: &[PathBuf]) -> bool {
    let parent = file.parent().unwrap_or(file);
    directories.iter().any(|directory| parent.starts_with(directory))
}

/// Refuses one file for logs of two formats: neither could be read.
///
/// # Errors
/// One line that names the file.
pub fn check_distinct(one: &LogFile, other: &LogFile) -> Result<(), String> {
    let is = |log: &LogFile| {
        let stat = fstat(&log.fd).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        regular.then_some((stat.st_dev, stat.st_ino))
    };
    if is(one).is_some() && is(one) == is(other) {
        return Err(format!(
            "k8s-file and json-file cannot share {}; give each a file of its own",
            one.path.display()
        ));
    }
    Ok(())
}
