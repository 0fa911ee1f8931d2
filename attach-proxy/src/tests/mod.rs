//! The role at work, over real sockets, pipes and terminals. A test plays the
//! hub, the clients and the container; the proxy runs in a thread.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod fifos;
mod life;
mod notifications;
mod pipes;
mod terminals;

use crate::serve::Proxy;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use std::thread::JoinHandle;
use std::vec::Vec;
use wire::record::{Encoder, Tag, seal};
use wire::{AsFd, BorrowedFd, Errno, FdSet, Key, Link, Message, OwnedFd};

/// Most seconds to wait for what must happen.
const PATIENCE: i64 = 20;

/// A name as the hub gives them: slot and turn.
fn key(slot: u32, turn: u32) -> Key {
    Key(turn << 16 | slot)
}

const POD: Key = Key(1 << 16 | 3);

/// A hub with a proxy that runs in a thread.
struct Hub {
    link: Link,
    other_end: Option<OwnedFd>,
    proxy: Option<JoinHandle<Result<(), Errno>>>,
    /// Of the proxy's thread.
    thread: Option<i32>,
}

impl Hub {
    /// Whose proxy is not started yet.
    fn waiting() -> Hub {
        let (link, other_end) = Link::pair().unwrap();
        Hub { link, other_end: Some(other_end), proxy: None, thread: None }
    }

    fn new() -> Hub {
        let mut hub = Hub::waiting();
        hub.start();
        hub
    }

    fn start(&mut self) {
        let link = Link::over(self.other_end.take().unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        // The state of a program, in the frame of a debug build.
        let thread = std::thread::Builder::new().stack_size(64 << 20);
        let proxy = thread.spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            let mut state = Box::new(Proxy::new());
            state.serve(link)
        });
        self.proxy = Some(proxy.unwrap());
        self.thread = Some(told.recv().unwrap());
    }

    fn tell(&self, message: Message, fds: &[BorrowedFd<'_>]) {
        self.link.send(&message, fds).unwrap();
    }

    /// Hands a container over: stdin, terminal, ctl, winsz, as far as given.
    fn container(&self, own: Key, close_at_end: bool, parts: &[(FdSet, &OwnedFd)]) {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        encoder.string(Tag::Cid, b"cid").number(Tag::CloseStdin, close_at_end.into());
        let record = seal(&bytes).unwrap();
        let mut fds = vec![record.as_fd()];
        let mut set = FdSet::RECORD;
        for (bit, fd) in parts {
            set = set.with(*bit);
            fds.push(fd.as_fd());
        }
        let message = Message::Container { container: own, fds: set, repair: false };
        self.tell(message, &fds);
    }

    /// Attaches a client to the container and gives its far end.
    fn client(&self, container: Key, client: Key) -> Client {
        let (near, far) = socketpair();
        self.attach(container, client, &near);
        Client { socket: far, _hubs: near }
    }

    fn attach(&self, container: Key, client: Key, socket: &OwnedFd) {
        let message = Message::Client { container, client, owner: false, closes: false };
        self.tell(message, &[socket.as_fd()]);
    }

    /// The next message of the proxy, if one comes within that time.
    fn hears_within(&self, ms: i64) -> Option<Message> {
        if !readable(&self.link, ms) {
            return None;
        }
        match self.link.receive() {
            Ok((message, _)) => Some(message),
            Err(refusal) => panic!("the proxy is {refusal:?}"),
        }
    }

    /// The next message of the proxy that is not about being idle.
    fn hears(&self) -> Message {
        loop {
            match self.hears_within(PATIENCE * 1000) {
                Some(Message::Idle { .. }) => {}
                message => return message.expect("a message"),
            }
        }
    }

    fn hears_input_done(&self, container: Key, client: Key) {
        assert_eq!(self.hears(), Message::InputDone { container, client });
    }

    fn hears_close_stdin(&self, container: Key) {
        assert_eq!(self.hears(), Message::CloseStdin { container });
    }

    /// Nanoseconds of processor time that the proxy has used.
    fn proxy_time(&self) -> u64 {
        let path = format!("/proc/self/task/{}/schedstat", self.thread.unwrap());
        let text = std::fs::read_to_string(path).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    /// Fails if the proxy is busy though there is nothing to do.
    fn assert_proxy_sleeps(&self) {
        let before = self.proxy_time();
        assert_eq!(self.hears_within(300), None);
        let used = self.proxy_time() - before;
        assert!(used < 30_000_000, "{used} ns of 300 ms");
    }

    /// Ends the proxy as the death of the hub would, and waits for it.
    fn hang_up(mut self) -> Result<(), Errno> {
        let proxy = self.proxy.take().unwrap();
        drop(self.link);
        proxy.join().unwrap()
    }
}

/// A client with the socket it has, and the copy the hub keeps.
struct Client {
    socket: OwnedFd,
    _hubs: OwnedFd,
}

impl Client {
    /// Sends one packet, when there is room for it.
    fn send(&self, packet: &[u8]) {
        let sent = rustix::net::send(&self.socket, packet, SendFlags::NOSIGNAL);
        assert_eq!(sent, Ok(packet.len()));
    }

    /// Sends a packet if there is room now.
    fn try_send(&self, packet: &[u8]) -> Result<usize, Errno> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        rustix::net::send(&self.socket, packet, flags)
    }

    fn end_input(&self) {
        rustix::net::shutdown(&self.socket, Shutdown::Write).unwrap();
    }
}

/// A client's socket as the hub has it, and the client's own, which a proxy
/// that does not read blocks for some time only.
fn socketpair() -> (OwnedFd, OwnedFd) {
    let (near, far) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    let patience = std::time::Duration::from_secs(PATIENCE as u64);
    set_socket_timeout(&far, Timeout::Send, Some(patience)).unwrap();
    (near, far)
}

/// Read and write end of a pipe. The write end does not block, as that of a
/// container's stdin; the read end does.
fn pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    rustix::io::ioctl_fionbio(&write, true).unwrap();
    (read, write)
}

/// A pipe of the smallest size.
fn small_pipe() -> (OwnedFd, OwnedFd) {
    let ends = pipe();
    rustix::pipe::fcntl_setpipe_size(&ends.1, 4096).unwrap();
    ends
}

fn readable(fd: impl AsFd, ms: i64) -> bool {
    let timeout = Timespec { tv_sec: ms / 1000, tv_nsec: (ms % 1000) * 1_000_000 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

/// At most `max` bytes; empty at the end of file.
fn read_some(fd: impl AsFd, max: usize) -> Vec<u8> {
    assert!(readable(&fd, PATIENCE * 1000), "nothing to read came");
    let mut bytes = vec![0; max];
    let len = rustix::io::read(fd, &mut bytes[..]).unwrap();
    bytes.truncate(len);
    bytes
}

/// Exactly that many bytes.
fn read_exactly(fd: impl AsFd, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let more = read_some(&fd, len - bytes.len());
        assert!(!more.is_empty(), "end of file after {} bytes", bytes.len());
        bytes.extend(more);
    }
    bytes
}

/// Waits until that many bytes can be read, without reading them.
fn await_bytes(fd: impl AsFd, len: u64) {
    let start = wire::event::now_ms();
    while rustix::io::ioctl_fionread(&fd).unwrap() < len {
        assert!(wire::event::now_ms() < start + PATIENCE as u64 * 1000);
        std::thread::yield_now();
    }
}

/// Bytes in no simple order, the same for the same seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}
