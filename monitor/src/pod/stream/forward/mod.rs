//! Reaching ports of the pod: each is a TCP connection to the pod's loopback
//! interface, made from within its network namespace. How the client's
//! messages name connections is the subprotocol's affair ([`channels`]).

pub mod channels;
pub mod connection;

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType;
use wire::OwnedFd;

use self::channels::{Asked, Channels};
use self::connection::{Connection, Heard};
use super::http::Opening;
use super::session::End;
use super::socket::{Received, Socket};
use super::wait::{found, wait};
use crate::fds::c_path;
use crate::inherited::text;

/// Subprotocols of port forwarding.
pub const PROTOCOLS: [&str; 3] =
    ["v4.channel.k8s.io", "v2.portforward.k8s.io", "portforward.k8s.io"];

/// Messages of a client that are read before others get their turn.
const TURN: usize = 32;
/// How long a client that reads nothing may keep what is over.
const STUCK: Duration = Duration::from_secs(30);

/// Serves a client until it goes, or all its connections have ended. `path` is
/// that of the network namespace.
pub fn serve(path: &str, opening: &Opening, socket: &mut Socket, ending: &OwnedFd) -> End {
    // One thread: from here on every new socket is the pod's.
    let entered = enter(path).map_err(|why| {
        log::error!("cannot forward ports: {why}");
        why
    });
    let channels = Channels::new(&opening.query);
    Forward { socket, ending, channels, entered, connections: Vec::new(), unread: true }.run()
}

fn enter(path: &str) -> Result<(), String> {
    let named = |error| format!("cannot enter network namespace '{path}': {}", text(error));
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = c_path(Path::new(path))
        .and_then(|path| rustix::fs::open(path.as_c_str(), flags, Mode::empty()))
        .map_err(named)?;
    use wire::AsFd;
    let kind = Some(LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(file.as_fd(), kind).map_err(named)
}

/// A session at work.
struct Forward<'a> {
    socket: &'a mut Socket,
    ending: &'a OwnedFd,
    channels: Channels,
    /// Whether we are in the pod's network namespace, or why not.
    entered: Result<(), String>,
    connections: Vec<(u8, Connection)>,
    /// Messages may be there that poll(2) does not know of.
    unread: bool,
}

impl Forward<'_> {
    fn run(mut self) -> End {
        for (number, port) in self.channels.ports() {
            if !self.open(number, port) {
                return End::Gone;
            }
        }
        loop {
            let Some((client, ready)) = self.wait() else { return End::ServerEnds };
            if let Some(end) = self.read_client(client) {
                return end;
            }
            if !self.read_connections(&ready) || !self.socket.flush() {
                return End::Gone;
            }
            for (_, connection) in &mut self.connections {
                connection.hand_on();
            }
            if self.channels.all_ended() && !self.socket.pending() {
                return End::Done;
            }
        }
    }

    /// Waits for something to do: what of the client, and what of each
    /// connection. `None`: the server ends.
    fn wait(&mut self) -> Option<(PollFlags, Vec<bool>)> {
        let (full, pending) = (self.is_full(), self.socket.pending());
        let mut flags = PollFlags::RDHUP;
        flags.set(PollFlags::IN, !full);
        flags.set(PollFlags::OUT, pending);
        let mut polled =
            vec![PollFd::new(self.ending, PollFlags::RDHUP), PollFd::new(&*self.socket, flags)];
        let mut places = Vec::new();
        for (_, connection) in &self.connections {
            let flags = connection.waits_for(!pending);
            places.push((!flags.is_empty()).then_some(polled.len()));
            if !flags.is_empty() {
                polled.push(PollFd::new(connection.fd(), flags));
            }
        }
        let over = self.channels.all_ended();
        let until = match self.unread && !full {
            true => Some(Instant::now()),
            false => over.then(|| Instant::now() + STUCK),
        };
        wait(&mut polled, until);
        if !found(&polled, 0).is_empty() {
            return None;
        }
        let ready =
            places.into_iter().map(|at| at.is_some_and(|at| !found(&polled, at).is_empty()));
        let client = found(&polled, 1);
        let ready = ready.collect();
        if over && client.is_empty() && pending {
            // It has read nothing for that long.
            return None;
        }
        Some((client, ready))
    }

    fn is_full(&self) -> bool {
        self.connections.iter().any(|(_, connection)| connection.is_full())
    }

    fn read_client(&mut self, ready: PollFlags) -> Option<End> {
        let ready = !ready.difference(PollFlags::OUT).is_empty();
        if self.is_full() {
            // There is nothing to be read, so this is its end.
            return ready.then_some(End::Gone);
        }
        if !ready && !self.unread {
            return None;
        }
        self.unread = true;
        for _ in 0..TURN {
            match self.socket.receive() {
                Received::Data(channel, content) => {
                    if !self.take(channel, &content) {
                        return Some(End::Gone);
                    }
                }
                Received::Nothing => {
                    self.unread = false;
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

    /// A message of the client's. `false`: it has gone.
    fn take(&mut self, channel: u8, content: &[u8]) -> bool {
        match self.channels.read(channel, content) {
            Asked::Open(number, port) => return self.open(number, port),
            Asked::Send(number) => {
                if let Some(connection) = self.connection(number) {
                    connection.push(content);
                    connection.hand_on();
                }
            }
            Asked::End(number) => {
                if let Some(connection) = self.connection(number) {
                    connection.end();
                    connection.hand_on();
                }
            }
            Asked::Nothing => {}
        }
        true
    }

    fn connection(&mut self, number: u8) -> Option<&mut Connection> {
        let mut all = self.connections.iter_mut();
        all.find(|(own, _)| *own == number).map(|(_, connection)| connection)
    }

    /// Connects to a port; the client is told its number on both channels.
    fn open(&mut self, number: u8, port: u16) -> bool {
        let told = Channels::both(number)
            .into_iter()
            .all(|channel| self.socket.send(channel, &port.to_le_bytes()));
        let opened = match &self.entered {
            Ok(()) => Connection::open(port),
            Err(why) => Err(why.clone()),
        };
        match opened {
            Ok(connection) => {
                self.connections.push((number, connection));
                told
            }
            Err(why) => told && self.fail(number, port, &why),
        }
    }

    fn fail(&mut self, number: u8, port: u16, why: &str) -> bool {
        self.channels.ended(number);
        let [_, errors] = Channels::both(number);
        self.socket.send(errors, format!("error forwarding port {port}: {why}").as_bytes())
    }

    /// Sends what connections have, as long as the client has room for it.
    fn read_connections(&mut self, ready: &[bool]) -> bool {
        let mut over = Vec::new();
        for at in 0..self.connections.len() {
            let Some((number, connection)) = self.connections.get_mut(at) else { continue };
            let (number, port) = (*number, connection.port);
            if !ready.get(at).copied().unwrap_or_default() || self.socket.pending() {
                continue;
            }
            let sent = match connection.hear() {
                Heard::Data(bytes) => {
                    let [data, _] = Channels::both(number);
                    self.socket.send(data, &bytes)
                }
                Heard::Nothing => true,
                Heard::End => {
                    over.push(number);
                    self.channels.ended(number);
                    true
                }
                Heard::Failed(why) => {
                    over.push(number);
                    self.fail(number, port, &why)
                }
            };
            if !sent {
                return false;
            }
        }
        self.connections.retain(|(number, _)| !over.contains(number));
        // Whoever was first is last the next time.
        if self.connections.len() > 1 {
            self.connections.rotate_left(1);
        }
        true
    }
}
