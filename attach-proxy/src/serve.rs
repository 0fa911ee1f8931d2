//! The loop: messages from the hub, then events, then a turn for every client
//! with something to deliver; and the decision to sleep or to be done.

use crate::container::Container;
use crate::control::Source;
use crate::input::Client;
use crate::packet::{Large, PacketBuffer, Small};
use crate::ports::{Ports, Token};
use rustix::net::Shutdown;
use wire::event::{BATCH, EventFlags, Ready, concerns};
use wire::key::Slots;
use wire::link::Refusal;
use wire::{Errno, FdSet, Fds, Key, Link, Message};

/// Containers served at once: what a pod may have, many times over.
const MAX_CONTAINERS: usize = 1024;

/// Clients served at once, over all containers.
const MAX_CLIENTS: usize = 4096;

/// Milliseconds without any event after which the proxy offers to end. Long
/// enough that a person resizing a window does not start a process per step,
/// short enough that memory is not held for nothing.
const QUIET_MS: u64 = 1000;

/// What the loop waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pause {
    /// Nothing: there is more to do.
    None,
    /// An event, or the time to offer the end.
    Quiet,
    /// An event.
    Event,
}

/// The state of the role. What is always needed comes first, and together; the
/// rest of the tables and of the buffer is in memory only when used.
#[repr(C)]
pub(crate) struct Proxy {
    /// Packets received from the hub.
    seen: u32,
    /// See [`PacketBuffer`].
    pub(crate) large_used: bool,
    /// For keystrokes and commands.
    pub(crate) small: Small,
    /// By keys of our own: the hub gives the slot of a client that leaves to
    /// another while we still deliver what the first has sent.
    pub(crate) clients: Slots<Client, MAX_CLIENTS>,
    /// By the hub's keys.
    pub(crate) containers: Slots<Container, MAX_CONTAINERS>,
    /// For pasted books.
    pub(crate) large: Large,
}

impl Proxy {
    /// Serving nobody. All zero, so that it costs nothing until used.
    pub(crate) const fn new() -> Self {
        Proxy {
            seen: 0,
            large_used: false,
            small: [0; size_of::<Small>()],
            containers: Slots::new(),
            clients: Slots::new(),
            large: Large::new(),
        }
    }

    /// Serves until the hub closes the link.
    pub(crate) fn serve(&mut self, link: Link) -> Result<(), Errno> {
        let ports = Ports::new(link)?;
        let mut ready = heapless::Vec::<Ready, BATCH>::new();
        loop {
            let pause = self.pause();
            if pause != Pause::None {
                self.parts().2.give_back();
            }
            let timeout = match pause {
                Pause::None => Some(0),
                Pause::Quiet => Some(QUIET_MS),
                Pause::Event => None,
            };
            let seen = self.seen;
            ports.events.wait(timeout, &mut ready)?;
            // The hub first: a client that it drops or a container that it
            // forgets may have events in this batch.
            if concerns(&ready, Token::Link.encode()) && !self.take_messages(&ports)? {
                return Ok(());
            }
            for event in &ready {
                if let Some(token) = Token::decode(event.token) {
                    self.handle(token, event.flags, &ports);
                }
            }
            // A message may have come after the wait had ended without any.
            let nothing_happened = ready.is_empty() && self.seen == seen;
            if pause == Pause::Quiet && nothing_happened {
                ports.tell(Message::Idle { seen: self.seen });
                ports.await_message();
            }
            self.give_turns(&ports);
        }
    }

