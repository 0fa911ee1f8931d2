//! The way of one packet: look at it, write it to the container, take it off
//! the client's socket. In that order, so that nothing is lost if the proxy is
//! killed at any point; a packet may be delivered twice then.

use crate::container::{Container, Input, Stuck};
use crate::packet::{PacketBuffer, consume};
use crate::ports::Ports;
use wire::{BorrowedFd, Errno, Key, OwnedFd};

/// Packets of one client delivered before others get their turn.
const PACKETS_PER_TURN: usize = 16;

/// An attached client that can still send input.
pub(crate) struct Client {
    /// What the hub calls it.
    pub(crate) name: Key,
    /// Whose client.
    pub(crate) container: Key,
    /// SOCK_SEQPACKET.
    pub(crate) socket: OwnedFd,
    /// The end of its input closes the container's.
    pub(crate) closes: bool,
    /// There may be a packet in the socket.
    pub(crate) ready: bool,
    /// The hub has dropped it; what it had sent until then is delivered.
    pub(crate) leaving: bool,
    /// We dropped it because it did not read: its input has not ended.
    pub(crate) behind: bool,
}

/// How a turn of a client ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// No packet is there at the moment.
    Drained,
    /// There may be more.
    More,
    /// The container takes no more at the moment.
    Blocked,
    /// This client sends nothing any more.
    Ended,
}

/// A container with its key, and the means to serve it.
pub(crate) struct Delivery<'a> {
    /// Where input goes.
    pub(crate) container: &'a mut Container,
    /// The container's key.
    pub(crate) own: Key,
    /// Shared by all.
    pub(crate) buffer: PacketBuffer<'a>,
    /// The way to hub and kernel.
    pub(crate) ports: &'a Ports,
}

impl Delivery<'_> {
    /// Delivers some packets of a client, the first of which may have been
    /// begun earlier. `key` is our own for it.
    pub(crate) fn turn(&mut self, key: Key, client: &Client) -> Turn {
        for _ in 0..PACKETS_PER_TURN {
            match self.packet(key, client) {
                Turn::More => {}
                ended => return ended,
            }
        }
        Turn::More
    }

    /// Goes on with the packet that the container did not take as a whole.
    /// `client` is its sender, `key` our own for it.
    pub(crate) fn resume(&mut self, key: Key, client: &Client) -> Turn {
        let turn = self.packet(key, client);
        if turn != Turn::Blocked {
            self.container.await_room(false, self.own, self.ports);
        }
        turn
    }

    fn packet(&mut self, key: Key, client: &Client) -> Turn {
        let begun = self.container.stuck.take();
        let Some(to) = self.container.input_fd() else {
            return end(consume(&client.socket));
        };
        let packet = match self.buffer.peek(&client.socket) {
            Ok(packet) if !packet.is_empty() => packet,
            other => return end(other.map(<[u8]>::len)),
        };
        let sent = begun.map_or(0, |stuck| stuck.sent);
        match write(to, packet.get(sent..).unwrap_or(&[])) {
            Ok(()) => {}
            Err((more, Errno::AGAIN)) => {
                let stuck = Stuck { client: key, sent: sent + more };
                self.container.block(self.own, stuck, self.ports);
                return Turn::Blocked;
            }
            // A terminal may come back, so this costs one packet only.
            Err(_) if matches!(self.container.input, Input::Terminal) => {}
            // EPIPE: the container has closed its stdin.
            Err(_) => self.container.close_input(self.own, self.ports),
        }
        end(consume(&client.socket))
    }
}

/// What the result of reading a packet means for its sender's turn.
fn end(read: Result<usize, Errno>) -> Turn {
    match read {
        Ok(1..) => Turn::More,
        Err(Errno::AGAIN) => Turn::Drained,
        Ok(0) | Err(_) => Turn::Ended,
    }
}

/// Writes all of it, or says how many bytes it wrote and what stopped it.
fn write(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), (usize, Errno)> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(to, rest) {
            // A terminal whose output is stopped takes nothing.
            Ok(0) => return Err((sent, Errno::AGAIN)),
            Ok(len) => sent += len,
            Err(Errno::INTR) => {}
            Err(error) => return Err((sent, error)),
        }
    }
    Ok(())
}
