//! Programs that see something else at a place of the file system: in a mount namespace of their own
//! (mount_namespaces(7)). Needs root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Scratch;
use crate::error::{Context, Result};

/// Whether we may mount.
#[must_use]
pub fn possible() -> bool {
    let able = Command::new("unshare").args(["-m", "true"]).status();
    able.is_ok_and(|status| status.success())
}

/// A shell command for a program and its arguments to be appended to: they run after `mount`, shell words that find
/// `seen` in `$0`.
#[must_use]
pub fn command(mount: &str, seen: &Path) -> String {
    format!("exec unshare -m sh -c '{mount} && exec \"$@\"' '{}' ", seen.display())
}

/// A program that is `program` after `mount`.
///
/// # Errors
/// It cannot be made.
pub fn wrapper(scratch: &Scratch, mount: &str, seen: &Path, program: &Path) -> Result<PathBuf> {
    let wrapper = scratch.join("in-namespace");
    let text = format!("#!/bin/sh\n{}'{}' \"$@\"\n", command(mount, seen), program.display());
    fs::write(&wrapper, text).context("write the wrapper")?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).context("chmod")?;
    Ok(wrapper)
}
