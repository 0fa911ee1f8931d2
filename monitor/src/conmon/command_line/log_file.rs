//! Opening the log file, while the caller can still be told that it fails.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::conmon::strerror::strerror;

/// Permissions of a new log file, less the umask: the engine's group may read.
const MODE: u32 = 0o640;

/// Opens or creates the log for appending; symbolic links are followed and the
/// file is closed on exec.
///
/// Readable too where permissions allow it, so that the log's writer can look
/// at what the file ends with.
///
/// # Errors
/// One line that names the file.
pub fn open(path: &Path) -> Result<OwnedFd, String> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE);
    options
        .clone()
        .read(true)
        .open(path)
        .or_else(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => options.open(path),
            _ => Err(error),
        })
        .map(OwnedFd::from)
        .map_err(|error| {
            format!("Failed to open log file {}: {}", path.display(), strerror(&error))
        })
}
