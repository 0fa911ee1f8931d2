//! Logs that are started anew.

use super::hub::Options;
use super::io::{open_log, packet, print, wait};
use super::scratch::{c_path, parse, printed};
use super::{Hub, Scratch};
use crate::place::Place;
use crate::repair::repair;
use crate::rotation::Reopened;
use crate::sinks::Form;
use rustix::event::PollFlags;
use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat};
use std::os::unix::fs::MetadataExt;
use wire::record::{Encoder, Fields, Tag};
use wire::{AsFd, Errno, Message, OwnedFd};

#[test]
fn a_log_over_its_limit_starts_anew_with_the_newest_record() {
    let hub = Hub::busy();
    // Two records of 46 + 4 bytes and not one byte more.
    let limit = Some(100);
    let options = Options { limit, ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, b"one1\ntwo2\n");
    packet(&client);
    assert_eq!(printed(&hub.log(), "stdout"), b"one1\ntwo2\n");
    print(&out, b"six6\n");
    let file = hub.expect(Message::Log { container });
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"six6\n");

    // The hub has got the file that the log is now, open for appending.
    let (new, named) =
        (fstat(&file[0]).unwrap(), std::fs::metadata(hub.scratch.path("log")).unwrap());
    assert_eq!(new.st_ino, named.ino());
    assert!(fcntl_getfl(&file[0]).unwrap().contains(OFlags::APPEND));
    assert_eq!(named.mode() & 0o777 & !0o640, 0);
    assert_eq!(hub.scratch.names(), ["log"]);
}

#[test]
fn the_newline_that_ends_a_part_of_a_line_counts() {
    let hub = Hub::busy();
    let options = Options { limit: Some(99), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, b"one1");
    packet(&client);
    print(&out, b"two2");
    packet(&client);
    hub.expect(Message::Log { container });
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"two2");
}

#[test]
fn a_record_larger_than_the_limit_is_written_alone() {
    let hub = Hub::busy();
    let options = Options { limit: Some(60), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, &[b"x".repeat(500), b"\n".to_vec()].concat());
    packet(&client);
    print(&out, b"short\n");
    hub.expect(Message::Log { container });
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"short\n");
}

#[test]
fn what_a_log_had_before_counts() {
    let hub = Hub::busy();
    std::fs::write(hub.scratch.path("log"), [b'x'; 99]).unwrap();
    let options = Options { limit: Some(100), ..Options::default() };
    let container = hub.container_with(1, options);
    let out = hub.stdout(container);
    print(&out, b"new\n");
    hub.expect(Message::Log { container });
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"new\n");
}

#[test]
fn reopening_goes_to_the_name_after_the_log_was_renamed() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, b"before\n");
    packet(&client);
    let (log, old) = (hub.scratch.path("log"), hub.scratch.path("log.1"));
    std::fs::rename(&log, &old).unwrap();
    print(&out, b"between\n");
    packet(&client);
    hub.send(Message::Reopen { container }, &[]);
    hub.expect(Message::Log { container });
    hub.expect(Message::Reopened { container, failed: false });
    print(&out, b"after\n");
    hub.drain(container);
    assert_eq!(printed(&std::fs::read(old).unwrap(), "stdout"), b"before\nbetween\n");
    assert_eq!(printed(&hub.log(), "stdout"), b"after\n");
}

#[test]
fn a_log_that_cannot_be_reopened_goes_on_in_the_old_file() {
    let hub = Hub::busy();
    let directory = hub.scratch.path("gone");
    std::fs::create_dir(&directory).unwrap();
    let kept = hub.scratch.path("kept");
    let options = Options { log: Some(directory.join("log")), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, b"one\n");
    packet(&client);
    std::fs::hard_link(directory.join("log"), &kept).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    hub.send(Message::Reopen { container }, &[]);
    hub.expect(Message::Reopened { container, failed: true });
    print(&out, b"two\n");
    hub.drain(container);
    assert_eq!(printed(&std::fs::read(kept).unwrap(), "stdout"), b"one\ntwo\n");
}

#[test]
fn a_symbolic_link_stays_and_the_file_behind_it_is_emptied() {
    let scratch = Scratch::new();
    let (link, file) = (scratch.path("link"), scratch.path("file"));
    std::fs::write(&file, b"old").unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    let log = open_log(&link);
    let done = reopen(&link, &log, 0).unwrap();
    assert!(matches!(done, Reopened::Emptied));
    assert_eq!(std::fs::read(&file).unwrap(), b"");
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn what_is_not_a_regular_file_is_never_replaced() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo");
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let path = c_path(&fifo);
    rustix::fs::mknodat(rustix::fs::CWD, &path[..], FileType::Fifo, 0o600.into(), 0).unwrap();
    let log = rustix::fs::open(&path[..], flags, Mode::empty()).unwrap();
    assert!(matches!(reopen(&fifo, &log, 0), Ok(Reopened::Same)));

    let hub = Hub::busy();
    let options = Options { limit: Some(50), log: Some(fifo.clone()), ..Options::default() };
    let container = hub.container_with(1, options);
    let out = hub.stdout(container);
    print(&out, b"one\ntwo\nthree\n");
    hub.drain(container);
    assert!(wait(&log, PollFlags::IN));
    let mut bytes = [0; 1000];
    let len = rustix::io::read(&log, &mut bytes).unwrap();
    assert_eq!(parse(&bytes[..len]).len(), 3);
    assert_eq!(fstat(&log).unwrap().st_ino, std::fs::metadata(&fifo).unwrap().ino());
}

#[test]
fn a_record_torn_by_a_killed_log_writer_is_taken_away() {
    let whole = "2024-02-29T23:59:59.999999999+00:00 stdout F whole\n";
    for torn in ["2", "2024-02-29T23", "2024-02-29T23:59:59.999999999-01:00 stdout F to"] {
        assert_eq!(repaired(&format!("{whole}{torn}")), whole);
        assert_eq!(repaired(torn), "");
    }
    for fine in ["", whole] {
        assert_eq!(repaired(fine), fine);
    }
}

#[test]
fn a_last_line_that_is_none_of_ours_is_ended() {
    assert_eq!(repaired("somebody was here"), "somebody was here\n");
    let long = "x".repeat(100_000);
    assert_eq!(repaired(&long), format!("{long}\n"));
}

/// [`crate::rotation::reopen`], of the log at `path` that is open as `log`.
pub(super) fn reopen(
    path: &std::path::Path,
    log: &OwnedFd,
    backups: u64,
) -> Result<Reopened, Errno> {
    let mut record = Vec::new();
    Encoder::new(|piece: &[u8]| record.extend_from_slice(piece))
        .string(Tag::LogPath, c_path(path).as_bytes());
    let place = Place::find(Fields::new(&record).unwrap(), Tag::LogPath)?;
    crate::rotation::reopen(&place, log.as_fd(), backups)
}

fn repaired(log: &str) -> String {
    let scratch = Scratch::new();
    let path = scratch.path("log");
    std::fs::write(&path, log).unwrap();
    repair(open_log(&path).as_fd(), Form::K8s, &mut [0; 65_536]);
    std::fs::read_to_string(&path).unwrap()
}
