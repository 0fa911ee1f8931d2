//! Output while containers run.

use super::Hub;
use super::by_hand::ready;
use super::io::{numbered, packet, pipe, print, print_some, read, wait_for};
use super::scratch::{parse, printed};
use rustix::event::PollFlags;
use wire::message::Stream;
use wire::{FdSet, Key, Message};

#[test]
fn both_streams_are_logged_and_their_ends_reported() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let (out, _) = hub.output(container, FdSet::STDOUT);
    let (err, _) = hub.output(container, FdSet::STDERR);
    print(&out, b"to stdout\nno newline");
    drop(out);
    let stream = Stream::Stdout;
    hub.expect(Message::Eof { container, stream });
    print(&err, b"to stderr\n");
    drop(err);
    let stream = Stream::Stderr;
    hub.expect(Message::Eof { container, stream });

    let log = parse(&hub.log());
    let seen: Vec<_> =
        log.iter().map(|line| (line.stream.as_str(), line.tag, &line.content[..])).collect();
    assert_eq!(
        seen,
        [
            ("stdout", b'F', &b"to stdout"[..]),
            ("stdout", b'P', b"no newline"),
            ("stderr", b'F', b"to stderr"),
        ]
    );
}

#[test]
fn a_client_added_right_after_the_output_still_sees_the_first_byte() {
    let (hub, mut role) = Hub::with_role();
    let container = hub.container(1);
    let out = hub.stdout(container);
    print(&out, b"first byte");
    let client = hub.client(container, 1, false);
    assert!(role.obey());
    role.work(&ready(&role));
    assert_eq!(packet(&client), b"\x02first byte");
}

#[test]
fn clients_get_streams_in_packets_they_can_read() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let (one, two) = (hub.client(container, 1, true), hub.client(container, 2, false));
    let (err, _) = hub.output(container, FdSet::STDERR);
    let text = numbered(20_000);
    print(&err, &text);
    assert_eq!(read(&one, 3, text.len()), text);
    assert_eq!(read(&two, 3, text.len()), text);
}

#[test]
fn a_dropped_client_gets_nothing_more_and_the_others_do() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let (gone, stays) = (hub.client(container, 1, true), hub.client(container, 2, true));
    let out = hub.stdout(container);
    print(&out, b"one");
    assert_eq!(packet(&gone), b"\x02one");
    let client = Key(1);
    hub.send(Message::DropClient { container, client, behind: false }, &[]);
    print(&out, b"two");
    assert_eq!(read(&stays, 2, 6), b"onetwo");
    assert!(!wait_for(&gone, PollFlags::IN, 0));
}

#[test]
fn a_client_that_went_away_is_reported_and_delays_nothing() {
    let hub = Hub::busy();
    let container = hub.container(1);
    drop(hub.client(container, 7, true));
    let out = hub.stdout(container);
    print(&out, b"hello\n");
    let client = Key(7);
    hub.expect(Message::ClientGone { container, client });
    drop(out);
    let stream = Stream::Stdout;
    hub.expect(Message::Eof { container, stream });
    assert_eq!(printed(&hub.log(), "stdout"), b"hello\n");
}

#[test]
fn a_client_that_sends_no_more_still_gets_output() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let client = hub.client(container, 1, true);
    rustix::net::shutdown(&client, rustix::net::Shutdown::Write).unwrap();
    let out = hub.stdout(container);
    print(&out, b"hello");
    assert_eq!(packet(&client), b"\x02hello");
}

#[test]
fn output_waits_for_an_owner_that_does_not_read_and_nothing_is_lost() {
    let hub = Hub::busy();
    let slow = hub.container(1);
    let owner = hub.client(slow, 1, true);
    let out = hub.stdout(slow);
    let other = hub.container_without_log(2);
    let witness = hub.client(other, 2, true);
    let other_out = hub.stdout(other);

    // Print until nothing goes in any more although the log-writer had time
    // for another container.
    let text = numbered(4 << 20);
    let mut done = 0;
    loop {
        let now = print_some(&out, &text[done..]);
        done += now;
        assert!(done < text.len(), "the container was never held up");
        print(&other_out, b"x");
        assert_eq!(packet(&witness), b"\x02x");
        if now == 0 && !wait_for(&out, PollFlags::OUT, 0) {
            break;
        }
    }
    // The rest comes as the owner reads.
    let rest = text[done..].to_vec();
    let writer = std::thread::spawn(move || {
        print(&out, &rest);
        out
    });
    assert!(read(&owner, 2, text.len()) == text);
    let _out = writer.join().unwrap();
    hub.drain(slow);
    assert!(printed(&hub.log(), "stdout") == text);
}

#[test]
fn an_observer_that_does_not_read_is_dropped_and_delays_nothing() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let observer = hub.client(container, 9, false);
    let out = hub.stdout(container);
    let text = numbered(4 << 20);
    print(&out, &text);
    let client = Key(9);
    hub.expect(Message::ClientGone { container, client });
    hub.close_clients();
    hub.drain(container);
    assert!(printed(&hub.log(), "stdout") == text);

    // It has a generous beginning of the output, without holes.
    let mut got = Vec::new();
    loop {
        let packet = packet(&observer);
        if packet.is_empty() {
            break;
        }
        got.extend_from_slice(&packet[1..]);
    }
    assert!(got.len() >= 200_000 && got[..] == text[..got.len()]);
}

#[test]
fn a_stuck_owner_that_goes_away_lets_output_go_on() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let owner = hub.client(container, 1, true);
    let out = hub.stdout(container);
    let text = numbered(4 << 20);
    let first = print_some(&out, &text);
    drop(owner);
    print(&out, &text[first..]);
    let client = Key(1);
    hub.expect(Message::ClientGone { container, client });
    hub.drain(container);
    assert!(printed(&hub.log(), "stdout") == text);
}

#[test]
fn a_container_with_an_enlarged_pipe_loses_nothing() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let (read, write) = pipe();
    rustix::pipe::fcntl_setpipe_size(&write, 1 << 20).unwrap();
    let text = numbered(1 << 20);
    assert_eq!(print_some(&write, &text), text.len());
    let fds = FdSet::STDOUT;
    hub.send(Message::Output { container, fds }, &[&read]);
    drop((read, write));
    let stream = Stream::Stdout;
    hub.expect(Message::Eof { container, stream });
    assert!(printed(&hub.log(), "stdout") == text);
}

#[test]
fn output_without_log_and_clients_is_thrown_away() {
    let hub = Hub::busy();
    let container = hub.container_without_log(1);
    let out = hub.stdout(container);
    print(&out, &numbered(4 << 20));
    drop(out);
    let stream = Stream::Stdout;
    hub.expect(Message::Eof { container, stream });
}

#[test]
fn output_that_is_no_pipe_is_logged_too() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let (ours, theirs) = rustix::net::socketpair(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let fds = FdSet::STDOUT;
    hub.send(Message::Output { container, fds }, &[&ours]);
    drop(ours);
    print(&theirs, b"through a socket\n");
    drop(theirs);
    let stream = Stream::Stdout;
    hub.expect(Message::Eof { container, stream });
    assert_eq!(printed(&hub.log(), "stdout"), b"through a socket\n");
}

#[test]
fn a_client_of_an_unknown_container_is_refused() {
    let hub = Hub::busy();
    let (container, client) = (Key(77), Key(1));
    let _socket = hub.client(container, 1, true);
    hub.expect(Message::ClientGone { container, client });
}
