//! Attached clients: `SOCK_SEQPACKET` sockets that get packets of one byte
//! (which stream) and output.

use rustix::io::IoSlice;
use rustix::net::{SendAncillaryBuffer, SendFlags, sockopt};
use wire::message::Stream as Which;
use wire::{Errno, Key, OwnedFd};

/// Most output in a packet, in bytes. Clients read that and one byte more.
const PACKET: usize = 8192;

/// Bytes that the kernel queues for a client: how far it may fall behind before
/// output waits for it.
const QUEUE: usize = 1 << 20;

/// How long output waits for an observer whose queue is full, in ms. The kernel
/// reports room when three quarters of the queue are free again: whoever reads
/// 3 MB a second keeps up with any flood, and whoever has stopped is dropped
/// before anybody notices.
pub(crate) const GRACE: u64 = 250;

/// An attached client.
pub(crate) struct Client {
    /// The hub's name for it.
    pub(crate) name: Key,
    /// Our own key of its container.
    pub(crate) container: Key,
    /// Whether output waits for it for ever. Otherwise it waits for [`GRACE`].
    pub(crate) owner: bool,
    /// When an observer whose queue is full is dropped, in ms of the clock; 0:
    /// its queue is not full.
    pub(crate) deadline: u64,
    /// Whether `socket` is in the event loop: it was full.
    pub(crate) watched: bool,
    /// Its socket.
    pub(crate) socket: OwnedFd,
    /// How many of the bytes at the head of the pipe it has got.
    pub(crate) stdout: usize,
    /// The same of standard error.
    pub(crate) stderr: usize,
}

/// How sending went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// All of it is queued.
    All,
    /// That many bytes are; there is no room for more.
    Some(usize),
    /// There is no one to send to.
    Gone,
}

impl Client {
    /// How far it is with a stream.
    pub(crate) fn sent(&mut self, which: Which) -> &mut usize {
        match which {
            Which::Stdout => &mut self.stdout,
            Which::Stderr => &mut self.stderr,
        }
    }

    /// Gives its queue the room we want, or as much as we may.
    pub(crate) fn enlarge_queue(&self) {
        if sockopt::set_socket_send_buffer_size_force(&self.socket, QUEUE).is_err() {
            let _ = sockopt::set_socket_send_buffer_size(&self.socket, QUEUE);
        }
    }

    /// Tells it that no more output comes, in the words of conmonrs. Without
    /// room for that, the end of the connection says the same.
    pub(crate) fn send_done(&self) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let _ = rustix::net::send(&self.socket, &[0], flags);
    }

    /// Sends output without waiting.
    pub(crate) fn send(&self, which: Which, output: &[u8]) -> Sent {
        let head = [which as u8];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let mut done = 0;
        for part in output.chunks(PACKET) {
            let packet = [IoSlice::new(&head), IoSlice::new(part)];
            loop {
                let mut none = SendAncillaryBuffer::default();
                match rustix::net::sendmsg(&self.socket, &packet, &mut none, flags) {
                    Ok(_) => break,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return Sent::Some(done),
                    Err(_) => return Sent::Gone,
                }
            }
            done += part.len();
        }
        Sent::All
    }
}
