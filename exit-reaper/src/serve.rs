//! Giving work to the roles and taking it back.

use crate::container::Client;
use crate::hub::{Hub, Source, unexpected};
use crate::role::Kind;
use wire::event::EventFlags;
use wire::link::{MAX_FDS, Refusal};
use wire::message::Stream;
use wire::{AsFd, BorrowedFd, FdSet, Fds, Key, Message, OwnedFd};

/// Messages of a role that are read before others get their turn. A container
/// that floods us with notifications would keep us reading for ever.
const MESSAGES_PER_TURN: usize = 64;

type Borrowed<'a> = heapless::Vec<BorrowedFd<'a>, MAX_FDS>;

/// Collects descriptors in the order in which they are sent.
fn collect<'a>(fds: impl Iterator<Item = (FdSet, &'a OwnedFd)>) -> (FdSet, Borrowed<'a>) {
    let mut slots: [Option<&OwnedFd>; 16] = [None; 16];
    let mut set = FdSet::default();
    for (bit, fd) in fds {
        if let Some(slot) = slots.get_mut(bit.0.trailing_zeros() as usize) {
            *slot = Some(fd);
            set = set.with(bit);
        }
    }
    (set, slots.into_iter().flatten().map(AsFd::as_fd).collect())
}

impl Hub {
    /// Starts a role if it does not run. `false` when that cannot be.
    fn ensure(&mut self, kind: Kind) -> bool {
        let (environment, now) = (self.environment, self.now);
        let role = self.role(kind);
        if role.link().is_some() {
            return true;
        }
        match role.start(environment, now) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                wire::error!(crate::NAME, "cannot start {kind}: {error}; trying again");
                return false;
            }
        }
        let role = match kind {
            Kind::Writer => &self.writer,
            Kind::Proxy => &self.proxy,
        };
        let _ = role.watch(&self.events);
        true
    }

    /// Watches the outputs that no log-writer has.
    pub(crate) fn watch_outputs(&self, key: Key) {
        let Some(container) = self.tables.containers.get(key) else {
            return;
        };
        if container.output_given {
            return;
        }
        for (bit, fd) in container.outputs() {
            // A terminal nobody has open is hung up for as long as that lasts:
            // being told once is enough.
            let edge = if bit == FdSet::TTY { EventFlags::ET } else { EventFlags::empty() };
            let _ = self.events.add(fd, Source::Output(key, bit).token(), EventFlags::IN | edge);
        }
    }

    fn unwatch_outputs(&self, key: Key) {
        let Some(container) = self.tables.containers.get(key) else {
            return;
        };
        container.outputs().for_each(|(_, fd)| self.events.remove(fd));
    }

    /// Watches the inboxes that no attach-proxy has.
    pub(crate) fn watch_inboxes(&self, key: Key) {
        let Some(container) = self.tables.containers.get(key) else {
            return;
        };
        if container.proxy_told {
            return;
        }
        for (_, fd) in container.inboxes() {
            let _ = self.events.add(fd, Source::Inbox(key).token(), EventFlags::IN);
        }
    }

    /// An output that the hub watches is ready.
    pub(crate) fn output_ready(&mut self, key: Key, part: FdSet, flags: EventFlags) {
        if flags.contains(EventFlags::IN) {
            self.accept(key);
            self.give_output(key);
        } else if part == FdSet::STDOUT || part == FdSet::STDERR {
            let stream = if part == FdSet::STDOUT { Stream::Stdout } else { Stream::Stderr };
            self.output_ended(key, stream);
        }
    }

    fn output_ended(&mut self, key: Key, stream: Stream) {
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        let output = match stream {
            Stream::Stdout => container.stdout.take(),
            Stream::Stderr => container.stderr.take(),
        };
        if let Some(fd) = output {
            self.events.remove(&fd);
        }
    }

    /// Tells the log-writer about a container and its clients. Starts it.
    pub(crate) fn tell_writer(&mut self, key: Key) -> bool {
        if !self.ensure(Kind::Writer) {
            return false;
        }
        let Some(container) = self.tables.containers.get_mut(key) else {
            return false;
        };
        if !container.writer_told {
            let log = container.log.as_ref().map(|fd| (FdSet::LOG, fd));
            let all = core::iter::once((FdSet::RECORD, &container.record)).chain(log);
            let (fds, borrowed) = collect(all);
            let repair = container.repair;
            self.writer.send(&Message::Container { container: key, fds, repair }, &borrowed);
            container.writer_told = true;
            container.repair = false;
        }
        self.tell_writer_clients(key);
        true
    }

    /// Tells a log-writer that knows the container about new clients of it.
    pub(crate) fn tell_writer_clients(&mut self, key: Key) {
        if !self.tables.containers.get(key).is_some_and(|container| container.writer_told) {
            return;
        }
        for (name, client) in self.tables.clients.iter_mut() {
            if client.container == key && !client.writer_told {
                client.writer_told = true;
                let Client { owner, closes, .. } = *client;
                let message = Message::Client { container: key, client: name, owner, closes };
                self.writer.send(&message, &[client.socket.as_fd()]);
            }
        }
    }

    /// Gives a container's output to the log-writer. If none can be started,
    /// the output waits in its pipe, unwatched, until [`Hub::catch_up`].
    pub(crate) fn give_output(&mut self, key: Key) {
        if self.tables.containers.get(key).is_none_or(|container| container.output_given) {
            return;
        }
        self.unwatch_outputs(key);
        if !self.tell_writer(key) {
            return;
        }
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        let (fds, borrowed) = collect(container.output_fds());
        if !fds.is_empty() {
            self.writer.send(&Message::Output { container: key, fds }, &borrowed);
        }
        drop(borrowed);
        container.output_given = true;
        container.output_seen = true;
        container.log_dirty |= container.log.is_some();
    }

    /// Gives a container's inboxes and its clients' input to the attach-proxy.
    /// Starts it. If that cannot be, they wait until [`Hub::catch_up`].
    pub(crate) fn tell_proxy(&mut self, key: Key) -> bool {
        if let Some(container) = self.tables.containers.get(key) {
            container.inboxes().for_each(|(_, fd)| self.events.remove(fd));
        }
        if !self.ensure(Kind::Proxy) {
            return false;
        }
        let Some(container) = self.tables.containers.get_mut(key) else {
            return false;
        };
        if !container.proxy_told {
            let record = core::iter::once((FdSet::RECORD, &container.record));
            let (fds, borrowed) = collect(record.chain(container.input_fds()));
            let repair = container.input_closed;
            let message = Message::Container { container: key, fds, repair };
            self.proxy.send(&message, &borrowed);
            drop(borrowed);
            container.proxy_told = true;
        }
        for (name, client) in self.tables.clients.iter_mut() {
            if client.container == key && client.input && !client.proxy_told {
                client.proxy_told = true;
                let Client { owner, closes, .. } = *client;
                let message = Message::Client { container: key, client: name, owner, closes };
                self.proxy.send(&message, &[client.socket.as_fd()]);
            }
        }
        true
    }

    /// Reads what a role has sent; of a role that keeps sending, so much that
    /// everybody else gets a turn.
    pub(crate) fn read_role(&mut self, kind: Kind) {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(link) = self.role(kind).link() else {
                return;
            };
            match link.receive() {
                Ok((Message::Idle { seen }, _)) => {
                    if self.role(kind).has_seen_all(seen) {
                        self.take_back(kind, false);
                        return;
                    }
                }
                Ok((message, fds)) => self.role_says(kind, message, fds),
                Err(Refusal::Empty) => return,
                Err(Refusal::Garbage) => {
                    wire::error!(crate::NAME, "garbage from {kind}; starting it anew");
                    return self.take_back(kind, true);
                }
                Err(Refusal::Closed | Refusal::Failed(_)) => return self.take_back(kind, true),
            }
        }
    }

    fn role_says(&mut self, kind: Kind, message: Message, mut fds: Fds) {
        match message {
            Message::Drained { container } => self.drained(container, kind),
            Message::Notification { container } => self.notify_host(container, fds),
            Message::Log { container } => {
                if let Some(container) = self.tables.containers.get_mut(container) {
                    container.log = fds.pop();
                }
            }
            Message::Eof { container, stream } => self.output_ended(container, stream),
            Message::ClientGone { client, .. } => self.drop_client(client, true),
            Message::InputDone { client, .. } => {
                if let Some(client) = self.tables.clients.get_mut(client) {
                    client.input = false;
                }
            }
            Message::CloseStdin { container: key } => {
                if let Some(container) = self.tables.containers.get_mut(key) {
                    container.input_closed = true;
                    container.stdin = None;
                }
                for (_, client) in self.tables.clients.iter_mut() {
                    client.input &= client.container != key;
                }
            }
            Message::ReopenAsked { container } => self.reopen(container),
            Message::Reopened { container, failed } => {
                let answer = if failed { Message::Refused } else { Message::Done };
                self.reopened(container, answer);
            }
            _ => unexpected("a role"),
        }
    }

    /// Has a container's log opened anew. [`Hub::reopened`] follows. If no
    /// log-writer can be started, it is tried again in [`Hub::catch_up`] where
    /// somebody waits for it.
    pub(crate) fn reopen(&mut self, key: Key) {
        if self.tables.containers.get(key).is_none_or(|container| container.log.is_none()) {
            return self.reopened(key, Message::Done);
        }
        if self.tell_writer(key) {
            self.writer.send(&Message::Reopen { container: key }, &[]);
        }
    }

    /// A role is done (dismissed because it is idle) or `lost`: the hub has
    /// all its work again, and watches for more.
    fn take_back(&mut self, kind: Kind, lost: bool) {
        let now = self.now;
        let role = match kind {
            Kind::Writer => &mut self.writer,
            Kind::Proxy => &mut self.proxy,
        };
        if let Some(link) = role.link() {
            self.events.remove(link);
        }
        if lost {
            role.lost(now)
        } else {
            role.dismiss()
        }
        for (_, client) in self.tables.clients.iter_mut() {
            match kind {
                Kind::Writer => client.writer_told = false,
                Kind::Proxy => client.proxy_told = false,
            }
        }
        for (_, container) in self.tables.containers.iter_mut() {
            match kind {
                Kind::Writer => {
                    container.repair |= lost && container.output_given;
                    container.writer_told = false;
                    container.output_given = false;
                }
                Kind::Proxy => container.proxy_told = false,
            }
        }
        self.catch_up(kind);
    }

    /// Watches again what a role that does not run would have; starts it
    /// where work is known to wait.
    pub(crate) fn catch_up(&mut self, kind: Kind) {
        if kind == Kind::Writer {
            self.reopen_again();
        }
        let mut from = 0;
        while let Some(key) = self.tables.containers.next_key(from) {
            from = key.slot() + 1;
            match kind {
                _ if self.awaits(key, kind) => self.ask_to_finish(key, kind),
                Kind::Writer => self.watch_outputs(key),
                Kind::Proxy => {
                    let mut clients = self.tables.clients.iter();
                    let waits = clients.any(|(_, client)| client.container == key && client.input);
                    drop(clients);
                    if waits {
                        self.tell_proxy(key);
                    } else {
                        self.watch_inboxes(key);
                    }
                }
            }
        }
    }
}
