//! The checks before a server starts, in conmonrs's order and words.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Options, Stop};

/// Checks what the server was started with, and makes its folders.
///
/// # Errors
/// [`Stop::Failed`]: what is missing, or cannot be made.
pub fn validate(options: &Options) -> Result<(), Stop> {
    check(options)
        .map_err(|reasons| Stop::Failed("create server", [vec![VALIDATE.into()], reasons].concat()))
}

const VALIDATE: &str = "validate config";

fn check(options: &Options) -> Result<(), Vec<String>> {
    let Options { runtime, runtime_dir, runtime_root, .. } = options;
    for (path, name) in [(runtime, "runtime"), (runtime_dir, "runtime-dir")] {
        if path.as_os_str().as_bytes().trim_ascii().is_empty() {
            return Err(vec![format!("--{name} flag not set")]);
        }
    }
    if !runtime.exists() {
        return Err(vec![format!("--runtime '{}' does not exist", runtime.display())]);
    }
    make(runtime_dir)?;
    if let Some(root) = runtime_root {
        if !root.exists() {
            make(root)?;
        }
        if !root.is_dir() {
            return Err(vec![format!("--runtime-root '{}' does not exist", root.display())]);
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), Vec<String>> {
    fs::create_dir_all(folder).map_err(|error| {
        vec![format!("create directory '{}'", folder.display()), error.to_string()]
    })
}
