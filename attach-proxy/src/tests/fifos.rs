//! Commands through `ctl` and `winsz`.

use super::*;
use rustix::termios::tcgetwinsize;

fn size(terminal: &OwnedFd) -> (u16, u16) {
    let size = tcgetwinsize(terminal).unwrap();
    (size.ws_row, size.ws_col)
}

const REOPEN: Message = Message::ReopenAsked { container: POD };

#[test]
fn lines_in_the_fifos_resize_the_terminal_and_ask_for_a_new_log() {
    let hub = Hub::new();
    let (master, slave) = terminals::terminal();
    let ((ctl, ctl_in), (winsz, winsz_in)) = (pipe(), pipe());
    let parts = [(FdSet::TTY, &master), (FdSet::CTL, &ctl), (FdSet::WINSZ, &winsz)];
    hub.container(POD, false, &parts);
    rustix::io::write(&ctl_in, b"1 24 80\n2 0 0\n").unwrap();
    assert_eq!(hub.hears(), REOPEN);
    assert_eq!(size(&slave), (24, 80));
    // Through `winsz`; both in pieces, the answer to the other in between.
    rustix::io::write(&winsz_in, b"30 1").unwrap();
    rustix::io::write(&ctl_in, b"2 0 ").unwrap();
    rustix::io::write(&winsz_in, b"00\n40 120\n").unwrap();
    terminals::await_size(&slave, (40, 120));
    rustix::io::write(&ctl_in, b"0\n").unwrap();
    assert_eq!(hub.hears(), REOPEN);
}

#[test]
fn garbage_in_a_fifo_neither_resizes_nor_spoils_what_follows() {
    let hub = Hub::new();
    let (master, slave) = terminals::terminal();
    let (ctl, ctl_in) = pipe();
    hub.container(POD, false, &[(FdSet::TTY, &master), (FdSet::CTL, &ctl)]);
    rustix::io::write(&ctl_in, b"1 10 20\n2 0 0\n").unwrap();
    assert_eq!(hub.hears(), REOPEN);
    rustix::io::ioctl_fionbio(&ctl_in, false).unwrap();
    let mut garbage = noise(3, 300_000);
    // A few lines, most of them too long, without anything to make a number of.
    for (at, byte) in garbage.iter_mut().enumerate() {
        match at % 30_000 {
            0 => *byte = b'\n',
            _ if byte.is_ascii_digit() || *byte == b'\n' => *byte = b'#',
            _ => {}
        }
    }
    garbage.extend(b"\n9 9 9\n1 2 2 ");
    garbage.extend([b'#'; 65535]);
    garbage.extend(b"\n1 0x10 0x20\n1 1001 2\n");
    let mut rest = &garbage[..];
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(&ctl_in, rest).unwrap()..];
    }
    rustix::io::write(&ctl_in, b"2 0 0\n").unwrap();
    assert_eq!(hub.hears(), REOPEN);
    assert_eq!(size(&slave), (10, 20));
    hub.assert_proxy_sleeps();
}

#[test]
fn resizing_a_container_without_terminal_is_ignored_any_number_of_times() {
    let hub = Hub::new();
    let ((ctl, ctl_in), (winsz, winsz_in)) = (pipe(), pipe());
    hub.container(POD, false, &[(FdSet::CTL, &ctl), (FdSet::WINSZ, &winsz)]);
    for fifo in [&ctl_in, &winsz_in] {
        rustix::io::ioctl_fionbio(fifo, false).unwrap();
        for _ in 0..10_000 {
            rustix::io::write(fifo, b"1 24 80\n").unwrap();
        }
    }
    rustix::io::write(&ctl_in, b"2 0 0\n").unwrap();
    assert_eq!(hub.hears(), REOPEN);
}

#[test]
fn a_fifo_at_its_end_is_left_alone() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    let (ctl, ctl_in) = pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write), (FdSet::CTL, &ctl)]);
    let client = hub.client(POD, key(0, 1));
    rustix::io::write(&ctl_in, b"2 0 0\n2 0").unwrap();
    assert_eq!(hub.hears(), REOPEN);
    drop(ctl_in);
    hub.assert_proxy_sleeps();
    client.send(b"x");
    assert_eq!(read_exactly(&stdin, 1), b"x");
}
