//! The WebSocket of a session (RFC 6455): binary messages, the first byte of
//! which names a channel in most protocols.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Bytes, Error, Message, WebSocket};
use wire::{AsFd, BorrowedFd, OwnedFd};

use super::session::End;
use super::tcp::Tcp;
use super::wait::wait;

/// Longest message of a client, in bytes: a megabyte of input.
const MAX_MESSAGE: usize = 1 << 20;
/// What is read from the connection at once, in bytes.
const READ: usize = 64 * 1024;

/// What may wait to be written, in bytes: a client that sends pings and reads
/// no answers gets no more of them.
const MAX_UNWRITTEN: usize = 2 << 20;

/// How long a client that reads nothing may keep what is over.
pub const STUCK: Duration = Duration::from_secs(30);
/// How long a client may take to answer that the session is closed.
const CLOSING: Duration = Duration::from_secs(5);
/// The same when the server ends.
const HURRY: Duration = Duration::from_millis(500);

/// Messages of a client that are read before others get their turn.
const TURN: usize = 32;

/// A WebSocket that never blocks.
#[derive(Debug)]
pub struct Socket {
    web: WebSocket<Tcp>,
    /// Something has to be written yet.
    pending: bool,
    /// Messages may be there that poll(2) does not know of.
    unread: bool,
}

/// Who has messages read.
pub trait Reader {
    /// From here.
    fn socket(&mut self) -> &mut Socket;

    /// Whether no more can be taken just now.
    fn is_full(&self) -> bool;

    /// Takes a message.
    ///
    /// # Errors
    /// Says what no client may send.
    fn take(&mut self, message: &[u8]) -> Result<(), String>;

    /// Reads what the client has sent, as far as there is room for it; `ready`
    /// is what poll(2) says of the connection. The session's end, if this is it.
    fn read_client(&mut self, ready: PollFlags) -> Option<End> {
        let ready = !ready.difference(PollFlags::OUT).is_empty();
        if self.is_full() {
            // There is nothing to be read, so this is its end.
            return ready.then_some(End::Gone);
        }
        if !ready && !self.socket().unread {
            return None;
        }
        self.socket().unread = true;
        for _ in 0..TURN {
            match self.socket().receive() {
                Received::Message(message) => {
                    if let Err(why) = self.take(&message) {
                        return Some(End::Wrong(why));
                    }
                }
                Received::Other => {}
                Received::Nothing => {
                    self.socket().unread = false;
                    return None;
                }
                Received::Gone => return Some(End::Gone),
                Received::Wrong(why) => return Some(End::Wrong(why)),
            }
            if self.is_full() {
                return None;
            }
        }
        None
    }
}

/// What came from the client.
enum Received {
    /// A message, which is not empty.
    Message(Bytes),
    /// Something that is not for us: pings, which are answered by now, say.
    Other,
    /// Nothing just now.
    Nothing,
    /// The client has gone, or has closed the session.
    Gone,
    /// It sent what no client may send.
    Wrong(String),
}

impl Socket {
    /// Over a connection whose handshake is done; `rest` came after it.
    pub fn new(tcp: Tcp, rest: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .max_write_buffer_size(MAX_UNWRITTEN)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let web = WebSocket::from_partially_read(tcp, rest, Role::Server, Some(config));
        Socket { web, pending: false, unread: true }
    }

    /// Sends a message, or keeps it until [`Socket::flush`]: to be called when
    /// nothing is kept, so that there is no end to what a client may leave
    /// unread. `false`: the client has gone.
    #[must_use]
    pub fn send(&mut self, channel: u8, content: &[u8]) -> bool {
        let mut bytes = Vec::with_capacity(content.len() + 1);
        bytes.push(channel);
        bytes.extend_from_slice(content);
        self.send_raw(bytes)
    }

    /// The same for a message without a channel.
    #[must_use]
    pub fn send_raw(&mut self, bytes: Vec<u8>) -> bool {
        let sent = self.web.write(Message::binary(bytes));
        !matches!(sent, Err(error) if !would_block(&error)) && self.flush()
    }

    /// Writes what is kept. `false`: the client has gone.
    #[must_use]
    pub fn flush(&mut self) -> bool {
        match self.web.flush() {
            Ok(()) => self.pending = false,
            Err(error) if would_block(&error) => self.pending = true,
            Err(_) => return false,
        }
        true
    }

    /// Whether something is kept that the client has no room for.
    pub fn pending(&self) -> bool {
        self.pending
    }

    /// Whether messages may be there that poll(2) does not know of.
    pub fn unread(&self) -> bool {
        self.unread
    }

    /// The next message.
    fn receive(&mut self) -> Received {
        match self.web.read() {
            Ok(Message::Binary(bytes)) if !bytes.is_empty() => Received::Message(bytes),
            Ok(Message::Close(_)) => Received::Gone,
            Ok(_) => Received::Other,
            Err(error) if would_block(&error) => Received::Nothing,
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Received::Gone,
            Err(
                error @ (Error::Capacity(_)
                | Error::Protocol(_)
                | Error::Utf8(_)
                | Error::WriteBufferFull(_)),
            ) => Received::Wrong(error.to_string()),
            Err(_) => Received::Gone,
        }
    }

    /// Says that the session is over, and waits for the client to have read all
    /// of it, and to answer; not for ever, and in a hurry when the server ends.
    pub fn close(mut self, code: u16, reason: &str, ending: &OwnedFd) {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
        let _ = self.web.close(Some(frame));
        let mut until = Instant::now() + STUCK;
        let (mut hurried, mut said) = (false, false);
        while Instant::now() < until {
            loop {
                match self.web.read() {
                    Ok(_) if until <= Instant::now() => return,
                    Ok(_) => {}
                    Err(error) if would_block(&error) => break,
                    Err(_) => return,
                }
            }
            if !self.flush() {
                return;
            }
            if !self.pending && !said {
                said = true;
                until = until.min(Instant::now() + CLOSING);
            }
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, self.pending);
            let mut polled = vec![PollFd::new(&self, flags)];
            if !hurried {
                polled.push(PollFd::new(ending, PollFlags::RDHUP));
            }
            wait(&mut polled, Some(until));
            if !hurried && polled.get(1).is_some_and(|entry| !entry.revents().is_empty()) {
                hurried = true;
                until = until.min(Instant::now() + HURRY);
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.web.get_ref().as_fd()
    }
}

fn would_block(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::WouldBlock)
}
