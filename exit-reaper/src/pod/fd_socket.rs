//! The fd socket: whoever has descriptors for containers that are still to be
//! made connects there. All the hub does is to start a program that serves
//! them, the fd server, and to listen while there is none.

use super::PAUSE_MS;
use super::workers::kill;
use crate::hub::{Hub, Source};
use crate::publish;
use rustix::net::Shutdown;
use rustix::process::Pid;
use wire::event::EventFlags;
use wire::record::Tag;
use wire::{AsFd, Errno, Link, Message, OwnedFd, Record};

/// The fd socket of a server.
pub(super) struct FdSocket {
    /// It listens; `None` until somebody asks for it.
    socket: Option<OwnedFd>,
    /// Who serves it at the moment.
    server: Option<(Link, Pid)>,
    /// How many servers there have been.
    turn: u32,
    /// When to listen again, after a server could not be started.
    pub(super) start_at: Option<u64>,
}

impl FdSocket {
    /// None.
    pub(super) const fn new() -> Self {
        FdSocket { socket: None, server: None, turn: 0, start_at: None }
    }

    /// Whether nobody serves it.
    pub(super) fn is_idle(&self) -> bool {
        self.server.is_none()
    }

    /// Ends whoever serves it.
    pub(super) fn kill(&self) {
        if let Some((_, pid)) = &self.server {
            kill(*pid);
        }
    }
}

impl Hub {
    /// Takes the listening socket; gives the answer to who has made it.
    pub(super) fn open_fd_socket(&mut self, socket: OwnedFd) -> Message {
        let Some(pod) = &mut self.pod else { return Message::Refused };
        if pod.fd_socket.socket.is_some() {
            return Message::Refused;
        }
        pod.fd_socket.socket = Some(socket);
        self.watch_fd_socket();
        Message::Done
    }

    /// Waits for clients.
    pub(super) fn watch_fd_socket(&mut self) {
        let Some(pod) = &mut self.pod else { return };
        let Some(socket) = &pod.fd_socket.socket else { return };
        if self.events.add(socket, Source::FdSocket.token(), EventFlags::IN).is_err() {
            pod.fd_socket.start_at = Some(self.now + PAUSE_MS);
        }
    }

    /// A client has connected, and nobody serves.
    pub(crate) fn fd_client_waits(&mut self) {
        let Some(pod) = &mut self.pod else { return };
        let Some(socket) = &pod.fd_socket.socket else { return };
        self.events.remove(socket);
        let turn = pod.fd_socket.turn;
        pod.fd_socket.turn = turn.wrapping_add(1);
        let started = pod
            .spawn(c"serve-fds", self.environment)
            .and_then(|(link, pid)| {
                let sent = link.send(&Message::ServeFds { turn }, &[socket.as_fd()]);
                let token = Source::FdServer.token();
                let watched = sent.and_then(|()| self.events.add(&link, token, EventFlags::IN));
                if watched.is_err() {
                    kill(pid);
                }
                watched.map(|()| (link, pid))
            })
            .map_err(|error: Errno| {
                wire::error!(crate::NAME, "cannot start an fd server: {error}; trying again");
            });
        pod.fd_socket.server = started.ok();
        if pod.fd_socket.server.is_none() {
            pod.fd_socket.start_at = Some(self.now + PAUSE_MS);
        }
    }

    /// The server says that no client is left, or is lost with all it had.
    pub(crate) fn fd_server_ends(&mut self) {
        let Some(pod) = &mut self.pod else { return };
        let Some((link, _)) = pod.fd_socket.server.take() else { return };
        self.events.remove(&link);
        if matches!(link.receive(), Ok((Message::Done, _))) {
            return self.watch_fd_socket();
        }
        // One that fails at once is not to be started anew at once.
        pod.fd_socket.start_at = pod.fd_socket.socket.as_ref().map(|_| self.now + PAUSE_MS);
    }

    /// Nobody is to connect any more.
    pub(super) fn close_fd_socket(&mut self) {
        let Some(pod) = &mut self.pod else { return };
        pod.fd_socket.start_at = None;
        if let Some(socket) = pod.fd_socket.socket.take() {
            self.events.remove(&socket);
            if let Ok(record) = Record::map(&pod.record) {
                publish::unlink(record.fields(), Tag::FdSocket);
            }
        }
        if let Some((link, _)) = &pod.fd_socket.server {
            let _ = rustix::net::shutdown(link, Shutdown::Write);
        }
    }
}
