//! Finding the processes of one test in /proc (`proc(5)`), by a marker in their environment.

use std::collections::BTreeMap;
use std::fs;

/// The variable whose value tells the processes of one test from all others.
pub const MARKER: &str = "CONMOTE_TEST_ID";

/// The variable that only a container's own processes carry.
pub const IN_CONTAINER: &str = "CONMOTE_TEST_CONTAINER";

/// Whose process it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The binary under test, or a role of it.
    Monitor,
    /// The small OCI runtime, at work or waiting for `start`.
    Runtime,
    /// A process of a container.
    Container,
}

/// One line of the process table.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's number.
    pub parent: i32,
    /// The first 15 bytes of its program's name.
    pub name: String,
    /// The kernel's letter for its state; `Z` is a zombie.
    pub state: char,
    /// Whose it is.
    pub kind: Kind,
}

impl Process {
    /// What `/proc/PID/NAME` says, empty if it cannot be read.
    pub fn proc_file(&self, name: &str) -> String {
        proc_file(self.pid, name)
    }

    /// Private dirty memory in kB: what this process alone costs (`/proc/PID/smaps_rollup`).
    pub fn private_dirty_kb(&self) -> Option<u64> {
        field(&self.proc_file("smaps_rollup"), "Private_Dirty:")
    }

    /// Open descriptors by number, with what each refers to.
    pub fn fds(&self) -> BTreeMap<i32, String> {
        fds(self.pid)
    }

    /// Whether it waits for events (epoll_pwait(2)).
    pub fn waits(&self) -> bool {
        let call = self.proc_file("syscall");
        call.split(' ').next() == Some(&libc::SYS_epoll_pwait.to_string())
    }
}

/// What `/proc/PID/NAME` says, empty if it cannot be read.
pub fn proc_file(pid: i32, name: &str) -> String {
    let bytes = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The number after `name` in a file of `Name: number` lines.
pub fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A mask in hex after `name` in `/proc/PID/status`, e.g. `SigIgn:`.
pub fn mask(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Open descriptors of `pid` by number, with what each refers to.
pub fn fds(pid: i32) -> BTreeMap<i32, String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return BTreeMap::new();
    };
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let target = fs::read_link(entry.path()).ok()?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, target.to_string_lossy().into_owned()))
    };
    entries.filter_map(entry).collect()
}

/// Processor time that `pid` has used so far, user and system, in ticks of 10 ms (`/proc/PID/stat`, fields 14 and 15).
pub fn ticks(pid: i32) -> u64 {
    let stat = proc_file(pid, "stat");
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let times = after_name.split(' ').skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}

/// All processes whose environment holds the marker with this value, and their descendants (a zombie, for one, has no
/// environment any more). Never the calling process.
pub fn marked(id: &str) -> Vec<Process> {
    let me = std::process::id() as i32;
    let all: BTreeMap<i32, Process> =
        pids().filter(|pid| *pid != me).filter_map(|pid| Some((pid, look(pid)?))).collect();
    let own: BTreeMap<i32, Kind> =
        all.values().filter_map(|p| Some((p.pid, kind(p, id)?))).collect();
    let of = |process: &Process| {
        let mut pid = process.pid;
        // A chain of parents is never longer than the table.
        for _ in 0..all.len() {
            if let Some(kind) = own.get(&pid) {
                return Some(*kind);
            }
            pid = all.get(&pid)?.parent;
        }
        None
    };
    let with_kind = |process: &Process| Some(Process { kind: of(process)?, ..process.clone() });
    all.values().filter_map(with_kind).collect()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Reads /proc/PID/stat: `pid (name) state parent …`, where the name may hold blanks and brackets.
fn look(pid: i32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (before, after) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    let mut rest = after.split_whitespace();
    Some(Process {
        pid,
        name: name.to_owned(),
        state: rest.next()?.chars().next()?,
        parent: rest.next()?.parse().ok()?,
        kind: Kind::Monitor,
    })
}

/// Whose process it says it is itself, if it carries the marker.
fn kind(process: &Process, id: &str) -> Option<Kind> {
    let environ = fs::read(format!("/proc/{}/environ", process.pid)).ok()?;
    let mut variables = environ.split(|byte| *byte == 0);
    let wanted = format!("{MARKER}={id}");
    if !variables.clone().any(|variable| variable == wanted.as_bytes()) {
        return None;
    }
    if variables.any(|variable| variable.starts_with(IN_CONTAINER.as_bytes())) {
        return Some(Kind::Container);
    }
    if process.name == "small-runtime" {
        return Some(Kind::Runtime);
    }
    // As a runtime it is gone at once; what stays is the container.
    if process.name == "bare" {
        return Some(Kind::Container);
    }
    Some(Kind::Monitor)
}
