//! What `/proc` tells about a test's processes and mounts.

use super::system;
use crate::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often something without an event of its own is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A process of the monitor under test.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// The file name of its executable.
    pub name: String,
}

impl Process {
    /// Ends it the hard way.
    pub fn kill(&self) {
        let _ = system::kill(self.pid, libc::SIGKILL);
    }

    /// Its children that have exited and that it has not reaped yet.
    #[must_use]
    pub fn zombies(&self) -> Vec<i32> {
        let path = format!("/proc/{pid}/task/{pid}/children", pid = self.pid);
        let children = fs::read_to_string(path).unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .filter(|pid| is_zombie(*pid))
            .collect()
    }
}

/// Waits until `holds`, asking again and again; for what has no event to wait for.
///
/// # Panics
/// After half as long again as [`wait::limit`], with `what` in the message.
#[track_caller]
pub fn eventually(what: &str, holds: impl FnMut() -> bool) {
    assert!(wait_until(wait::limit() * 3 / 2, holds).is_ok(), "this never happened: {what}");
}

pub(super) fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> Result<(), ()> {
    let end = Instant::now() + patience;
    while !holds() {
        if Instant::now() > end {
            return Err(());
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

/// All living processes whose executable is in `dir`, by rising pid.
pub(super) fn running_from(dir: &Path) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<_> = pids
        .filter_map(|pid| {
            let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
            let name = exe.strip_prefix(dir).ok()?.to_str()?.to_owned();
            Some(Process { pid, name })
        })
        .collect();
    found.sort();
    found
}

/// Mount points below `dir`, innermost first.
pub(super) fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mut found: Vec<_> = points.filter(|point| point.starts_with(dir)).collect();
    found.reverse();
    found
}

/// The state is the field after the name in parentheses; see proc_pid_stat(5).
fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// A hard limit by its name in `/proc/PID/limits`, or none when it is unlimited; see proc_pid_limits(5).
pub(super) fn hard_limit(limits: &str, name: &str) -> Option<u64> {
    let values = limits.lines().find_map(|line| line.strip_prefix(name))?;
    values.split_whitespace().nth(1)?.parse().ok()
}
