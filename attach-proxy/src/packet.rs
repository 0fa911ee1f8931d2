//! Packets from a client's socket: looked at first, taken off when they have
//! been delivered.

use wire::{AsFd, Errno};

use rustix::net::{RecvFlags, recv};

/// Largest packet in bytes. Sockets of ordinary processes send less than half
/// of this at once (`net.core.wmem_max`, socket(7)); of longer packets the
/// rest is lost.
const MAX_PACKET: usize = 512 * 1024;

/// Bytes of a packet that is looked at in [`Small`]: keystrokes, pasted lines.
const SMALL_PACKET: usize = 512;

/// Where small packets are looked at, and FIFOs read.
pub(crate) type Small = [u8; SMALL_PACKET];

/// Where large packets are looked at. Takes memory while the proxy is awake
/// only.
pub(crate) struct Large {
    bytes: [u8; MAX_PACKET],
}

impl Large {
    /// All zero, so that it costs nothing until used.
    pub(crate) const fn new() -> Self {
        Large { bytes: [0; MAX_PACKET] }
    }
}

/// Both, while the proxy is awake.
pub(crate) struct PacketBuffer<'a> {
    /// Always in memory.
    pub(crate) small: &'a mut Small,
    /// In memory if `large_used`.
    pub(crate) large: &'a mut Large,
    /// Whether the large one has been written to since it was given back.
    pub(crate) large_used: &'a mut bool,
}

impl PacketBuffer<'_> {
    /// The client's next packet, which stays in its socket (recv(2) with
    /// MSG_PEEK). Empty for a packet without content, and when there will be
    /// no more. [`Errno::AGAIN`]: none is there yet.
    pub(crate) fn peek(&mut self, socket: impl AsFd) -> Result<&[u8], Errno> {
        let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
        let len = receive(&socket, self.small, flags)?;
        if len <= SMALL_PACKET {
            return Ok(self.small.get(..len).unwrap_or(&[]));
        }
        *self.large_used = true;
        let len = receive(&socket, &mut self.large.bytes, flags)?;
        if len > MAX_PACKET {
            wire::warning!(
                crate::NAME,
                "input packet of {len} bytes cut off at {MAX_PACKET}; send smaller ones"
            );
        }
        Ok(self.large.bytes.get(..len.min(MAX_PACKET)).unwrap_or(&[]))
    }

    /// At most `max` bytes of the next datagram, which stays in its socket.
    /// Empty for an empty one. [`Errno::AGAIN`]: none is there.
    pub(crate) fn peek_beginning(
        &mut self,
        socket: impl AsFd,
        max: usize,
    ) -> Result<&mut [u8], Errno> {
        *self.large_used = true;
        let room = self.large.bytes.get_mut(..max).unwrap_or_default();
        let len = receive(&socket, room, RecvFlags::PEEK)?;
        Ok(room.get_mut(..len).unwrap_or_default())
    }

    /// Returns the memory that large packets took. For when the proxy is about
    /// to sleep.
    pub(crate) fn give_back(&mut self) {
        if core::mem::take(self.large_used) {
            wire::sys::give_back(&mut self.large.bytes);
        }
    }
}

/// Takes the client's next packet off its socket without looking. The result
/// is 0 for an empty packet, and when there will be no more.
pub(crate) fn consume(socket: impl AsFd) -> Result<usize, Errno> {
    let mut first = [0u8; 1];
    receive(socket, &mut first, RecvFlags::empty())
}

fn receive(socket: impl AsFd, bytes: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
    let flags = flags | RecvFlags::DONTWAIT;
    loop {
        match recv(&socket, &mut *bytes, flags) {
            Ok((_, len)) => return Ok(len),
            // CONNRESET: the client is gone and has not read everything. That
            // is told once; what it sent before is still there.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error),
        }
    }
}
