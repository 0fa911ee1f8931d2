//! Where a session's output comes from.

use wire::{Errno, OwnedFd};

/// Bytes read at once, and so the most of one message.
const PIECE: usize = 32 * 1024;

/// The channels of a session.
pub mod channel {
    /// Input.
    pub const STDIN: u8 = 0;
    /// Output.
    pub const STDOUT: u8 = 1;
    /// Error output.
    pub const STDERR: u8 = 2;
    /// How it ended.
    pub const STATUS: u8 = 3;
    /// Sizes of the terminal.
    pub const RESIZE: u8 = 4;
    /// The end of the channel that is named.
    pub const CLOSE: u8 = 255;
}

/// One source of output.
#[derive(Debug)]
pub enum Output {
    /// A pipe or a terminal, for that channel.
    Bytes(OwnedFd, u8),
    /// An attach socket, whose packets name their stream.
    Packets(OwnedFd),
}

/// What a source had.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Output for a channel.
    Data(u8, Vec<u8>),
    /// Nothing just now.
    Nothing,
    /// It has ended; for an attach socket: all output has been sent.
    End,
    /// The log-writer has given this client up.
    Dropped,
}

impl Output {
    /// To be waited for.
    pub fn fd(&self) -> &OwnedFd {
        match self {
            Output::Bytes(fd, _) | Output::Packets(fd) => fd,
        }
    }

    /// The next piece.
    pub fn read(&self) -> Piece {
        let mut bytes = vec![0u8; PIECE];
        loop {
            let count = match rustix::io::read(self.fd(), &mut bytes[..]) {
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Piece::Nothing,
                // A terminal that nobody has open any more says EIO.
                Err(_) => 0,
            };
            bytes.truncate(count);
            return match (self, bytes.first()) {
                (Output::Bytes(..), None) => Piece::End,
                (Output::Bytes(_, channel), Some(_)) => Piece::Data(*channel, bytes),
                (Output::Packets(_), None) => Piece::Dropped,
                (Output::Packets(_), Some(2)) => Piece::Data(channel::STDOUT, bytes.split_off(1)),
                (Output::Packets(_), Some(3)) => Piece::Data(channel::STDERR, bytes.split_off(1)),
                (Output::Packets(_), Some(0)) => Piece::End,
                (Output::Packets(_), Some(_)) => continue,
            };
        }
    }

    /// How many bytes wait in it.
    pub fn waiting(&self) -> u64 {
        rustix::io::ioctl_fionread(self.fd()).unwrap_or(0)
    }
}
