//! json-file logs, alone and beside others.

use super::hub::Options;
use super::io::{packet, pipe, print};
use super::journald::with_journal;
use super::scratch::printed;
use super::{Hub, unquoted};
use wire::message::Stream;
use wire::{FdSet, Message, bundle};

fn json() -> Options {
    Options { no_file: true, json: true, ..Options::default() }
}

fn log(hub: &Hub) -> Vec<u8> {
    unquoted(&std::fs::read(hub.scratch.path("json")).unwrap(), "stdout")
}

#[test]
fn a_character_that_comes_in_two_reads_stays_whole() {
    let hub = Hub::busy();
    let container = hub.container_with(1, json());
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    for piece in [&b"caf\xc3"[..], b"\xa9 \xe2", b"\x82", b"\xac\n"] {
        print(&out, piece);
        // Clients have it at once.
        assert_eq!(packet(&client)[1..], *piece);
    }
    hub.drain(container);
    assert_eq!(log(&hub), "café €\n".as_bytes());
}

#[test]
fn a_character_that_never_comes_whole_is_not_lost() {
    // At the end of the container ...
    let hub = Hub::busy();
    let container = hub.container_with(1, json());
    let out = hub.stdout(container);
    print(&out, b"caf\xc3");
    hub.drain(container);
    assert_eq!(log(&hub), "caf\u{fffd}".as_bytes());

    // ... of its output ...
    let hub = Hub::busy();
    let container = hub.container_with(1, json());
    let out = hub.stdout(container);
    print(&out, b"caf\xc3");
    drop(out);
    hub.expect(Message::Eof { container, stream: Stream::Stdout });
    assert_eq!(log(&hub), "caf\u{fffd}".as_bytes());

    // ... or when nothing comes for long, as no process waits for it.
    let hub = Hub::new(50);
    let container = hub.container_with(1, json());
    let out = hub.stdout(container);
    print(&out, b"caf\xc3");
    loop {
        if let (Message::Idle { .. }, _) = hub.next() {
            break;
        }
    }
    assert_eq!(log(&hub), "caf\u{fffd}".as_bytes());
}

#[test]
fn all_drivers_together_get_everything() {
    let (hub, journal) = with_journal();
    let options = Options { json: true, journal: true, ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    for piece in [&b"caf\xc3"[..], b"\xa9\nun", b"d \xe2\x82", b"\xac\nend\n"] {
        print(&out, piece);
        assert_eq!(packet(&client)[1..], *piece);
    }
    hub.drain(container);
    let text = "café\nund €\nend\n";
    assert_eq!(printed(&hub.log(), "stdout"), text.as_bytes());
    assert_eq!(log(&hub), text.as_bytes());
    for line in text.split_inclusive('\n') {
        assert_eq!(journal.line().1, line);
    }
}

#[test]
fn both_files_are_reopened_and_the_hub_gets_both() {
    let hub = Hub::busy();
    let container = hub.container_with(1, Options { json: true, ..Options::default() });
    let (out, kept) = hub.output(container, FdSet::STDOUT);
    let client = hub.client(container, 1, true);
    print(&out, b"one\n");
    packet(&client);
    for name in ["log", "json"] {
        let (from, to) = (hub.scratch.path(name), hub.scratch.path(&format!("old-{name}")));
        std::fs::rename(from, to).unwrap();
    }
    hub.send(Message::Reopen { container }, &[]);
    let both = hub.expect(Message::Log { container });
    assert_eq!(bundle::open(&both[0]).unwrap().len(), 2);
    hub.expect(Message::Reopened { container, failed: false });
    print(&out, b"two\n");
    packet(&client);
    // A later log-writer goes on in the same files.
    let container = hub.add_again(1, &both[0], false);
    hub.send(Message::Output { container, fds: FdSet::STDOUT }, &[&kept]);
    print(&out, b"three\n");
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"two\nthree\n");
    assert_eq!(log(&hub), b"two\nthree\n");
    let old = std::fs::read(hub.scratch.path("old-json")).unwrap();
    assert_eq!(unquoted(&old, "stdout"), b"one\n");
}

