//! Logs that keep their old files when they are started anew.

use super::Hub;
use super::hub::Options;
use super::io::{open_log, packet, print};
use super::rotation::reopen;
use super::scratch::{Scratch, printed};
use crate::rotation::Reopened;
use rustix::fs::{FileType, OFlags, fcntl_getfl};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use wire::{Errno, Message};

/// Records of 46 + 4 bytes: one fits.
const ONE: Option<u64> = Some(60);

fn keeping(backups: u64) -> Options {
    Options { limit: ONE, backups: Some(backups), ..Options::default() }
}

/// What a log and its backups hold, newest first.
fn contents(scratch: &Scratch) -> Vec<String> {
    let read = |name: &str| {
        let bytes = std::fs::read(scratch.path(name)).ok()?;
        Some(String::from_utf8(printed(&bytes, "stdout")).unwrap())
    };
    let numbers = (1..).map_while(|number| read(&format!("log.{number}")));
    [read("log").unwrap_or_default()].into_iter().chain(numbers).collect()
}

/// Prints lines of four digits, each for a file of its own.
fn print_lines(hub: &Hub, container: wire::Key, lines: std::ops::RangeInclusive<u32>) {
    let out = hub.stdout(container);
    for line in lines {
        print(&out, format!("{line:03}\n").as_bytes());
    }
    hub.send(Message::Drain { container }, &[]);
    loop {
        match hub.next() {
            (Message::Drained { .. }, _) => return,
            (message, _) => assert_eq!(message, Message::Log { container }),
        }
    }
}

#[test]
fn so_many_backups_are_kept_and_not_one_more() {
    for (backups, expected) in [
        (1, &["005\n", "004\n"][..]),
        (2, &["005\n", "004\n", "003\n"]),
        (4, &["005\n", "004\n", "003\n", "002\n", "001\n"]),
        (9, &["005\n", "004\n", "003\n", "002\n", "001\n"]),
    ] {
        let hub = Hub::busy();
        let container = hub.container_with(1, keeping(backups));
        print_lines(&hub, container, 1..=5);
        assert_eq!(contents(&hub.scratch), expected);
        assert_eq!(hub.scratch.names().len(), expected.len(), "{:?}", hub.scratch.names());
    }
}

#[test]
fn a_new_file_is_private_and_appended_to() {
    let scratch = Scratch::new();
    let path = scratch.path("log");
    let log = open_log(&path);
    let Ok(Reopened::New(file)) = reopen(&path, &log, 1) else { panic!("no new file") };
    assert!(fcntl_getfl(&file).unwrap().contains(OFlags::APPEND));
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777 & !0o640, 0);
}

#[test]
fn an_empty_log_is_not_rotated_for_a_record_that_is_too_large() {
    let hub = Hub::busy();
    let container = hub.container_with(1, keeping(3));
    let out = hub.stdout(container);
    print(&out, &[vec![b'x'; 500], b"\n".to_vec()].concat());
    hub.drain(container);
    assert_eq!(hub.scratch.names(), ["log"]);
}

/// Puts files with these names and contents there, and rotates `log`.
fn rotated(names: &[&str], backups: u64) -> (Scratch, Result<Reopened, Errno>) {
    let scratch = Scratch::new();
    for name in names {
        std::fs::write(scratch.path(name), name).unwrap();
    }
    let log = open_log(&scratch.path("log"));
    let done = reopen(&scratch.path("log"), &log, backups);
    (scratch, done)
}

fn read(scratch: &Scratch, name: &str) -> String {
    std::fs::read_to_string(scratch.path(name)).unwrap()
}

#[test]
fn a_rotation_that_was_interrupted_is_gone_on_with_and_loses_no_backup() {
    // Killed after the oldest had moved: there is a hole, which is filled.
    let (scratch, done) = rotated(&["log", "log.1", "log.3"], 3);
    assert!(matches!(done, Ok(Reopened::New(_))));
    assert_eq!(scratch.names(), ["log", "log.1", "log.2", "log.3"]);
    assert_eq!([1, 2, 3].map(|n| read(&scratch, &format!("log.{n}"))), ["log", "log.1", "log.3"]);

    // All have moved, the log has not.
    let (scratch, _) = rotated(&["log", "log.2", "log.3"], 3);
    assert_eq!([1, 2, 3].map(|n| read(&scratch, &format!("log.{n}"))), ["log", "log.2", "log.3"]);

    // The log has its new name, but nothing has the old one.
    let scratch = Scratch::new();
    let log = open_log(&scratch.path("log.1"));
    let done = reopen(&scratch.path("log"), &log, 3);
    assert!(matches!(done, Ok(Reopened::New(_))));
    assert_eq!(scratch.names(), ["log", "log.1"]);
}

#[test]
fn what_earlier_runs_left_is_no_obstacle() {
    let (scratch, done) = rotated(&["log", "log.new", "log.tmp", "log.1.0.tmp"], 1);
    assert!(matches!(done, Ok(Reopened::New(_))));
    assert_eq!(scratch.names(), ["log", "log.1", "log.1.0.tmp", "log.new", "log.tmp"]);
}

