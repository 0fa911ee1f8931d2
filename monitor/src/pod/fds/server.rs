//! The fd server: has the descriptors of whoever is connected to the fd
//! socket, and gives them out to workers. The hub starts it for the first
//! connection; it ends with the last one.

use std::mem::MaybeUninit;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, accept_with, recvmsg, sendmsg, sockopt,
};
use rustix::process::{Resource, Rlimit};
use wire::{AsFd, Errno, Link, Message, OwnedFd};

use super::protocol::{self, MAX_FDS, MAX_LEN, Request};
use super::slots::{Connection, Slots};
use crate::inherited::text;
use crate::pod::hub::{NOT_STARTED, receive};

/// The argument that makes the program the fd server.
pub const WORD: &str = "serve-fds";

/// Most connections at once. An engine has one a pod, and each call that makes
/// a container another; more wait.
const MAX_CLIENTS: usize = 128;

/// How long not to accept connections after descriptors ran out, in ns.
const PAUSE_NS: i64 = 100_000_000;

struct Client {
    name: Connection,
    socket: OwnedFd,
    /// Runs as our own user, and may take what others have sent.
    trusted: bool,
}

struct Server {
    listener: OwnedFd,
    clients: Vec<Client>,
    slots: Slots,
    connections: Connection,
    /// No connection can be accepted at the moment.
    exhausted: bool,
}

/// Serves clients until the last one has gone.
///
/// # Errors
/// It was not started by a hub.
pub fn serve() -> Result<(), String> {
    let link = Link::over(wire::sys::take_inherited(0).map_err(text)?);
    let (message, fds) = receive(&link)?;
    let (Message::ServeFds { turn }, Some(listener)) = (message, fds.into_iter().next()) else {
        return Err(NOT_STARTED.into());
    };
    // What is kept are descriptors.
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = rustix::process::setrlimit(Resource::Nofile, all);
    let mut server = Server {
        listener,
        clients: Vec::new(),
        slots: Slots::new(turn),
        connections: 0,
        exhausted: false,
    };
    loop {
        server.accept();
        if server.clients.is_empty() && !server.exhausted {
            // Whoever connects now is the hub's again.
            let _ = link.send(&Message::Done, &[]);
            return Ok(());
        }
        let ready = server.wait(&link);
        if ready.hub {
            // It ends, or has died.
            return Ok(());
        }
        for name in ready.clients {
            server.hear(name);
        }
    }
}

/// Who has something to say.
#[derive(Default)]
struct Ready {
    hub: bool,
    clients: Vec<Connection>,
}

impl Server {
    fn is_full(&self) -> bool {
        self.clients.len() >= MAX_CLIENTS
    }

    fn accept(&mut self) {
        self.exhausted = false;
        while !self.is_full() {
            match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => {
                    let peer = sockopt::socket_peercred(&socket);
                    let trusted = peer.is_ok_and(|peer| peer.uid == rustix::process::geteuid());
                    self.connections += 1;
                    self.clients.push(Client { name: self.connections, socket, trusted });
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => {
                    self.exhausted = true;
                    return;
                }
            }
        }
    }

    fn wait(&self, link: &Link) -> Ready {
        let mut polled = vec![PollFd::new(link, PollFlags::IN | PollFlags::RDHUP)];
        polled.extend(self.clients.iter().map(|client| PollFd::new(&client.socket, PollFlags::IN)));
        if !self.exhausted && !self.is_full() {
            polled.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        let pause = Timespec { tv_sec: 0, tv_nsec: PAUSE_NS };
        if poll(&mut polled, self.exhausted.then_some(&pause)).is_err() {
            return Ready::default();
        }
        let mut ready = polled.iter().map(|fd| !fd.revents().is_empty());
        let hub = ready.next().unwrap_or(false);
        let clients = self.clients.iter().zip(ready).filter(|(_, ready)| *ready);
        Ready { hub, clients: clients.map(|(client, _)| client.name).collect() }
    }

    /// Takes one packet of a client. If that is gone, or does not read its
    /// answers, so is what it has sent.
    fn hear(&mut self, name: Connection) {
        let Some(client) = self.clients.iter().find(|client| client.name == name) else { return };
        if answer(client, &mut self.slots).is_err() {
            self.slots.close_all(name);
            self.clients.retain(|client| client.name != name);
        }
    }
}

fn answer(client: &Client, slots: &mut Slots) -> Result<(), Errno> {
    // One byte more, to tell longer packets.
    let mut packet = [0u8; MAX_LEN + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut packet)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let count = match recvmsg(&client.socket, &mut parts, &mut control, flags) {
        Ok(received) if received.bytes == 0 => return Err(Errno::PIPE),
        Ok(received) => received.bytes,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            fds.extend(rights);
        }
    }
    match packet.get(..count).and_then(Request::decode) {
        None => Ok(()),
        Some(Request::CloseAll) => {
            slots.close_all(client.name);
            Ok(())
        }
        Some(Request::Keep { request }) => {
            let (came, expected) = (fds.len(), protocol::expected(request));
            let answer = if u64::try_from(came) == Ok(expected) {
                protocol::kept(request, fds.into_iter().map(|fd| slots.keep(client.name, fd)))
            } else {
                let text = format!("received {came} fds, but expected {expected} fds");
                protocol::failed(request, &text)
            };
            say(client, &answer, None)
        }
        Some(Request::Take { slot }) => {
            let fd = if client.trusted { slots.take(slot) } else { None };
            let answer = if fd.is_some() { protocol::HERE } else { protocol::NOT_HERE };
            say(client, &answer, fd)
        }
    }
}

fn say(client: &Client, answer: &[u8], fd: Option<OwnedFd>) -> Result<(), Errno> {
    let rights: Vec<_> = fd.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !rights.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&rights));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(&client.socket, &[IoSlice::new(answer)], &mut control, flags).map(drop)
}
