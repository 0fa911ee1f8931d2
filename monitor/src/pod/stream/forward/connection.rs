//! A TCP connection to a port of the pod.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use rustix::event::PollFlags;
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType};
use wire::{Errno, OwnedFd};

use crate::inherited::text;

/// Bytes read at once, and so the most of one message.
const PIECE: usize = 32 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    /// The port that it goes to.
    pub port: u16,
    socket: OwnedFd,
    /// Why there is no IPv4 connection, once IPv6 is tried.
    first_error: Option<Errno>,
    connected: bool,
    waiting: Vec<u8>,
    /// Nothing comes after what waits.
    ends: bool,
    /// The pod sends no more.
    heard_all: bool,
}

/// What came of a connection.
#[derive(Debug)]
pub enum Heard {
    /// Something was sent.
    Data(Vec<u8>),
    /// Nothing just now.
    Nothing,
    /// Nothing more comes.
    End,
    /// Nobody is there, or the connection has broken.
    Failed(String),
}

fn begin(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

fn v4(port: u16) -> SocketAddr {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into()
}

fn v6(port: u16) -> SocketAddr {
    SocketAddrV6::new(Ipv6Addr::LOCALHOST, port, 0, 0).into()
}

impl Connection {
    /// Begins to connect: over IPv4, then IPv6.
    ///
    /// # Errors
    /// Says why there is no connection.
    pub fn open(port: u16) -> Result<Self, String> {
        let (socket, first_error) = match begin(v4(port)) {
            Ok(socket) => (socket, None),
            Err(error) => (begin(v6(port)).map_err(|_| text(error))?, Some(error)),
        };
        Ok(Connection {
            port,
            socket,
            first_error,
            connected: false,
            waiting: Vec::new(),
            ends: false,
            heard_all: false,
        })
    }

    /// To be waited for.
    pub fn fd(&self) -> &OwnedFd {
        &self.socket
    }

    /// With these flags; `hear`: what it says can be passed on.
    pub fn waits_for(&self, hear: bool) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, hear && self.connected && !self.heard_all);
        // Until it is connected, being so is told as room, and what it has to say then may be an error.
        flags.set(PollFlags::OUT, if self.connected { !self.waiting.is_empty() } else { hear });
        flags
    }

    /// How many bytes wait for the pod.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing more comes or goes.
    pub fn is_over(&self) -> bool {
        self.heard_all && self.ends && self.waiting.is_empty()
    }

    /// Takes what the client has sent.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.ends {
            self.waiting.extend_from_slice(bytes);
        }
    }

    /// The client sends no more.
    pub fn end(&mut self) {
        self.ends = true;
    }

    /// Hands on as much as there is room for.
    pub fn hand_on(&mut self) {
        while self.connected && !self.waiting.is_empty() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(&self.socket, &self.waiting, flags) {
                Ok(count) => drop(self.waiting.drain(..count.min(self.waiting.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Whoever reads from it learns why.
                Err(_) => {
                    self.waiting.clear();
                    self.ends = true;
                }
            }
        }
        if self.connected && self.ends {
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
        }
    }

    /// Goes on where poll(2) says that something is to be done.
    pub fn hear(&mut self) -> Heard {
        if !self.connected {
            return self.arrive();
        }
        if self.heard_all {
            return Heard::Nothing;
        }
        let mut bytes = vec![0u8; PIECE];
        match rustix::io::read(&self.socket, &mut bytes[..]) {
            Ok(0) => {
                self.heard_all = true;
                Heard::End
            }
            Ok(count) => {
                bytes.truncate(count);
                Heard::Data(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(error) => Heard::Failed(text(error)),
        }
    }

    fn arrive(&mut self) -> Heard {
        let error = match rustix::net::sockopt::socket_error(&self.socket) {
            Ok(Ok(())) => {
                self.connected = true;
                let _ = rustix::net::sockopt::set_tcp_nodelay(&self.socket, true);
                self.hand_on();
                return Heard::Nothing;
            }
            Ok(Err(error)) | Err(error) => error,
        };
        if let Some(first) = self.first_error {
            return Heard::Failed(text(first));
        }
        match begin(v6(self.port)) {
            Ok(socket) => {
                self.socket = socket;
                self.first_error = Some(error);
                Heard::Nothing
            }
            Err(_) => Heard::Failed(text(error)),
        }
    }
}
