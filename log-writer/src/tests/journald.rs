//! Containers that log to the journal.

use super::Hub;
use super::by_hand::ready;
use super::hub::Options;
use super::io::{numbered, packet, pipe, print, wait_for};
use super::journal::Listener;
use super::scratch::printed;
use rustix::event::PollFlags;
use rustix::pipe::SpliceFlags;
use wire::message::Stream;
use wire::{FdSet, Key, Message, OwnedFd};

/// A hub with a log-writer that stays, and journald.
pub(super) fn with_journal() -> (Hub, Listener) {
    start(1_000_000)
}

/// A hub with a log-writer that goes after `quiet` milliseconds, and journald.
fn start(quiet: u64) -> (Hub, Listener) {
    let mut listener = None;
    let hub = Hub::with(quiet, |scratch, role| {
        let at = Listener::new(scratch);
        role.journal = at.journal();
        listener = Some(at);
    });
    (hub, listener.unwrap())
}

fn container(hub: &Hub, number: u32) -> Key {
    hub.container_with(number, Options { journal: true, ..Options::default() })
}

fn container_without_file(hub: &Hub, number: u32) -> Key {
    hub.container_with(number, Options { journal: true, no_file: true, ..Options::default() })
}

/// All of a stream's entries joined, until there are `len` bytes.
fn joined(listener: &Listener, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        all.extend(&listener.next()["MESSAGE"]);
    }
    assert_eq!(all.len(), len);
    all
}

#[test]
fn journal_file_and_clients_all_get_everything() {
    let (hub, listener) = with_journal();
    let container = container(&hub, 1);
    let client = hub.client(container, 1, true);
    let observer = hub.client(container, 2, false);
    let out = hub.stdout(container);
    for piece in ["one ", "two\nthr", "ee\n", "four"] {
        print(&out, piece.as_bytes());
        let expected = [b"\x02", piece.as_bytes()].concat();
        assert_eq!(packet(&client), expected);
        assert_eq!(packet(&observer), expected);
    }
    hub.drain(container);
    assert_eq!(listener.line(), ('6', "one two\n".into(), false));
    assert_eq!(listener.line(), ('6', "three\n".into(), false));
    assert_eq!(listener.line(), ('6', "four".into(), true));
    assert!(listener.is_silent_for(0));
    assert_eq!(printed(&hub.log(), "stdout"), b"one two\nthree\nfour");
}

#[test]
fn a_large_output_is_complete() {
    let (hub, listener) = with_journal();
    let container = container_without_file(&hub, 1);
    let out = hub.stdout(container);
    let text = numbered(2 << 20);
    let writer = {
        let text = text.clone();
        std::thread::spawn(move || print(&out, &text))
    };
    assert!(
        joined(&listener, text.len() - last_line(&text)) == text[..text.len() - last_line(&text)]
    );
    writer.join().unwrap();
    // The container has closed it: the end of the output has been seen.
    assert_eq!(listener.next()["CONTAINER_PARTIAL_MESSAGE"], b"true");
    hub.expect(Message::Eof { container, stream: Stream::Stdout });
    hub.drain(container);
}

fn last_line(text: &[u8]) -> usize {
    text.len() - 1 - text.iter().rposition(|byte| *byte == b'\n').unwrap()
}

#[test]
fn a_line_that_is_held_back_stays_in_the_pipe_and_keeps_the_log_writer() {
    let (mut hub, listener) = start(20);
    let container = container_without_file(&hub, 1);
    let client = hub.client(container, 1, false);
    let (out, copy) = hub.output(container, FdSet::STDOUT);
    print(&out, b"gone\nbegun");
    assert_eq!(packet(&client), b"\x02gone\nbegun");
    assert_eq!(listener.line().1, "gone\n");
    // Many times as long as it would stay otherwise; it may have been idle
    // before it was given the output.
    while let Some(message) = hub.next_within(300) {
        assert!(matches!(message, Message::Idle { seen: ..3 }), "{message:?}");
    }
    assert!(listener.is_silent_for(0));
    assert_eq!(rustix::io::ioctl_fionread(&copy).unwrap(), 5);
    print(&out, b", done\n");
    assert_eq!(listener.line().1, "begun, done\n");
    assert_eq!(packet(&client), b"\x02, done\n");
    hub.expect(Message::Idle { seen: 3 });
    hub.leave();
    assert!(hub.join() < 150, "the processor was kept busy");
}

#[test]
fn streams_are_held_back_apart() {
    let (hub, listener) = with_journal();
    let container = container_without_file(&hub, 1);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    let (err, _copy) = hub.output(container, FdSet::STDERR);
    for (stream, text) in [(&out, "out "), (&err, "err "), (&out, "put\n"), (&err, "or\n")] {
        print(stream, text.as_bytes());
        packet(&client);
    }
    assert_eq!(listener.line(), ('6', "out put\n".into(), false));
    assert_eq!(listener.line(), ('3', "err or\n".into(), false));
}

#[test]
fn small_pieces_that_fill_the_pipe_do_not_stop_the_container() {
    let (hub, listener) = with_journal();
    let container = container_without_file(&hub, 1);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    // Spliced pieces take a slot each; a pipe has 16.
    for _ in 0..40 {
        assert!(wait_for(&out, PollFlags::OUT, 20_000), "the container is stuck");
        let (read, write) = pipe();
        print(&write, b"x");
        rustix::pipe::splice(&read, None, &out, None, 1, SpliceFlags::NONBLOCK).unwrap();
        assert_eq!(packet(&client), b"\x02x");
    }
    print(&out, b"\n");
    let (mut all, mut last_is_part) = (String::new(), true);
    while last_is_part {
        let (_, text, part) = listener.line();
        all.push_str(&text);
        last_is_part = part;
    }
    assert_eq!(all, format!("{}\n", "x".repeat(40)));
}

#[test]
fn a_stuck_owner_delays_neither_the_journal_nor_the_end() {
    let (hub, listener) = with_journal();
    let container = container_without_file(&hub, 1);
    let (_owner, _) = hub.stuck_owner(container, 1);
    let out = hub.stdout(container);
    print(&out, b"first\nsec");
    assert_eq!(listener.line().1, "first\n");
    print(&out, b"ond\nthird");
    hub.drain(container);
    assert_eq!(listener.line().1, "second\n");
    assert_eq!(listener.line(), ('6', "third".into(), true));
}

#[test]
fn the_line_that_a_killed_log_writer_held_back_comes_whole_from_the_next() {
    let (read, out): (OwnedFd, OwnedFd) = pipe();
    let (hub, mut role) = Hub::with_role();
    let listener = Listener::new(&hub.scratch);
    role.journal = listener.journal();
    let container = container_without_file(&hub, 1);
    print(&out, b"begun");
    hub.send(Message::Output { container, fds: FdSet::STDOUT }, &[&read]);
    assert!(role.obey());
    role.work(&ready(&role));
    assert!(listener.is_silent_for(0));
    drop(role);

    let (hub, listener) = with_journal();
    let container = container_without_file(&hub, 1);
    hub.send(Message::Output { container, fds: FdSet::STDOUT }, &[&read]);
    print(&out, b", done\n");
    assert_eq!(listener.line(), ('6', "begun, done\n".into(), false));
}
