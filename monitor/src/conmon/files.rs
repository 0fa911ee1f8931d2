//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file (mode 0644) under a temporary name beside it and renames it,
/// so that nobody ever reads half of it.
///
/// # Errors
/// Those of open(2), write(2) and rename(2); nothing is left behind then.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary: OsString = path.into();
    temporary.push(format!(".{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary);
    let done = file
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done
}
