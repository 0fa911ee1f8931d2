//! What connects the proxy to the rest: the link to the hub and the event
//! loop, with the names that watched descriptors have there.

use wire::event::{EventFlags, Events};
use wire::{AsFd, BorrowedFd, Errno, Key, Link, Message};

use rustix::event::{PollFd, PollFlags, poll};

/// The link to the hub, and the event loop.
pub(crate) struct Ports {
    /// To the hub.
    pub(crate) link: Link,
    /// Watches the link and everything of containers and clients.
    pub(crate) events: Events,
}

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    /// The link.
    Link,
    /// A client has sent something; the key is our own.
    Client(Key),
    /// A container's input takes bytes again.
    Input(Key),
    /// A container's `ctl` FIFO.
    Control(Key),
    /// A container's `winsz` FIFO.
    WindowSize(Key),
    /// A container's notify socket.
    Notify(Key),
}

impl Token {
    /// The number its events have.
    pub(crate) fn encode(self) -> u64 {
        let (kind, key) = match self {
            Token::Link => (0, Key(0)),
            Token::Client(key) => (1, key),
            Token::Input(key) => (2, key),
            Token::Control(key) => (3, key),
            Token::WindowSize(key) => (4, key),
            Token::Notify(key) => (5, key),
        };
        kind << 32 | u64::from(key.0)
    }

    /// What the number of an event means.
    pub(crate) fn decode(token: u64) -> Option<Token> {
        let key = Key(token as u32);
        Some(match token >> 32 {
            0 => Token::Link,
            1 => Token::Client(key),
            2 => Token::Input(key),
            3 => Token::Control(key),
            4 => Token::WindowSize(key),
            5 => Token::Notify(key),
            _ => return None,
        })
    }
}

impl Ports {
    /// Over a link, which is watched from now on.
    pub(crate) fn new(link: Link) -> Result<Ports, Errno> {
        let events = Events::new()?;
        events.add(&link, Token::Link.encode(), EventFlags::IN)?;
        Ok(Ports { link, events })
    }

    /// Watches `fd` for something to read, for as long as it is there.
    pub(crate) fn watch_readable(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        self.events.add(fd, token.encode(), EventFlags::IN)
    }

    /// Watches `fd` for new packets and for its end, each told once (EPOLLET),
    /// so that a client nobody reads at the moment does not keep us awake.
    pub(crate) fn watch_packets(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        self.events.add(fd, token.encode(), flags)
    }

    /// Watches `fd` so that [`await_room`](Self::await_room) cannot fail.
    pub(crate) fn watch_room(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        self.events.add(fd, token.encode(), EventFlags::ET)
    }

    /// Whether room to write to a watched `fd` is to be told. Told once per
    /// change: the hang-up of a terminal that nobody has open comes unasked,
    /// and would be told for ever.
    pub(crate) fn await_room(&self, fd: impl AsFd, token: Token, wanted: bool) {
        let room = if wanted { EventFlags::OUT } else { EventFlags::empty() };
        // Nothing is allocated for this, so it fails only for what is not
        // watched.
        let _ = self.events.modify(fd, token.encode(), room | EventFlags::ET);
    }

    /// Sends a message to the hub. Waits if the hub is behind; it reads in
    /// every round of its loop and never waits for us. A hub that is gone is
    /// noticed when its link is read.
    pub(crate) fn tell(&self, message: Message) {
        self.tell_with(message, &[]);
    }

    /// The same, with descriptors.
    pub(crate) fn tell_with(&self, message: Message, fds: &[BorrowedFd<'_>]) {
        while let Err(Errno::AGAIN) = self.link.send(&message, fds) {
            self.await_link(PollFlags::OUT);
        }
    }

    /// Sleeps until the hub has sent something or is gone; nothing else wakes.
    pub(crate) fn await_message(&self) {
        self.await_link(PollFlags::IN);
    }

    fn await_link(&self, flags: PollFlags) {
        // Interrupted or not, the caller looks again.
        let _ = poll(&mut [PollFd::new(&self.link, flags)], None);
    }
}
