//! What the hub can ask for.

use crate::PROGRAM;
use crate::client::Client;
use crate::container::{Container, Life};
use crate::fan_out::BOTH;
use crate::held::Held;
use crate::role::Role;
use crate::sinks::{Entries, Files};
use crate::source::Source;
use crate::stream::Stream;
use crate::untold::Packed;
use rustix::fs::FileType;
use rustix::pipe::PipeFlags;
use wire::link::Refusal;
use wire::message::Stream as Which;
use wire::record::Tag;
use wire::{AsFd, FdSet, Fds, Key, Message, OwnedFd, Record};

impl Role {
    /// Does everything the hub has asked for so far. `false`: the hub has
    /// closed the link.
    pub(crate) fn obey(&mut self) -> bool {
        loop {
            match self.link.receive() {
                Ok((message, fds)) => {
                    self.seen = self.seen.wrapping_add(1);
                    self.handle(message, fds);
                }
                // The hub has sent it, and counts it.
                Err(Refusal::Garbage) => {
                    self.seen = self.seen.wrapping_add(1);
                    wire::error!(PROGRAM, "a message of the hub could not be read");
                }
                Err(Refusal::Empty) => return true,
                Err(Refusal::Closed | Refusal::Failed(_)) => return false,
            }
        }
    }

    fn handle(&mut self, message: Message, fds: Fds) {
        match message {
            Message::Container { container, fds: set, repair } => {
                self.add_container(container, set, repair, fds)
            }
            Message::Output { container, fds: set } => self.add_output(container, set, fds),
            Message::Client { container, client, owner, .. } => {
                self.add_client(container, client, owner, fds)
            }
            Message::DropClient { client, .. } => {
                let found = self.client_named(client);
                if let Some(client) = found.and_then(|key| self.close_client(key)) {
                    self.settle_all(client.container);
                }
            }
            Message::Reopen { container } => self.reopen(container),
            Message::Drain { container } => match self.container_named(container) {
                Some(at) => self.drain(at),
                // The hub waits for the answer.
                None => self.tell(&Message::Drained { container }, &[]),
            },
            Message::Forget { container } => {
                if let Some(at) = self.container_named(container) {
                    self.forget(at);
                }
            }
            // Not for us.
            _ => {}
        }
    }

    /// Our own key of the container that the hub calls `name`.
    fn container_named(&self, name: Key) -> Option<Key> {
        let mut all = self.tables.containers.iter();
        all.find(|(_, container)| container.name == name && container.life == Life::Running)
            .map(|(at, _)| at)
    }

    /// Our own key of the client that the hub calls `name`.
    fn client_named(&self, name: Key) -> Option<Key> {
        let mut all = self.tables.clients.iter();
        all.find(|(_, client)| client.name == name).map(|(key, _)| key)
    }

    fn add_container(&mut self, name: Key, set: FdSet, repair: bool, fds: Fds) {
        let (mut record, mut log) = (None, None);
        for (kind, fd) in set.bits().zip(fds) {
            match kind {
                FdSet::RECORD => record = Some(fd),
                FdSet::LOG => log = Some(fd),
                _ => {}
            }
        }
        let Some(record) = record else { return };
        if let Some(old) = self.container_named(name) {
            self.forget(old);
        }
        let packed = Packed::load(record.as_fd());
        let untold = packed.unpack();
        let (mut files, mut journal) = (Files::default(), None);
        match Record::read(&record, self.tables.space.all()) {
            Ok(record) => {
                let fields = record.fields();
                fields.string(Tag::WriterName).map(wire::start::set_name);
                files = log.map_or_else(Files::default, |log| Files::open(log, fields, &untold));
                journal = Entries::new(fields, untold.journal);
            }
            Err(error) => wire::error!(PROGRAM, "cannot read a container's record: {error}"),
        }
        if repair {
            files.repair(&mut self.tables.space);
        }
        let container = Container {
            name,
            record,
            files,
            journal,
            untold: packed,
            stdout: None,
            stderr: None,
            clients: 0,
            life: Life::Running,
        };
        if self.tables.containers.insert(container).is_err() {
            wire::error!(PROGRAM, "too many containers, one is not logged");
        }
    }

