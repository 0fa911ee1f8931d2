//! A session at work: one loop, in which nothing blocks but waiting.

use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use wire::OwnedFd;

use super::connection::{Connection, Heard};
use super::protocol::{Asked, Protocol};
use crate::pod::stream::session::End;
use crate::pod::stream::socket::{Reader, STUCK, Socket};
use crate::pod::stream::wait::{found, wait};

/// Most bytes that wait for the pod; more stays with the client.
const MAX_WAITING: usize = 1 << 20;
/// Most bytes that wait for a client that goes on sending; it has to read then.
const MAX_KEPT: usize = 64 * 1024;

/// A session.
pub struct Relay<'a> {
    socket: &'a mut Socket,
    ending: &'a OwnedFd,
    protocol: &'a mut dyn Protocol,
    /// Whether we are in the pod's network namespace, or why not.
    entered: Result<(), String>,
    connections: Vec<(u32, Connection)>,
}

impl<'a> Relay<'a> {
    /// `ending` is ready when the server ends.
    pub fn new(
        socket: &'a mut Socket,
        ending: &'a OwnedFd,
        protocol: &'a mut dyn Protocol,
        entered: Result<(), String>,
    ) -> Self {
        Relay { socket, ending, protocol, entered, connections: Vec::new() }
    }

    /// Serves the client until it goes, or nothing more may come. `ports` are
    /// those to connect to at once, with the connections' numbers.
    pub fn run(mut self, ports: &[(u32, u16)]) -> End {
        for (number, port) in ports {
            self.open(*number, *port);
        }
        loop {
            if !self.send() {
                return End::Gone;
            }
            if self.protocol.is_over() && !self.owes() {
                return End::Done;
            }
            let (client, ready) = match self.wait() {
                Ok(ready) => ready,
                Err(end) => return end,
            };
            if let Some(end) = self.read_client(client) {
                return end;
            }
            if !self.read_connections(&ready) {
                return End::Gone;
            }
            self.hand_on();
        }
    }

    /// Waits for something to do: what of the client, and for which
    /// connections. An error is the session's end.
    fn wait(&mut self) -> Result<(PollFlags, Vec<u32>), End> {
        let (full, owes) = (self.is_full(), self.owes());
        let mut flags = PollFlags::RDHUP;
        flags.set(PollFlags::IN, !full);
        flags.set(PollFlags::OUT, owes);
        let mut polled =
            vec![PollFd::new(self.ending, PollFlags::RDHUP), PollFd::new(&*self.socket, flags)];
        let mut places = Vec::new();
        for (number, connection) in &self.connections {
            let flags = connection.waits_for(!owes);
            if !flags.is_empty() {
                places.push((*number, polled.len()));
                polled.push(PollFd::new(connection.fd(), flags));
            }
        }
        let stuck_at = self.protocol.is_over().then(|| Instant::now() + STUCK);
        let until = if self.socket.unread() && !full { Some(Instant::now()) } else { stuck_at };
        wait(&mut polled, until);
        if !found(&polled, 0).is_empty() {
            return Err(End::ServerEnds);
        }
        let client = found(&polled, 1);
        places.retain(|(_, at)| !found(&polled, *at).is_empty());
        let ready = places.into_iter().map(|(number, _)| number).collect();
        if stuck_at.is_some_and(|at| at <= Instant::now()) && client.is_empty() && owes {
            // It has read nothing for that long.
            return Err(End::Dropped);
        }
        Ok((client, ready))
    }

    /// Whether the client has to read before there is more.
    fn owes(&self) -> bool {
        self.socket.pending() || self.protocol.kept() > 0
    }

    /// Sends what the client has room for. `false`: it has gone.
    fn send(&mut self) -> bool {
        while self.socket.flush() {
            if self.socket.pending() {
                return true;
            }
            let Some(message) = self.protocol.message() else { return true };
            if !self.socket.send_raw(message) {
                return false;
            }
        }
        false
    }

    fn connection(&mut self, number: u32) -> Option<&mut Connection> {
        let mut all = self.connections.iter_mut();
        all.find(|(own, _)| *own == number).map(|(_, connection)| connection)
    }

    fn open(&mut self, number: u32, port: u16) {
        let opened = match &self.entered {
            Ok(()) => Connection::open(port),
            Err(why) => Err(why.clone()),
        };
        match opened {
            Ok(connection) => self.connections.push((number, connection)),
            Err(why) => self.fail(number, port, &why),
        }
    }

    fn fail(&mut self, number: u32, port: u16, why: &str) {
        self.protocol.failed(number, &format!("error forwarding port {port}: {why}"));
        self.protocol.gone(number);
    }

    /// Sends what connections have, as long as the client has room for it.
    /// `false`: it has gone.
    fn read_connections(&mut self, ready: &[u32]) -> bool {
        let mut over = Vec::new();
        for number in ready.iter().copied() {
            if self.owes() {
                break;
            }
            // The client may just have dropped it.
            let Some(connection) = self.connection(number) else { continue };
            let port = connection.port;
            match connection.hear() {
                Heard::Data(bytes) => self.protocol.data(number, &bytes),
                Heard::Nothing => {}
                Heard::End if self.protocol.ended(number) => {}
                Heard::End => over.push(number),
                Heard::Failed(why) => {
                    over.push(number);
                    self.fail(number, port, &why);
                }
            }
            if !self.send() {
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

    /// Hands on what the pod has room for, and forgets what is over.
    fn hand_on(&mut self) {
        self.connections.retain_mut(|(number, connection)| {
            connection.hand_on();
            if connection.is_over() {
                self.protocol.gone(*number);
            }
            !connection.is_over()
        });
    }
}

impl Reader for Relay<'_> {
    fn socket(&mut self) -> &mut Socket {
        self.socket
    }

    fn is_full(&self) -> bool {
        let waiting = self.connections.iter().map(|(_, connection)| connection.waiting());
        waiting.sum::<usize>() >= MAX_WAITING || self.protocol.kept() >= MAX_KEPT
    }

    fn take(&mut self, mut message: &[u8]) -> Result<(), String> {
        while let Some(asked) = self.protocol.next(&mut message)? {
            match asked {
                Asked::Open(number, port) => self.open(number, port),
                Asked::Send(number, bytes) => {
                    if let Some(connection) = self.connection(number) {
                        connection.push(bytes);
                        connection.hand_on();
                    }
                }
                Asked::End(number) => {
                    if let Some(connection) = self.connection(number) {
                        connection.end();
                        connection.hand_on();
                    }
                }
                Asked::Drop(number) => self.connections.retain(|(own, _)| *own != number),
            }
        }
        Ok(())
    }
}