#[test]
fn a_symbolic_link_is_never_rotated_nor_is_what_it_leads_to() {
    let scratch = Scratch::new();
    let (link, file) = (scratch.path("link"), scratch.path("file"));
    std::fs::write(&file, b"old").unwrap();
    symlink("file", &link).unwrap();
    let log = open_log(&link);
    assert_eq!(reopen(&link, &log, 3).err(), Some(Errno::LOOP));
    assert_eq!(read(&scratch, "file"), "old");
    assert_eq!(scratch.names(), ["file", "link"]);
}

#[test]
fn a_link_in_the_place_of_a_backup_is_replaced_and_not_followed() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("victim"), b"untouched").unwrap();
    symlink("victim", scratch.path("log.1")).unwrap();
    let log = open_log(&scratch.path("log"));
    assert!(reopen(&scratch.path("log"), &log, 1).is_ok());
    assert_eq!(read(&scratch, "victim"), "untouched");
    assert!(!std::fs::symlink_metadata(scratch.path("log.1")).unwrap().is_symlink());
}

#[test]
fn a_device_is_never_rotated() {
    let scratch = Scratch::new();
    let path = scratch.path("null");
    let name = super::scratch::c_path(&path);
    let device = rustix::fs::makedev(1, 3);
    let mode = 0o600.into();
    let kind = FileType::CharacterDevice;
    if rustix::fs::mknodat(rustix::fs::CWD, &name[..], kind, mode, device).is_err() {
        eprintln!("not tested: making a device takes root");
        return;
    }
    let log = open_log(&path);
    assert!(matches!(reopen(&path, &log, 2), Ok(Reopened::Same)));
    assert!(matches!(reopen(&path, &log, 0), Ok(Reopened::Same)));
    assert_eq!(scratch.names(), ["null"]);
}

#[test]
fn after_somebody_else_renamed_the_log_only_its_name_is_opened() {
    let scratch = Scratch::new();
    let path = scratch.path("log");
    let log = open_log(&path);
    std::fs::rename(&path, scratch.path("taken")).unwrap();
    std::fs::write(scratch.path("log.1"), b"one").unwrap();
    assert!(matches!(reopen(&path, &log, 3), Ok(Reopened::New(_))));
    assert_eq!(scratch.names(), ["log", "log.1", "taken"]);
    assert_eq!(read(&scratch, "log.1"), "one");
}

#[test]
fn a_path_may_have_dots_in_it() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("a")).unwrap();
    let path = scratch.path("a/../a/./../log");
    let log = open_log(&path);
    assert!(matches!(reopen(&path, &log, 1), Ok(Reopened::New(_))));
    assert_eq!(scratch.names(), ["a", "log", "log.1"]);
}

#[test]
fn a_log_that_cannot_be_rotated_goes_on_in_the_old_file_and_loses_nothing() {
    let hub = Hub::busy();
    // A file cannot be renamed to a directory.
    std::fs::create_dir(hub.scratch.path("log.1")).unwrap();
    let container = hub.container_with(1, keeping(1));
    print_lines(&hub, container, 1..=50);
    let expected: String = (1..=50).map(|line| format!("{line:03}\n")).collect();
    assert_eq!(printed(&hub.log(), "stdout"), expected.as_bytes());
    assert_eq!(hub.scratch.names(), ["log", "log.1"]);
}

#[test]
fn no_line_is_lost_or_cut_by_rotation() {
    let hub = Hub::busy();
    let options = Options { limit: Some(5000), backups: Some(1000), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    let text = super::io::numbered(400_000);
    // In pieces that end within lines.
    for piece in text.chunks(7_001) {
        print(&out, piece);
        while !packet(&client).ends_with(&piece[piece.len() - 3..]) {}
    }
    hub.send(Message::Drain { container }, &[]);
    while hub.next().0 != (Message::Drained { container }) {}
    let all = contents(&hub.scratch);
    assert!(all.len() > 100, "{}", all.len());
    assert!(all.into_iter().rev().collect::<String>().as_bytes() == text);
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let names = hub.scratch.names();
    assert!(names.iter().all(|name| size(&hub.scratch.path(name)) <= 7_100));
}

#[test]
fn a_record_torn_in_a_file_that_the_hub_does_not_know_is_taken_away() {
    let hub = Hub::busy();
    let container = hub.container(1);
    // A log-writer was killed after it had rotated and written.
    std::fs::rename(hub.scratch.path("log"), hub.scratch.path("log.1")).unwrap();
    let whole = "2024-02-29T23:59:59.999999999+00:00 stdout F whole\n";
    std::fs::write(hub.scratch.path("log"), format!("{whole}2024-02-29T2")).unwrap();
    hub.send(Message::Reopen { container }, &[]);
    hub.expect(Message::Log { container });
    hub.expect(Message::Reopened { container, failed: false });
    let out = hub.stdout(container);
    print(&out, b"next\n");
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"whole\nnext\n");
}
