//! Input to a container's terminal.

use super::*;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcgetwinsize, tcsetattr};

/// Master, not blocking, and slave.
pub(super) fn terminal() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let slave = ioctl_tiocgptpeer(&master, flags).unwrap();
    rustix::io::ioctl_fionbio(&master, true).unwrap();
    (master, slave)
}

/// The same, passing every byte through as it is.
fn raw_terminal() -> (OwnedFd, OwnedFd) {
    let (master, slave) = terminal();
    let mut settings = tcgetattr(&slave).unwrap();
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings).unwrap();
    (master, slave)
}

pub(super) fn await_size(terminal: &OwnedFd, size: (u16, u16)) {
    let start = wire::event::now_ms();
    loop {
        let now = tcgetwinsize(terminal).unwrap();
        if (now.ws_row, now.ws_col) == size {
            return;
        }
        assert!(wire::event::now_ms() < start + PATIENCE as u64 * 1000);
        std::thread::yield_now();
    }
}

#[test]
fn what_a_client_types_arrives_in_the_terminal() {
    let hub = Hub::new();
    let (master, slave) = terminal();
    hub.container(POD, false, &[(FdSet::TTY, &master)]);
    let client = hub.client(POD, key(0, 1));
    client.send(b"ec");
    client.send(b"ho\n");
    assert_eq!(read_exactly(&slave, 5), b"echo\n");
}

#[test]
fn a_megabyte_goes_exactly_through_a_raw_terminal() {
    let hub = Hub::new();
    let (master, slave) = raw_terminal();
    hub.container(POD, false, &[(FdSet::TTY, &master)]);
    let client = hub.client(POD, key(0, 1));
    let data = noise(5, 1 << 20);
    let sender = std::thread::spawn({
        let data = data.clone();
        move || {
            for packet in data.chunks(30_000) {
                client.send(packet);
            }
        }
    });
    assert!(read_exactly(&slave, data.len()) == data);
    sender.join().unwrap();
}

/// The kernel throws such a line away.
#[test]
fn an_endless_line_into_a_terminal_that_nobody_reads_gets_through() {
    let hub = Hub::new();
    let (master, _slave) = terminal();
    hub.container(POD, false, &[(FdSet::TTY, &master)]);
    let client = hub.client(POD, key(0, 1));
    for _ in 0..10 {
        client.send(&[b'x'; 200_000]);
    }
    client.end_input();
    hub.hears_input_done(POD, key(0, 1));
}

#[test]
fn a_full_terminal_that_nobody_has_open_costs_no_time() {
    let hub = Hub::new();
    let (master, slave) = raw_terminal();
    drop(slave);
    hub.container(POD, false, &[(FdSet::TTY, &master)]);
    let client = hub.client(POD, key(0, 1));
    for _ in 0..10 {
        let _ = client.try_send(&[b'x'; 60_000]);
    }
    hub.assert_proxy_sleeps();
}

#[test]
fn the_end_of_input_closes_the_input_side_of_a_terminal_if_so_configured() {
    let hub = Hub::new();
    let (master, slave) = raw_terminal();
    let (winsz, winsz_in) = pipe();
    hub.container(POD, true, &[(FdSet::TTY, &master), (FdSet::WINSZ, &winsz)]);
    let first = hub.client(POD, key(0, 1));
    first.send(b"x");
    first.end_input();
    hub.hears_input_done(POD, key(0, 1));
    hub.hears_close_stdin(POD);
    let second = hub.client(POD, key(1, 1));
    second.send(b"dropped");
    second.end_input();
    hub.hears_input_done(POD, key(1, 1));
    assert_eq!(read_some(&slave, 100), b"x");
    // It still has a size.
    rustix::io::write(&winsz_in, b"11 22\n").unwrap();
    await_size(&slave, (11, 22));
}

#[test]
fn a_terminal_whose_input_was_closed_earlier_gets_none() {
    let hub = Hub::new();
    let (master, slave) = raw_terminal();
    let record = seal(&wire::record::MAGIC).unwrap();
    let message =
        Message::Container { container: POD, fds: FdSet::RECORD.with(FdSet::TTY), repair: true };
    hub.tell(message, &[record.as_fd(), master.as_fd()]);
    let client = hub.client(POD, key(0, 1));
    client.send(b"dropped");
    client.end_input();
    hub.hears_input_done(POD, key(0, 1));
    assert!(!readable(&slave, 0));
}
