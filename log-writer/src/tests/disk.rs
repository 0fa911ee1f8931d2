//! Logs that cannot be written.

use super::hub::Options;
use super::io::{numbered, packet, pipe, print};
use super::scratch::{c_path, parse, printed};
use super::{Hub, Scratch};
use rustix::fs::{FileType, Mode, OFlags};
use std::path::Path;
use std::process::Command;
use wire::message::Stream;
use wire::{FdSet, Message};

/// A tmpfs of 64 kB; needs root.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(at);
        if !mount.status().is_ok_and(|status| status.success()) {
            eprintln!("not tested: mounting a tmpfs takes root");
            return None;
        }
        Some(SmallDisk(at))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.0).status();
    }
}

#[test]
fn a_full_disk_drops_whole_lines_counts_them_and_delays_nothing() {
    let scratch = Scratch::new();
    let mount = scratch.path("disk");
    let Some(_disk) = SmallDisk::mount(&mount) else {
        return;
    };
    let hub = Hub::busy();
    let (log, ballast) = (mount.join("log"), mount.join("ballast"));
    std::fs::write(&ballast, [0; 20_000]).unwrap();
    let options = Options { log: Some(log.clone()), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);

    let text = numbered(200_000);
    print(&out, &text);
    assert!(super::io::read(&client, 2, text.len()) == text);
    // Whole records only; `parse` looks.
    let before = parse(&std::fs::read(&log).unwrap());
    assert!(before.len() > 100);

    std::fs::remove_file(&ballast).unwrap();
    print(&out, b"after\n");
    packet(&client);
    hub.drain(container);

    let records = parse(&std::fs::read(&log).unwrap());
    let (last, notice) = (&records[records.len() - 1], &records[records.len() - 2]);
    assert_eq!(last.content, b"after");
    assert_eq!((notice.stream.as_str(), notice.tag), ("stderr", b'F'));
    let notice = std::str::from_utf8(&notice.content).unwrap();
    let dropped: usize = notice
        .strip_prefix("[conmote: ")
        .and_then(|rest| rest.strip_suffix(" log lines dropped: no space left on device]"))
        .unwrap_or_else(|| panic!("{notice}"))
        .parse()
        .unwrap();
    // A chunk may end within a line: that line is two records.
    let lines = text.split(|byte| *byte == b'\n').count();
    let told = dropped + before.len();
    assert!((lines..lines + 30).contains(&told), "{lines} lines, {told} told");
    assert!(printed(&std::fs::read(&log).unwrap(), "stdout").len() > 4000);
}

#[test]
fn lines_dropped_to_the_end_are_counted_in_the_log_if_there_is_room_then() {
    let scratch = Scratch::new();
    let mount = scratch.path("disk");
    let Some(_disk) = SmallDisk::mount(&mount) else {
        return;
    };
    let hub = Hub::busy();
    let (log, ballast) = (mount.join("log"), mount.join("ballast"));
    let options = Options { log: Some(log.clone()), ..Options::default() };
    let container = hub.container_with(1, options);
    // All of the disk: the write must fail, not come too late.
    let _ = std::fs::write(&ballast, [0; 100_000]);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    print(&out, b"one\ntwo\n");
    packet(&client);
    std::fs::remove_file(&ballast).unwrap();
    hub.drain(container);
    let records = parse(&std::fs::read(&log).unwrap());
    assert_eq!(records.len(), 1);
    let told = b"[conmote: 2 log lines dropped: no space left on device]";
    assert_eq!(records[0].content, told);
}

#[test]
fn a_disk_that_is_always_full_stops_neither_container_nor_clients() {
    let hub = Hub::busy();
    let options = Options { log: Some("/dev/full".into()), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    let text = numbered(300_000);
    let writer = {
        let text = text.clone();
        std::thread::spawn(move || print(&out, &text))
    };
    assert!(super::io::read(&client, 2, text.len()) == text);
    writer.join().unwrap();
    let stream = Stream::Stdout;
    hub.expect(Message::Eof { container, stream });
    hub.drain(container);
}

#[test]
fn a_fifo_that_nobody_reads_gets_whole_lines_again_once_it_is_read() {
    let scratch = Scratch::new();
    let path = scratch.path("fifo");
    let name = c_path(&path);
    rustix::fs::mknodat(rustix::fs::CWD, &name[..], FileType::Fifo, 0o600.into(), 0).unwrap();
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fifo = rustix::fs::open(&name[..], flags, Mode::empty()).unwrap();

    let hub = Hub::busy();
    let options = Options { log: Some(path), ..Options::default() };
    let container = hub.container_with(1, options);
    let client = hub.client(container, 1, true);
    let out = hub.stdout(container);
    let text = numbered(300_000);
    print(&out, &text);
    assert!(super::io::read(&client, 2, text.len()) == text);

    let mut log = drain_pipe(&fifo);
    print(&out, b"after\n");
    packet(&client);
    hub.drain(container);
    let rest = drain_pipe(&fifo);
    // The record that was torn, as a FIFO cannot be cut, ends before ours.
    assert_eq!(rest.first(), Some(&b'\n'));
    let records = parse(&rest[1..]);
    assert_eq!(records.len(), 2);
    assert!(records[0].content.ends_with(b"log lines dropped: its reader is too slow]"));
    assert_eq!(records[1].content, b"after");
    log.push(b'\n');
    assert!(!printed(&log, "stdout").is_empty());
}

fn drain_pipe(fifo: &wire::OwnedFd) -> Vec<u8> {
    let mut all = Vec::new();
    let mut bytes = [0; 65_536];
    while let Ok(len @ 1..) = rustix::io::read(fifo, &mut bytes) {
        all.extend_from_slice(&bytes[..len]);
    }
    all
}

#[test]
fn the_first_line_after_a_kill_does_not_stick_to_a_torn_one() {
    let hub = Hub::busy();
    std::fs::write(hub.scratch.path("log"), b"2024-02-29T23:59:59.99").unwrap();
    let options = Options { repair: true, ..Options::default() };
    let container = hub.container_with(1, options);
    let (read, write) = pipe();
    print(&write, b"again\n");
    let fds = FdSet::STDOUT;
    hub.send(Message::Output { container, fds }, &[&read]);
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"again\n");
}