#[test]
fn a_json_log_over_its_limit_starts_anew() {
    let hub = Hub::busy();
    let options = Options { limit: Some(160), backups: Some(1), ..json() };
    let container = hub.container_with(1, options);
    let out = hub.stdout(container);
    print(&out, &super::io::numbered(2000));
    hub.send(Message::Drain { container }, &[]);
    while hub.next().0 != (Message::Drained { container }) {}
    assert_eq!(hub.scratch.names(), ["json", "json.1"]);
    for name in ["json", "json.1"] {
        let bytes = std::fs::read(hub.scratch.path(name)).unwrap();
        assert!((1..=160).contains(&bytes.len()) && !unquoted(&bytes, "stdout").is_empty());
    }
}

#[test]
fn the_object_that_starts_a_new_log_is_whole_behind_what_is_in_it_already() {
    let hub = Hub::busy();
    let container = hub.container_with(1, Options { limit: Some(160), ..json() });
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, b"of the first file\n");
    packet(&client);
    // Somebody else has put another file in its place.
    std::fs::rename(hub.scratch.path("json"), hub.scratch.path("old-json")).unwrap();
    let found =
        "{\"log\":\"found\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-22T04:20:34.5Z\"}\n";
    std::fs::write(hub.scratch.path("json"), found).unwrap();
    print(&out, &[&[b'x'; 60][..], b"\n"].concat());
    hub.send(Message::Drain { container }, &[]);
    while hub.next().0 != (Message::Drained { container }) {}
    assert_eq!(log(&hub), [b"found\n", &[b'x'; 60][..], b"\n"].concat());
}

#[test]
fn a_torn_object_is_taken_away_after_a_kill() {
    let whole = "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-22T04:20:34.5Z\"}\n";
    let long = format!("{{\"log\":\"{}", "\\u0000".repeat(16_000));
    for torn in
        ["{", "{\"log\":\"b", "{\"log\":\"b\\n\",\"stream\":\"stdout\",\"time\":\"20", &long]
    {
        let hub = Hub::busy();
        std::fs::write(hub.scratch.path("json"), format!("{whole}{torn}")).unwrap();
        let container = hub.container_with(1, Options { repair: true, ..json() });
        let out = hub.stdout(container);
        print(&out, b"b\n");
        hub.drain(container);
        assert_eq!(log(&hub), b"a\nb\n");
    }
}

#[test]
fn a_notice_of_dropped_lines_is_an_object_too() {
    let hub = Hub::busy();
    let fifo = hub.scratch.path("json");
    let name = super::scratch::c_path(&fifo);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &name[..], kind, 0o600.into(), 0).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NONBLOCK;
    let reader = rustix::fs::open(&name[..], flags, rustix::fs::Mode::empty()).unwrap();
    let container = hub.container_with(1, json());
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    let text = super::io::numbered(200_000);
    print(&out, &text);
    assert!(super::io::read(&client, 2, text.len()) == text);
    let mut bytes = [0; 65_536];
    while let Ok(1..) = rustix::io::read(&reader, &mut bytes) {}
    print(&out, b"after\n");
    hub.drain(container);
    let len = rustix::io::read(&reader, &mut bytes).unwrap();
    // A FIFO cannot be cut: the torn object ends first.
    let rest = bytes[..len].strip_prefix(b"\n").unwrap_or(&bytes[..len]);
    assert_eq!(unquoted(rest, "stdout"), b"after\n");
    let notice = String::from_utf8(unquoted(rest, "stderr")).unwrap();
    assert!(notice.starts_with("[conmote: "), "{notice}");
    assert!(notice.ends_with(" log lines dropped: its reader is too slow]\n"), "{notice}");
}

#[test]
fn characters_at_the_ends_of_reads_stay_whole_when_the_pipe_is_full() {
    let hub = Hub::busy();
    let container = hub.container_with(1, json());
    let (kept, out) = pipe();
    let text = "\u{20ac}".repeat(100_000) + "\n";
    let text = text.as_bytes();
    // It is full before anybody reads it, and whenever somebody has.
    let printed = super::io::print_some(&out, text);
    assert!(printed < text.len());
    hub.send(Message::Output { container, fds: FdSet::STDOUT }, &[&kept]);
    print(&out, &text[printed..]);
    hub.drain(container);
    let log = log(&hub);
    let at = log.iter().zip(text).position(|(one, other)| one != other);
    assert!(log == text, "{} bytes, wrong from {at:?} on", log.len());
}
