//! Containers with a terminal.

use super::Hub;
use super::io::{numbered, packet, pipe, print, print_some, read};
use super::scratch::printed;
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use rustix::termios::OptionalActions;
use wire::{FdSet, Key, Message, OwnedFd};

/// A terminal: the master that the hub holds.
struct Terminal {
    master: OwnedFd,
    stage: (OwnedFd, OwnedFd),
}

impl Terminal {
    fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let flags = rustix::fs::fcntl_getfl(&master).unwrap();
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK).unwrap();
        Terminal { master, stage: pipe() }
    }

    /// What the container prints to: without translation of newlines.
    fn open(&self) -> OwnedFd {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&self.master, flags).unwrap();
        let mut modes = rustix::termios::tcgetattr(&slave).unwrap();
        modes.make_raw();
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes).unwrap();
        let flags = rustix::fs::fcntl_getfl(&slave).unwrap();
        rustix::fs::fcntl_setfl(&slave, flags | OFlags::NONBLOCK).unwrap();
        slave
    }

    fn give(&self, hub: &Hub, container: Key) {
        let fds = FdSet::TTY.with(FdSet::STAGE_READ).with(FdSet::STAGE_WRITE);
        hub.send(Message::Output { container, fds }, &[&self.master, &self.stage.0, &self.stage.1]);
    }
}

#[test]
fn everything_of_a_terminal_is_stdout() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let client = hub.client(container, 1, true);
    let terminal = Terminal::new();
    let slave = terminal.open();
    terminal.give(&hub, container);
    let text = numbered(300_000);
    let writer = {
        let text = text.clone();
        std::thread::spawn(move || print(&slave, &text))
    };
    assert!(read(&client, 2, text.len()) == text);
    writer.join().unwrap();
    hub.drain(container);
    assert!(printed(&hub.log(), "stdout") == text);
}

#[test]
fn a_terminal_that_was_closed_can_be_opened_again() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let client = hub.client(container, 1, true);
    let terminal = Terminal::new();
    let slave = terminal.open();
    terminal.give(&hub, container);
    print(&slave, b"one");
    assert_eq!(packet(&client), b"\x02one");
    drop(slave);
    let slave = terminal.open();
    print(&slave, b"two");
    assert_eq!(packet(&client), b"\x02two");
    drop(slave);
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"onetwo");
}

#[test]
fn a_closed_terminal_does_not_keep_the_processor_busy() {
    let mut hub = Hub::new(1000);
    let container = hub.container(1);
    let terminal = Terminal::new();
    drop(terminal.open());
    terminal.give(&hub, container);
    hub.expect(Message::Idle { seen: 2 });
    hub.leave();
    assert!(hub.join() < 200, "milliseconds, of 1000");
}

#[test]
fn what_is_staged_already_comes_first() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let terminal = Terminal::new();
    let slave = terminal.open();
    print(&slave, b"second");
    print(&terminal.stage.1, b"first ");
    terminal.give(&hub, container);
    hub.drain(container);
    assert_eq!(printed(&hub.log(), "stdout"), b"first second");
}

#[test]
fn the_last_words_on_a_terminal_are_logged_behind_a_stuck_owner() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let (owner, queued) = hub.stuck_owner(container, 1);
    let terminal = Terminal::new();
    let slave = terminal.open();
    // More than the stage holds once the terminal is full as well.
    let text = numbered(4 << 20);
    let staged = print_some(&terminal.stage.1, &text);
    let done = staged + print_some(&slave, &text[staged..]);
    assert!(done > staged + 1000);
    terminal.give(&hub, container);
    drop(slave);
    hub.drain(container);
    let text = &text[..done];
    assert!(printed(&hub.log(), "stdout") == text);
    read(&owner, 0, queued);
    assert!(read(&owner, 2, done) == text);
    assert_eq!(packet(&owner), b"");
}
