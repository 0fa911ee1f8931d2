//! Output on its way to the clients, and the pipes behind it.

use crate::client::{Client, GRACE, Sent};
use crate::container::Life;
use crate::role::{Role, Token};
use wire::event::{EventFlags, now_ms};
use wire::message::Stream as Which;
use wire::{AsFd, Key, Message};

/// Both streams.
pub(crate) const BOTH: [Which; 2] = [Which::Stdout, Which::Stderr];

impl Role {
    /// Offers the first `len` bytes of the input buffer, which stand `begin`
    /// bytes behind the head of the stream's pipe, to all clients. What a client
    /// got when it was held back, it does not get again.
    pub(crate) fn offer(&mut self, at: Key, which: Which, begin: usize, len: usize) {
        let mut from = 0;
        while let Some(key) = self.tables.clients.next_key(from) {
            from = key.slot() + 1;
            let Some(client) = self.tables.clients.get_mut(key) else {
                continue;
            };
            if client.container != at {
                continue;
            }
            // Who is further behind gets this when it has caught up.
            let Some(skip) = client.sent(which).checked_sub(begin) else {
                continue;
            };
            let output = self.tables.space.input(len);
            let output = output.get(skip..).unwrap_or(&[]);
            match client.send(which, output) {
                Sent::All => *client.sent(which) = begin + len,
                Sent::Some(done) => {
                    *client.sent(which) += done;
                    self.watch_client(key, true);
                }
                Sent::Gone => self.lose_client(key),
            }
        }
    }

    /// A client that was behind has room again.
    pub(crate) fn serve(&mut self, key: Key) {
        let Some(at) = self.tables.clients.get(key).map(|client| client.container) else {
            return;
        };
        let (mut full, mut gone) = (false, false);
        for which in BOTH {
            loop {
                let Some(client) = self.tables.clients.get_mut(key) else {
                    return;
                };
                let Some(container) = self.tables.containers.get_mut(at) else {
                    return;
                };
                let Some(stream) = container.stream(which) else {
                    break;
                };
                let sent = client.sent(which);
                let missing = stream.logged.saturating_sub(*sent);
                let space = self.tables.space.input(missing);
                if space.is_empty() {
                    break;
                }
                let Ok(got @ 1..) = self.peek.look(stream.pipe.as_fd(), *sent, 0, space) else {
                    // Somebody else has read the pipe. Better no output than
                    // output with a hole in it.
                    gone = true;
                    break;
                };
                match client.send(which, space.get(..got).unwrap_or(&[])) {
                    Sent::All => *client.sent(which) += got,
                    Sent::Some(done) => {
                        *client.sent(which) += done;
                        full = true;
                        break;
                    }
                    Sent::Gone => {
                        gone = true;
                        break;
                    }
                }
            }
        }
        if gone {
            self.lose_client(key);
        } else {
            // It has made room, and gets new time to make more.
            self.watch_client(key, false);
            self.watch_client(key, full);
        }
        self.settle_all(at);
    }

    /// Takes out of a stream's pipe what everybody has, and reads on, or ends,
    /// if that is all that was logged.
    pub(crate) fn settle(&mut self, at: Key, which: Which) {
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let (clients, life) = (container.clients, container.life);
        let Some(stream) = container.stream(which) else {
            return;
        };
        let mut done = stream.owed();
        if clients > 0 && done > 0 {
            let clients = &mut self.tables.clients;
            let ours = |client: &Client| client.container == at;
            for (_, client) in clients.iter_mut().filter(|(_, client)| ours(client)) {
                done = done.min(*client.sent(which));
            }
            for (_, client) in clients.iter_mut().filter(|(_, client)| ours(client)) {
                *client.sent(which) -= done;
            }
        }
        self.peek.consume(stream.pipe.as_fd(), done);
        stream.logged -= done;
        if stream.owed() > 0 {
            self.watch(at, which, false);
        } else {
            match life {
                Life::Running => self.watch(at, which, true),
                Life::Draining => {}
                Life::Drained => self.close(at, which),
            }
        }
    }

    /// [`settle`](Self::settle) for both streams, and the end of a drained
    /// container that owes nothing any more.
    pub(crate) fn settle_all(&mut self, at: Key) {
        for which in BOTH {
            self.settle(at, which);
        }
        self.finish_drained(at);
    }

    /// Watches whether a client has room, or stops that.
    pub(crate) fn watch_client(&mut self, key: Key, on: bool) {
        let Some(client) = self.tables.clients.get_mut(key) else {
            return;
        };
        if on && !client.watched {
            if !client.owner {
                client.deadline = now_ms() + GRACE;
                self.overdue = self.overdue.min(client.deadline);
            }
            let token = Token::Client(key).into();
            client.watched = self.events.add(&client.socket, token, EventFlags::OUT).is_ok();
        } else if !on && client.watched {
            self.events.remove(&client.socket);
            client.watched = false;
            client.deadline = 0;
        }
    }

    /// Drops observers whose queues have been full for too long.
    pub(crate) fn drop_overdue(&mut self) {
        if self.overdue == u64::MAX {
            return;
        }
        let now = now_ms();
        if now < self.overdue {
            return;
        }
        self.overdue = u64::MAX;
        let mut from = 0;
        while let Some(key) = self.tables.clients.next_key(from) {
            from = key.slot() + 1;
            let Some(client) = self.tables.clients.get(key) else { continue };
            let (at, deadline) = (client.container, client.deadline);
            if deadline > now {
                self.overdue = self.overdue.min(deadline);
            } else if deadline > 0 {
                self.lose_client(key);
                self.settle_all(at);
            }
        }
    }

    /// Drops a client that cannot be sent to, and tells the hub.
    pub(crate) fn lose_client(&mut self, key: Key) {
        let Some(client) = self.close_client(key) else {
            return;
        };
        // No shutdown(2): the proxy would take that for the end of the client's
        // input, and close the container's. The hub has it closed everywhere.
        let container = self.tables.containers.get(client.container);
        if let Some(container) = container
            && container.life != Life::Drained
        {
            let gone = Message::ClientGone { container: container.name, client: client.name };
            self.tell(&gone, &[]);
        }
    }

    /// Takes a client out of the tables.
    pub(crate) fn close_client(&mut self, key: Key) -> Option<Client> {
        self.watch_client(key, false);
        let client = self.tables.clients.remove(key)?;
        if let Some(container) = self.tables.containers.get_mut(client.container) {
            container.clients = container.clients.saturating_sub(1);
        }
        Some(client)
    }
}
