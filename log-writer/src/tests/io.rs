//! Printing as containers do, reading as clients do.

use super::scratch::c_path;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use std::path::Path;
use wire::{AsFd, OwnedFd};

/// Longest wait for anything, in milliseconds. Only failing tests wait that
/// long.
const PATIENCE: i64 = 20_000;

/// A pipe whose ends do not wait.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
}

/// Opens a log as `monitor` does.
pub(crate) fn open_log(path: &Path) -> OwnedFd {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o640);
    rustix::fs::open(&c_path(path)[..], flags, mode).unwrap()
}

/// The two ends of an attach connection.
pub(crate) fn sockets() -> (OwnedFd, OwnedFd) {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None).unwrap()
}

/// Waits until `fd` is ready; `false` after [`PATIENCE`].
pub(crate) fn wait(fd: impl AsFd, what: PollFlags) -> bool {
    wait_for(fd, what, PATIENCE)
}

/// Waits so many milliseconds until `fd` is ready.
pub(crate) fn wait_for(fd: impl AsFd, what: PollFlags, milliseconds: i64) -> bool {
    let limit = Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
    let fd = fd.as_fd();
    poll(&mut [PollFd::from_borrowed_fd(fd, what)], Some(&limit)).unwrap() == 1
}

/// Writes all of it, waiting for room.
pub(crate) fn print(output: &OwnedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        assert!(wait(output, PollFlags::OUT), "the container is stuck");
        match rustix::io::write(output, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) => assert_eq!(error, wire::Errno::AGAIN),
        }
    }
}

/// Writes as much as goes in at once.
pub(crate) fn print_some(output: &OwnedFd, bytes: &[u8]) -> usize {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::write(output, &bytes[done..]) {
            Ok(written) => done += written,
            Err(wire::Errno::AGAIN) => break,
            Err(error) => panic!("{error}"),
        }
    }
    done
}

/// The next packet to a client: the stream's number and output. Empty at end
/// of file.
pub(crate) fn packet(client: &OwnedFd) -> Vec<u8> {
    assert!(wait(client, PollFlags::IN), "the client gets nothing");
    let mut bytes = vec![0; 100_000];
    let (len, _) = rustix::net::recv(client, &mut bytes[..], RecvFlags::empty()).unwrap();
    bytes.truncate(len);
    assert!(len <= 8193, "a packet longer than clients read");
    bytes
}

/// Output of one stream to a client, until there are `len` bytes.
pub(crate) fn read(client: &OwnedFd, stream: u8, len: usize) -> Vec<u8> {
    let mut output = Vec::new();
    while output.len() < len {
        let packet = packet(client);
        assert_eq!(packet.first(), Some(&stream));
        output.extend_from_slice(&packet[1..]);
    }
    assert_eq!(output.len(), len);
    output
}

/// Output that cannot be taken for other output: numbered lines.
pub(crate) fn numbered(len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut number = 0;
    while bytes.len() < len {
        bytes.extend_from_slice(format!("line {number} of the container's output\n").as_bytes());
        number += 1;
    }
    bytes.truncate(len);
    bytes
}
