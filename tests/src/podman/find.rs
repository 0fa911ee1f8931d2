//! What a test needs from the machine: podman, runc, busybox, and the monitor under test.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::under_test;

/// What the roles' binaries are called; they live next to `monitor`.
const ROLES: [&str; 3] = ["exit-reaper", "log-writer", "attach-proxy"];

/// OCI runtimes that will do, the first one rather: it works where control groups are of the old kind, too.
const RUNTIMES: [&str; 2] = ["runc", "crun"];

/// What this machine lacks for podman tests, if anything.
pub(super) fn missing() -> Option<String> {
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return Some("they need root".into());
    }
    if runtime().is_none() {
        return Some(format!("none of {} is installed", RUNTIMES.join(", ")));
    }
    let gone = ["podman", "busybox"].into_iter().find(|name| in_path(name).is_none())?;
    Some(format!("{gone} is not installed"))
}

/// The OCI runtime that the tests' own podman uses.
pub(super) fn runtime() -> Option<&'static str> {
    RUNTIMES.into_iter().find(|name| in_path(name).is_some())
}

/// The static busybox that becomes each container's root.
pub(super) fn busybox() -> PathBuf {
    in_path("busybox").unwrap_or_else(|| "busybox".into())
}

/// A new, empty directory for one test.
pub(super) fn fresh_directory() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("conmote-podman-{}-{number}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
    dir
}

/// Copies the monitor under test, with its roles if it has any, into `bin` and returns the copy's path.
pub(super) fn copy_of_monitor(bin: &Path) -> PathBuf {
    let monitor = monitor();
    fs::create_dir_all(bin).unwrap_or_else(|e| panic!("cannot create {}: {e}", bin.display()));
    for role in ROLES {
        let from = monitor.with_file_name(role);
        if from.exists() {
            fs::copy(&from, bin.join(role))
                .unwrap_or_else(|e| panic!("cannot copy {}: {e}", from.display()));
        }
    }
    let copy = bin.join(monitor.file_name().unwrap_or_default());
    fs::copy(monitor, &copy).unwrap_or_else(|e| panic!("cannot copy {}: {e}", monitor.display()));
    copy
}

/// The monitor under test; the workspace's own is built if nobody has done so.
pub(super) fn monitor() -> &'static Path {
    static MONITOR: OnceLock<PathBuf> = OnceLock::new();
    MONITOR.get_or_init(|| {
        let path = under_test::binary().unwrap_or_else(|error| panic!("{error}"));
        fs::canonicalize(&path)
            .unwrap_or_else(|e| panic!("no monitor to test at {}: {e}", path.display()))
    })
}

fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
}
