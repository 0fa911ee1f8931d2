//! RPC connections while nobody speaks on them.

use super::PAUSE_MS;
use super::workers::Work;
use crate::hub::{Hub, Source};
use rustix::net::{RecvFlags, SocketFlags};
use wire::event::EventFlags;
use wire::{Errno, Key, OwnedFd};

/// Connections accepted at once; more wait in the socket's backlog.
const BATCH: usize = 64;

/// A connection that no worker has.
pub(super) struct Connection {
    socket: OwnedFd,
    /// It has something to say and waits for a worker since then (by
    /// `Pod::waits`); otherwise it is watched.
    waits: Option<u32>,
}

impl Hub {
    /// Accepts connections.
    pub(crate) fn accept_connections(&mut self) {
        for _ in 0..BATCH {
            let Some(pod) = &mut self.pod else { return };
            let Some(listener) = &pod.listener else { return };
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(socket) => self.keep(socket),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(_) => {
                    self.events.remove(listener);
                    pod.accept_at = Some(self.now + PAUSE_MS);
                    return;
                }
            }
        }
    }

    /// Resumes accepting.
    pub(super) fn watch_connections(&mut self) {
        let Some(pod) = &mut self.pod else { return };
        if let Some(listener) = &pod.listener
            && self.events.add(listener, Source::Rpc.token(), EventFlags::IN).is_err()
        {
            pod.accept_at = Some(self.now + PAUSE_MS);
        }
    }

    /// Keeps a connection until something is said on it. Without room for it,
    /// or when the server ends, it is closed.
    pub(super) fn keep(&mut self, socket: OwnedFd) {
        let Some(pod) = self.pod.as_mut().filter(|pod| !pod.stops()) else { return };
        let Ok(key) = pod.tables.connections.insert(Connection { socket, waits: None }) else {
            return;
        };
        self.watch_connection(key);
    }

    fn watch_connection(&mut self, key: Key) {
        let Some(pod) = &mut self.pod else { return };
        let Some(connection) = pod.tables.connections.get(key) else { return };
        let token = Source::Connection(key).token();
        if self.events.add(&connection.socket, token, EventFlags::IN).is_err() {
            // It would never be heard.
            pod.tables.connections.remove(key);
        }
    }

    /// Something is to be read on a connection.
    pub(crate) fn connection_ready(&mut self, key: Key) {
        let Some(pod) = &mut self.pod else { return };
        let Some(connection) = pod.tables.connections.get_mut(key) else { return };
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let gone = match rustix::net::recv(&connection.socket, &mut [0u8; 1], flags) {
            Ok((_, len)) => len == 0,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => true,
        };
        self.events.remove(&connection.socket);
        if gone {
            pod.tables.connections.remove(key);
            return;
        }
        connection.waits = Some(pod.waits);
        pod.waits = pod.waits.wrapping_add(1);
        if pod.start_at.is_none() {
            self.serve_waiting();
        }
    }

    /// Gives those that have waited longest to workers, as far as that goes.
    pub(super) fn serve_waiting(&mut self) {
        loop {
            let Some(pod) = self.pod.as_mut().filter(|pod| !pod.stops()) else { return };
            if pod.has_all_workers() {
                return;
            }
            let waits = pod.waits;
            let waiting =
                pod.tables.connections.iter().filter_map(|(key, connection)| {
                    Some((waits.wrapping_sub(connection.waits?), key))
                });
            let Some((_, key)) = waiting.max_by_key(|(age, _)| *age) else { return };
            let Some(connection) = pod.tables.connections.remove(key) else { return };
            let Connection { socket, .. } = connection;
            if !self.start_worker(Work::Rpc(&socket)) {
                let Some(pod) = &mut self.pod else { return };
                pod.start_at = Some(self.now + PAUSE_MS);
                // At the end of the queue; with others as poor.
                let waits = Some(pod.waits);
                let _ = pod.tables.connections.insert(Connection { socket, waits });
                return;
            }
        }
    }

    /// Closes all connections that no worker has.
    pub(super) fn dismiss_connections(&mut self) {
        let Some(pod) = &mut self.pod else { return };
        let mut from = 0;
        while let Some(key) = pod.tables.connections.next_key(from) {
            from = key.slot() + 1;
            if let Some(connection) = pod.tables.connections.remove(key) {
                self.events.remove(&connection.socket);
            }
        }
    }
}
