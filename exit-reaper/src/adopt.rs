//! Taking over a container, and the clients that attach to it.

use crate::container::{Client, Container};
use crate::hub::{Hub, Source, unexpected};
use rustix::net::{SendFlags, Shutdown, SocketFlags};
use rustix::process::{PidfdFlags, WaitOptions};
use wire::event::EventFlags;
use wire::{Errno, Fds, Key, Message, OwnedFd};

/// How long not to accept connections after descriptors or memory ran out, in
/// ms: long enough to cost nothing, short enough for a person at a terminal.
pub(crate) const ACCEPT_PAUSE_MS: u64 = 500;

impl Hub {
    /// A message of `monitor`'s.
    pub(crate) fn adopt(&mut self, message: Message, fds: Fds) {
        match message {
            Message::Adopt { pid, fds: set } => match Container::adopt(pid, set, fds, self.now) {
                Ok(container) => {
                    self.take_over(container);
                }
                Err(error) => {
                    wire::error!(crate::NAME, "cannot read a container's record: {error}")
                }
            },
            _ => unexpected("monitor"),
        }
    }

    /// Takes a container over. `None` when there are too many.
    pub(crate) fn take_over(&mut self, container: Container) -> Option<Key> {
        let pid = container.pid;
        let Ok(key) = self.tables.containers.insert(container) else {
            wire::error!(crate::NAME, "too many containers for one hub");
            return None;
        };
        // Who connected before there was output is to see all of it.
        self.watch_listener(key);
        self.accept_all(key, true);
        self.watch_outputs(key);
        self.watch_inboxes(key);
        self.watch_oom(key);
        let Some(pid) = pid else {
            self.died(key, -1);
            return Some(key);
        };
        match rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => self.died(key, wire::sys::exit_code(status)),
            Ok(None) => {}
            // Not our child (a runtime that put it into a systemd scope, say):
            // its status is not for us to know, its end is.
            Err(_) => match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
                Ok(pidfd) => {
                    let token = Source::Pidfd(key).token();
                    if let Err(error) = self.events.add(&pidfd, token, EventFlags::IN) {
                        wire::error!(crate::NAME, "cannot watch process {pid}: {error}");
                    }
                    if let Some(container) = self.tables.containers.get_mut(key) {
                        container.pidfd = Some(pidfd);
                    }
                }
                Err(Errno::SRCH) => {
                    let number = pid.as_raw_nonzero().get();
                    let status = self.pod.as_mut().and_then(|pod| pod.recall(number));
                    self.died(key, status.unwrap_or(0));
                }
                Err(error) => {
                    wire::error!(crate::NAME, "cannot watch process {pid}: {error}");
                }
            },
        }
        Some(key)
    }

    fn watch_listener(&mut self, key: Key) {
        let Some(container) = self.tables.containers.get(key) else {
            return;
        };
        if let Some(listener) = &container.listener {
            let _ = self.events.add(listener, Source::Listener(key).token(), EventFlags::IN);
        }
    }

    /// Accepts every client that is waiting. Out of descriptors, memory or
    /// table space, it leaves them waiting and looks again later.
    pub(crate) fn accept(&mut self, key: Key) {
        self.accept_all(key, false);
        self.accept_doors(key);
    }

    /// As [`accept`](Self::accept). With `first` the clients have connected
    /// while the runtime was at work: before the container was started.
    fn accept_all(&mut self, key: Key, first: bool) {
        loop {
            let Some(container) = self.tables.containers.get_mut(key) else {
                return;
            };
            let Some(listener) = &container.listener else {
                return;
            };
            match accept_one(listener, self.tables.clients.is_full()) {
                Ok(socket) => {
                    let client = Client::new(key, container, socket, first);
                    self.greet(key, client);
                }
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.events.remove(listener);
                    container.accept_at = Some(self.now + ACCEPT_PAUSE_MS);
                    return;
                }
            }
        }
    }

    /// Resumes accepting.
    pub(crate) fn accept_again(&mut self, key: Key) {
        if let Some(container) = self.tables.containers.get_mut(key) {
            container.accept_at = None;
        }
        self.watch_listener(key);
        self.accept(key);
    }

    /// A client has connected.
    pub(crate) fn greet(&mut self, key: Key, client: Client) {
        let input = client.input;
        let Ok(name) = self.tables.clients.insert(client) else {
            return;
        };
        if let Some(client) = self.tables.clients.get(name) {
            // No flags: hang-up and error are always reported.
            let token = Source::Client(name).token();
            let _ = self.events.add(&client.socket, token, EventFlags::empty());
        }
        // Output first, so that the answer to its input is seen by the client.
        self.tell_writer_clients(key);
        if input {
            self.tell_proxy(key);
        }
    }

    /// A client is gone, or is `behind` and has to go: everybody drops it. The
    /// attach-proxy first delivers what the client had sent.
    pub(crate) fn drop_client(&mut self, name: Key, behind: bool) {
        let Some(client) = self.tables.clients.remove(name) else {
            return;
        };
        self.events.remove(&client.socket);
        let message = Message::DropClient { container: client.container, client: name, behind };
        if client.writer_told {
            self.writer.send(&message, &[]);
        }
        if client.proxy_told {
            self.proxy.send(&message, &[]);
        }
    }

    /// Drops all clients of a container that is gone; the roles are told
    /// about the container instead.
    pub(crate) fn drop_clients_of(&mut self, key: Key) {
        let done = self.tables.containers.get(key).is_some_and(|container| container.attach_done);
        let mut from = 0;
        while let Some(name) = self.tables.clients.next_key(from) {
            from = name.slot() + 1;
            if self.tables.clients.get(name).is_some_and(|client| client.container == key)
                && let Some(client) = self.tables.clients.remove(name)
            {
                self.events.remove(&client.socket);
                wire::discard_input(&client.socket);
                // Otherwise the log-writer does it, after the last output.
                if !client.writer_told {
                    if done {
                        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                        let _ = rustix::net::send(&client.socket, &[0], flags);
                    }
                    // An attach-proxy that cannot pass on its input has it, too.
                    let _ = rustix::net::shutdown(&client.socket, Shutdown::Write);
                }
            }
        }
    }
}

/// The next client that waits at a listening socket. [`Errno::AGAIN`]: nobody
/// does. With a `full` table nobody is accepted ([`Errno::NFILE`]).
pub(crate) fn accept_one(listener: &OwnedFd, full: bool) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    if full {
        return Err(Errno::NFILE);
    }
    loop {
        match rustix::net::accept_with(listener, flags) {
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            other => return other,
        }
    }
}
