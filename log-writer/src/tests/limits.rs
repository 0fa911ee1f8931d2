//! A limit on everything that is logged, and directories where logs may be.

use super::hub::Options;
use super::io::{open_log, packet, print};
use super::scratch::printed;
use super::{Hub, unquoted};
use std::os::unix::fs::symlink;
use wire::Message;

fn limited(bytes: u64) -> Options {
    Options { global_limit: Some(bytes), ..Options::default() }
}

#[test]
fn the_record_that_crosses_the_limit_is_the_last_one_for_good() {
    let hub = Hub::busy();
    // Records of 50 bytes: the third one crosses it.
    let container = hub.container_with(1, limited(101));
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    for line in ["one1\n", "two2\nsix6\nten0\n", "more\n"] {
        print(&out, line.as_bytes());
        assert_eq!(packet(&client)[1..], *line.as_bytes(), "clients get everything");
    }
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"one1\ntwo2\nsix6\n");
}

#[test]
fn the_limit_itself_may_be_reached() {
    let hub = Hub::busy();
    let container = hub.container_with(1, limited(100));
    let out = hub.stdout(container);
    print(&out, b"one1\ntwo2\nsix6\n");
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"one1\ntwo2\n");
}

#[test]
fn what_the_log_had_before_counts() {
    let hub = Hub::busy();
    std::fs::write(hub.scratch.path("log"), [b'\n'; 60]).unwrap();
    let container = hub.container_with(1, limited(100));
    let out = hub.stdout(container);
    print(&out, b"one1\ntwo2\n");
    hub.drain(container);
    assert_eq!(printed(&hub.log()[60..], "stdout"), b"one1\n");
}

#[test]
fn a_new_file_is_no_new_beginning() {
    let hub = Hub::busy();
    let options = Options { limit: Some(60), backups: Some(9), ..limited(130) };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    for line in ["one1\n", "two2\n", "six6\n", "ten0\n", "more\n"] {
        print(&out, line.as_bytes());
        packet(&client);
    }
    hub.send(Message::Reopen { container }, &[]);
    print(&out, b"late\n");
    hub.send(Message::Drain { container }, &[]);
    while hub.next().0 != (Message::Drained { container }) {}
    let file = |name: &str| printed(&std::fs::read(hub.scratch.path(name)).unwrap(), "stdout");
    assert_eq!(file("log"), b"");
    assert_eq!([file("log.1"), file("log.2"), file("log.3")].concat(), b"six6\ntwo2\none1\n");
}

#[test]
fn the_next_log_writer_goes_on_counting() {
    let hub = Hub::busy();
    let container = hub.container_with(1, limited(130));
    let (out, kept) = hub.output(container, wire::FdSet::STDOUT);
    let client = hub.client(container, 1, true);
    print(&out, b"one1\ntwo2\n");
    packet(&client);
    // What a log-writer knows of a container it is told of again is nothing.
    let log = open_log(&hub.scratch.path("log"));
    let container = hub.add_again(1, &log, true);
    hub.send(Message::Output { container, fds: wire::FdSet::STDOUT }, &[&kept]);
    print(&out, b"six6\nten0\n");
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"one1\ntwo2\nsix6\n");
}

#[test]
fn two_files_end_with_the_same_line_and_the_journal_does_not() {
    let (hub, journal) = super::journald::with_journal();
    let options = Options { json: true, journal: true, ..limited(101) };
    let container = hub.container_with(1, options);
    let out = hub.stdout(container);
    print(&out, b"one1\ntwo2\nsix6\nten0\n\xc3");
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"one1\ntwo2\nsix6\n");
    let json = std::fs::read(hub.scratch.path("json")).unwrap();
    assert_eq!(unquoted(&json, "stdout"), b"one1\ntwo2\nsix6\n");
    for line in ["one1\n", "two2\n", "six6\n", "ten0\n"] {
        assert_eq!(journal.line().1, line);
    }
}

#[test]
fn a_json_log_has_the_same_limits() {
    let hub = Hub::busy();
    // Objects of 70 bytes and some, less if the fraction of a second is round.
    let options = Options { no_file: true, json: true, ..limited(75) };
    let container = hub.container_with(1, options);
    let out = hub.stdout(container);
    print(&out, b"one1\ntwo2\nsix6\n");
    hub.drain(container);
    let json = std::fs::read(hub.scratch.path("json")).unwrap();
    let printed = unquoted(&json, "stdout");
    assert!([&b"one1\n"[..], b"one1\ntwo2\n"].contains(&&printed[..]), "{printed:?}");
}

#[test]
fn a_log_is_not_reopened_where_logs_may_not_be() {
    let hub = Hub::busy();
    let (allowed, other) = (hub.scratch.path("logs"), hub.scratch.path("logs-of-others"));
    std::fs::create_dir(&allowed).unwrap();
    std::fs::create_dir(&other).unwrap();
    let real = std::fs::canonicalize(&allowed).unwrap();
    let options =
        Options { log: Some(allowed.join("log")), allowed: Some(real), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, b"one\n");
    packet(&client);
    // The directory's name now leads to the other one.
    let moved = hub.scratch.path("moved");
    std::fs::rename(&allowed, &moved).unwrap();
    symlink(&other, &allowed).unwrap();
    hub.send(Message::Reopen { container }, &[]);
    hub.expect(Message::Reopened { container, failed: true });
    print(&out, b"two\n");
    packet(&client);
    assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0);

    // As soon as it leads to the right one again, the log is reopened.
    std::fs::remove_file(&allowed).unwrap();
    std::fs::rename(&moved, &allowed).unwrap();
    std::fs::rename(allowed.join("log"), allowed.join("old")).unwrap();
    hub.send(Message::Reopen { container }, &[]);
    hub.expect(Message::Log { container });
    hub.expect(Message::Reopened { container, failed: false });
    print(&out, b"three\n");
    hub.drain(container);
    let file = |name: &str| printed(&std::fs::read(allowed.join(name)).unwrap(), "stdout");
    assert_eq!((&file("old")[..], &file("log")[..]), (&b"one\ntwo\n"[..], &b"three\n"[..]));
}

#[test]
fn a_reopened_log_does_not_follow_a_link_out_of_the_allowed_directory() {
    let hub = Hub::busy();
    let real = std::fs::canonicalize(hub.scratch.path("")).unwrap();
    let options = Options { allowed: Some(real), ..Options::default() };
    let container = hub.container_with(1, options);
    let outside = super::Scratch::new();
    std::fs::rename(hub.scratch.path("log"), hub.scratch.path("old")).unwrap();
    symlink(outside.path("victim"), hub.scratch.path("log")).unwrap();
    hub.send(Message::Reopen { container }, &[]);
    hub.expect(Message::Reopened { container, failed: true });
    let out = hub.stdout(container);
    print(&out, b"one\n");
    hub.drain(container);
    assert!(outside.names().is_empty());
    assert_eq!(printed(&std::fs::read(hub.scratch.path("old")).unwrap(), "stdout"), b"one\n");
}
