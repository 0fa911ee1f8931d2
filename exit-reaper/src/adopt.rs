//! Taking over a container, and the clients that attach to it.

use crate::container::{Client, Container};
use crate::hub::{Hub, Source};
use rustix::net::SocketFlags;
use rustix::process::{PidfdFlags, WaitOptions};
use wire::event::EventFlags;
use wire::{Errno, Fds, Key, Message};

/// How long not to accept connections after descriptors or memory ran out, in
/// ms: long enough to cost nothing, short enough for a person at a terminal.
const ACCEPT_PAUSE_MS: u64 = 500;

impl Hub {
    /// A message of `monitor`'s.
    pub(crate) fn adopt(&mut self, message: Message, fds: Fds) {
        match message {
            Message::Adopt { pid, fds: set } => match Container::adopt(pid, set, fds, self.now) {
                Ok(container) => self.take_over(container),
                Err(error) => {
                    wire::error!(crate::NAME, "cannot read a container's record: {error}")
                }
            },
            _ => wire::error!(crate::NAME, "unexpected message from monitor"),
        }
    }

    fn take_over(&mut self, container: Container) {
        let pid = container.pid;
        let Ok(key) = self.tables.containers.insert(container) else {
            wire::error!(crate::NAME, "too many containers for one hub");
            return;
        };
        // Who connected before there was output is to see all of it.
        self.watch_listener(key);
        self.accept_all(key, true);
        self.watch_outputs(key);
        self.watch_inboxes(key);
        self.watch_oom(key);
        let Some(pid) = pid else {
            return self.died(key, -1);
        };
        match rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => self.died(key, wire::sys::exit_code(status)),
            Ok(None) => {}
            // Not our child (a runtime that put it into a systemd scope, say):
            // its status is not for us to know, its end is.
            Err(_) => match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
                Ok(pidfd) => {
                    let token = Source::Pidfd(key).token();
                    if self.events.add(&pidfd, token, EventFlags::IN).is_err() {
                        wire::error!(crate::NAME, "cannot watch process {pid}");
                    }
                    if let Some(container) = self.tables.containers.get_mut(key) {
                        container.pidfd = Some(pidfd);
                    }
                }
                Err(Errno::SRCH) => self.died(key, 0),
                Err(error) => {
                    wire::error!(crate::NAME, "cannot watch process {pid}: {error}");
                }
            },
        }
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
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let accepted = if self.tables.clients.is_full() {
                Err(Errno::NFILE)
            } else {
                rustix::net::accept_with(listener, flags)
            };
            match accepted {
                Ok(socket) => {
                    let client = Client {
                        container: key,
                        socket,
                        owner: !container.output_seen && (first || !container.is_started()),
                        input: container.takes_input(),
                        writer_told: false,
                        proxy_told: false,
                    };
                    self.greet(key, client);
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
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

    fn greet(&mut self, key: Key, client: Client) {
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
        let mut from = 0;
        while let Some(name) = self.tables.clients.next_key(from) {
            from = name.slot() + 1;
            if self.tables.clients.get(name).is_some_and(|client| client.container == key)
                && let Some(client) = self.tables.clients.remove(name)
            {
                self.events.remove(&client.socket);
                wire::discard_input(&client.socket);
            }
        }
    }
}