    fn add_output(&mut self, name: Key, set: FdSet, fds: Fds) {
        let Some(at) = self.container_named(name) else {
            return;
        };
        let (mut terminal, mut read, mut write) = (None, None, None);
        for (kind, fd) in set.bits().zip(fds) {
            match kind {
                FdSet::STDOUT => self.add_pipe(at, Which::Stdout, fd),
                FdSet::STDERR => self.add_pipe(at, Which::Stderr, fd),
                FdSet::TTY => terminal = Some(fd),
                FdSet::STAGE_READ => read = Some(fd),
                FdSet::STAGE_WRITE => write = Some(fd),
                _ => {}
            }
        }
        if let (Some(terminal), Some(read), Some(write)) = (terminal, read, write) {
            let source = Source::new(terminal, write, true);
            self.add_stream(at, Which::Stdout, Stream::new(read, Some(source)));
        }
    }

    /// A stream that is a pipe; if the engine has handed in something else, it
    /// gets a pipe.
    fn add_pipe(&mut self, at: Key, which: Which, fd: OwnedFd) {
        let kind = rustix::fs::fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
        if kind == Ok(FileType::Fifo) {
            return self.add_stream(at, which, Stream::new(fd, None));
        }
        match rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) {
            Ok((read, write)) => {
                let source = Source::new(fd, write, false);
                self.add_stream(at, which, Stream::new(read, Some(source)));
            }
            Err(error) => {
                wire::error!(PROGRAM, "cannot make a pipe for output: {error}");
            }
        }
    }

    fn add_stream(&mut self, at: Key, which: Which, mut stream: Stream) {
        if let Some(container) = self.tables.containers.get(at) {
            // The same pipe as before, if there was one.
            stream.logged = container.owed(which);
            stream.held = container.held(which);
        }
        self.close(at, which);
        if let Some(container) = self.tables.containers.get_mut(at) {
            *container.slot(which) = Some(stream);
        }
        self.settle(at, which);
    }

    fn add_client(&mut self, name: Key, client: Key, owner: bool, fds: Fds) {
        let gone = Message::ClientGone { container: name, client };
        let at = self.container_named(name);
        let (Some(at), Some(socket)) = (at, fds.into_iter().next()) else {
            return self.tell(&gone, &[]);
        };
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        let client = Client {
            name: client,
            container: at,
            owner,
            deadline: 0,
            watched: false,
            socket,
            // What others are waiting for was there before this one.
            stdout: container.owed(Which::Stdout),
            stderr: container.owed(Which::Stderr),
        };
        client.enlarge_queue();
        match self.tables.clients.insert(client) {
            Ok(_) => container.clients += 1,
            Err(_) => {
                wire::error!(PROGRAM, "too many clients, one gets no output");
                self.tell(&gone, &[]);
            }
        }
    }

    fn reopen(&mut self, name: Key) {
        let at = self.container_named(name);
        let container = at.and_then(|at| self.tables.containers.get_mut(at));
        let mut failed = false;
        if let (Some(at), Some(container)) = (at, container) {
            let renewed = container.files.renew(container.record.as_fd(), &mut self.tables.space);
            failed = container.files.is_stuck();
            if renewed {
                self.tell_log(at);
            }
        }
        // Somebody waits for it, even if the container is gone.
        self.tell(&Message::Reopened { container: name, failed }, &[]);
    }

    /// Drops everything of a container that is not owed to a client.
    fn forget(&mut self, at: Key) {
        if let Some(container) = self.tables.containers.get_mut(at) {
            container.files = Files::default();
            container.journal = None;
            for which in BOTH {
                if let Some(stream) = container.stream(which) {
                    stream.held = Held::default();
                }
            }
            container.life = Life::Drained;
        }
        self.settle_all(at);
    }
}
