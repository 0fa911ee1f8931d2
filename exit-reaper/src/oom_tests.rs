//! Tests of what counters mean, on files that look like the kernel's, and of
//! the way cgroup v2 wakes us, on a real group where there is one.

#![allow(clippy::unwrap_used)]

use super::*;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use wire::record::Encoder;

const V1: &str = "oom_kill_disable 0\nunder_oom 0\n";
const V2: &str = "low 0\nhigh 0\nmax 12\n";

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("conmote-oom-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The record of a container whose counter is at `path`.
fn record(path: &Path, ooms: Option<u64>, kills: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
    record.string(Tag::OomCounter, path.as_os_str().as_bytes());
    record.number(Tag::OomKillsBefore, kills);
    if let Some(ooms) = ooms {
        record.number(Tag::OomsBefore, ooms);
    }
    bytes
}

/// What is found where `text` is in the counter file.
fn found(scratch: &Scratch, text: &str, record: &[u8]) -> Found {
    std::fs::write(scratch.0.join("counter"), text).unwrap();
    look(Fields::new(record).unwrap(), false)
}

#[test]
fn on_v2_a_new_oom_or_kill_counts_and_other_changes_do_not() {
    let scratch = Scratch::new("v2");
    let record = record(&scratch.0.join("counter"), Some(2), 1);
    let found = |text: &str| found(&scratch, &format!("{V2}{text}"), &record);
    assert_eq!(found("oom 2\noom_kill 1\n"), Found::Nothing);
    assert_eq!(found("oom 3\noom_kill 1\n"), Found::RanOut);
    assert_eq!(found("oom 2\noom_kill 2\n"), Found::RanOut);
    assert_eq!(found("oom 0\noom_kill 0\n"), Found::Nothing);
}

#[test]
fn on_v1_only_kills_of_this_start_count_and_they_may_come_late() {
    let scratch = Scratch::new("v1");
    let record = record(&scratch.0.join("counter"), None, 4);
    let found = |text: &str| found(&scratch, &format!("{V1}{text}"), &record);
    assert_eq!(found("oom_kill 4\n"), Found::NothingYet);
    assert_eq!(found("oom_kill 5\n"), Found::RanOut);
    assert_eq!(found("oom_kill 0\n"), Found::NothingYet);
}

#[test]
fn a_group_that_is_gone_means_a_kill_only_when_one_was_announced() {
    let scratch = Scratch::new("gone");
    let record = record(&scratch.0.join("gone/counter"), None, 0);
    let fields = Fields::new(&record).unwrap();
    assert_eq!(look(fields, false), Found::Nothing);
    assert_eq!(look(fields, true), Found::RanOut);
}

/// In CI nobody is to take this for passed.
fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
    eprintln!("skipped: {why}");
}

#[test]
fn a_counter_file_of_cgroup_v2_wakes_who_never_reads_it() {
    // The second is where systems that still use v1 beside it have it.
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
    let Some(root) = roots.into_iter().find(|root| root.join("cgroup.procs").exists()) else {
        return skipped("no cgroup v2 here");
    };
    let group = root.join(format!("conmote-oom-test-{}", std::process::id()));
    if std::fs::create_dir(&group).is_err() {
        return skipped("may not make a group of cgroup v2");
    }
    let woken = wakes(&group);
    std::fs::remove_dir(&group).unwrap();
    // Adding is an event of its own; then there is one for the change, no more.
    assert_eq!(woken, [1, 0, 1, 0]);
}

/// How many events there are after adding, after that, after a change, after
/// that. The file has to change without memory pressure, so it is another.
fn wakes(group: &Path) -> Vec<usize> {
    use rustix::fs::{Mode, OFlags};
    use wire::event::Events;
    let path = std::ffi::CString::new(group.join("cgroup.events").as_os_str().as_bytes()).unwrap();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path.as_c_str(), flags, Mode::empty()).unwrap();
    let events = Events::new().unwrap();
    events.add(&file, 0, EventFlags::IN | EventFlags::PRI | EventFlags::ET).unwrap();
    let mut ready = heapless::Vec::new();
    let mut count = |timeout| {
        events.wait(Some(timeout), &mut ready).unwrap();
        ready.len()
    };
    let mut counts = vec![count(0), count(0)];
    std::fs::write(group.join("cgroup.freeze"), "1").unwrap();
    // The kernel may put such an event off for some milliseconds.
    counts.extend([count(10_000), count(0)]);
    counts
}