    /// Everything that serving takes, to be changed side by side.
    pub(crate) fn parts(
        &mut self,
    ) -> (&mut Slots<Container, MAX_CONTAINERS>, &mut Slots<Client, MAX_CLIENTS>, PacketBuffer<'_>)
    {
        let buffer = PacketBuffer {
            small: &mut self.small,
            large: &mut self.large,
            large_used: &mut self.large_used,
        };
        (&mut self.containers, &mut self.clients, buffer)
    }

    fn pause(&self) -> Pause {
        if self.any(|container| container.due && container.stuck.is_none()) {
            Pause::None
        } else if self.clients.is_empty() && !self.any(Container::in_a_line) {
            Pause::Quiet
        } else {
            Pause::Event
        }
    }

    /// Does what the hub says. False when the hub is gone.
    fn take_messages(&mut self, ports: &Ports) -> Result<bool, Errno> {
        loop {
            let received = ports.link.receive();
            match received {
                Ok(_) | Err(Refusal::Garbage) => self.seen = self.seen.wrapping_add(1),
                Err(Refusal::Empty) => return Ok(true),
                Err(Refusal::Closed) => return Ok(false),
                Err(Refusal::Failed(error)) => return Err(error),
            }
            match received {
                Ok((message, fds)) => self.obey(message, fds, ports),
                Err(_) => wire::error!(
                    crate::NAME,
                    "message from the hub not understood (not of this version, or out of descriptors)"
                ),
            }
        }
    }

    fn obey(&mut self, message: Message, fds: Fds, ports: &Ports) {
        match message {
            Message::Container { container, fds: set, repair: input_closed } => {
                self.forget(container, ports);
                if let Err(error) = self.adopt(container, set, fds, input_closed, ports) {
                    wire::error!(crate::NAME, "cannot take over a container: {error}");
                }
            }
            Message::Client { container, client, closes, .. } => {
                if let Err(error) = self.attach(container, client, closes, fds, ports) {
                    wire::error!(crate::NAME, "cannot take over a client: {error}");
                    ports.tell(Message::InputDone { container, client });
                }
            }
            Message::DropClient { container, client, behind } => {
                self.detach(container, client, behind)
            }
            Message::Drain { container } => self.relay_last(container, ports),
            Message::Forget { container } => self.forget(container, ports),
            _ => wire::warning!(crate::NAME, "message that is not for this program ignored"),
        }
    }

    fn adopt(
        &mut self,
        own: Key,
        set: FdSet,
        fds: Fds,
        input_closed: bool,
        ports: &Ports,
    ) -> Result<(), Errno> {
        let container = Container::new(set, fds, input_closed)?;
        let taken = match container.listen(own, ports) {
            Ok(()) => self.containers.insert_at(own, container).map_err(|it| (it, Errno::NOBUFS)),
            Err(error) => Err((container, error)),
        };
        taken.map_err(|(container, error)| {
            container.unlisten(ports);
            error
        })
    }

    fn attach(
        &mut self,
        container: Key,
        name: Key,
        closes: bool,
        fds: Fds,
        ports: &Ports,
    ) -> Result<(), Errno> {
        let socket = fds.into_iter().next().ok_or(Errno::BADF)?;
        self.containers.get(container).ok_or(Errno::NOENT)?;
        let client =
            Client { name, container, socket, closes, ready: false, leaving: false, behind: false };
        let key = self.clients.insert(client).map_err(|_| Errno::NOBUFS)?;
        let client = self.clients.get(key).ok_or(Errno::NOENT)?;
        let watched = ports.watch_packets(&client.socket, Token::Client(key));
        if watched.is_err() {
            self.clients.remove(key);
        }
        watched
    }

    /// The client goes as soon as what is in its socket has been delivered.
    fn detach(&mut self, container: Key, name: Key, behind: bool) {
        let mut clients = self.clients.iter_mut().map(|(_, client)| client);
        let known = clients.find(|client| {
            (client.container, client.name, client.leaving) == (container, name, false)
        });
        let Some(client) = known else { return };
        client.leaving = true;
        client.behind = behind;
        client.ready = true;
        // It may still be there, and could go on sending for ever.
        let _ = rustix::net::shutdown(&client.socket, Shutdown::Read);
        if let Some(container) = self.containers.get_mut(container) {
            container.due = true;
        }
    }

    fn forget(&mut self, own: Key, ports: &Ports) {
        let Some(container) = self.containers.remove(own) else {
            return;
        };
        container.unlisten(ports);
        let mut from = 0;
        while let Some(key) = self.clients.next_key(from) {
            from = key.slot() + 1;
            if self.clients.get(key).is_some_and(|c| c.container == own) {
                self.drop_client(key, ports);
            }
        }
    }

    /// Lets go of a client, whatever it may still have sent.
    pub(crate) fn drop_client(&mut self, key: Key, ports: &Ports) {
        if let Some(client) = self.clients.remove(key) {
            ports.events.remove(&client.socket);
        }
    }

    fn handle(&mut self, token: Token, flags: EventFlags, ports: &Ports) {
        match token {
            // Its messages came before all events.
            Token::Link => {}
            Token::Client(key) => {
                let Some(client) = self.clients.get_mut(key) else {
                    return;
                };
                client.ready = true;
                if let Some(container) = self.containers.get_mut(client.container) {
                    container.due = true;
                }
            }
            // A terminal that nobody has open is hung up, not writable, and
            // says so anew whenever we try.
            Token::Input(own) if flags.intersects(EventFlags::OUT | EventFlags::ERR) => {
                self.resume(own, ports);
            }
            Token::Input(_) => {}
            Token::Control(own) => self.read_fifo(own, Source::Control, ports),
            Token::WindowSize(own) => self.read_fifo(own, Source::WindowSize, ports),
            Token::Notify(own) => self.relay(own, ports),
        }
    }

    fn read_fifo(&mut self, own: Key, source: Source, ports: &Ports) {
        if let Some(container) = self.containers.get_mut(own) {
            container.read_fifo(own, source, &mut self.small, ports);
        }
    }

    /// Whether some container is like that.
    fn any(&self, what: impl Fn(&Container) -> bool) -> bool {
        self.containers.iter().any(|(_, container)| what(container))
    }
}
