//! The hub's side of the link, played by a test.

use super::io::{open_log, pipe, sockets, wait, wait_for};
use super::scratch::{Scratch, c_path};
use crate::client::Client;
use crate::role::{Role, Tables};
use rustix::event::PollFlags;
use rustix::fs::SeekFrom;
use rustix::net::{SendFlags, Shutdown};
use rustix::time::{ClockId, clock_gettime};
use std::cell::RefCell;
use std::path::PathBuf;
use std::thread::JoinHandle;
use wire::record::{Encoder, Tag, seal};
use wire::{AsFd, FdSet, Fds, Key, Link, Message, OwnedFd, bundle};

/// A log-writer in a thread, and the other end of its link.
pub(crate) struct Hub {
    pub(crate) scratch: Scratch,
    link: Option<Link>,
    role: Option<JoinHandle<u64>>,
    /// The hub keeps a copy of every client.
    clients: RefCell<Vec<OwnedFd>>,
    /// The record of the last container.
    record: RefCell<Option<OwnedFd>>,
}

/// What a container's record says.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) limit: Option<u64>,
    pub(crate) repair: bool,
    /// Otherwise `log` in the scratch directory.
    pub(crate) log: Option<PathBuf>,
    /// It has no k8s-file log.
    pub(crate) no_file: bool,
    /// It has a json-file log, `json` in the scratch directory.
    pub(crate) json: bool,
    pub(crate) backups: Option<u64>,
    pub(crate) global_limit: Option<u64>,
    pub(crate) allowed: Option<PathBuf>,
    /// It logs to the journal.
    pub(crate) journal: bool,
    /// Its clients are told when no more output comes.
    pub(crate) attach_done: bool,
}

impl Hub {
    /// With a log-writer that goes after `quiet` milliseconds.
    pub(crate) fn new(quiet: u64) -> Self {
        Hub::with(quiet, |_, _| ())
    }

    /// As [`new`](Self::new), with a log-writer that `change` has changed.
    pub(crate) fn with(quiet: u64, change: impl FnOnce(&Scratch, &mut Role)) -> Self {
        let (link, there) = Link::pair().unwrap();
        let scratch = Scratch::new();
        let tables = Box::leak(Box::new(const { Tables::new() }));
        let mut role = Role::new(Link::over(there), tables).unwrap();
        role.quiet = quiet;
        change(&scratch, &mut role);
        let role = std::thread::spawn(move || {
            role.run();
            let used = clock_gettime(ClockId::ThreadCPUTime);
            used.tv_sec as u64 * 1000 + used.tv_nsec as u64 / 1_000_000
        });
        Hub::over(scratch, link, Some(role))
    }

    /// With a log-writer that the test drives itself.
    pub(crate) fn with_role() -> (Self, Role) {
        let (link, there) = Link::pair().unwrap();
        let tables = Box::leak(Box::new(const { Tables::new() }));
        let role = Role::new(Link::over(there), tables).unwrap();
        (Hub::over(Scratch::new(), link, None), role)
    }

    fn over(scratch: Scratch, link: Link, role: Option<JoinHandle<u64>>) -> Self {
        let clients = RefCell::default();
        Hub { scratch, link: Some(link), role, clients, record: RefCell::default() }
    }

    /// With a log-writer that stays.
    pub(crate) fn busy() -> Self {
        Hub::new(1_000_000)
    }

    pub(crate) fn send(&self, message: Message, fds: &[&OwnedFd]) {
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        self.link.as_ref().unwrap().send(&message, &fds).unwrap();
    }

    /// The next message of the log-writer.
    pub(crate) fn next(&self) -> (Message, Fds) {
        let link = self.link.as_ref().unwrap();
        assert!(wait(link, PollFlags::IN), "the log-writer says nothing");
        link.receive().unwrap()
    }

    /// The next message within so many milliseconds.
    pub(crate) fn next_within(&self, milliseconds: i64) -> Option<Message> {
        let link = self.link.as_ref().unwrap();
        let ready = wait_for(link, PollFlags::IN, milliseconds);
        ready.then(|| link.receive().unwrap().0)
    }

    /// Waits for this message; no other may come before it.
    pub(crate) fn expect(&self, message: Message) -> Fds {
        let (got, fds) = self.next();
        assert_eq!(got, message);
        fds
    }

    /// Adds a container that logs to `log`.
    pub(crate) fn container(&self, number: u32) -> Key {
        self.container_with(number, Options::default())
    }

    pub(crate) fn container_with(&self, number: u32, options: Options) -> Key {
        let path = options.log.unwrap_or_else(|| self.scratch.path("log"));
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        let mut logs = Vec::new();
        let json = options.json.then(|| self.scratch.path("json"));
        let k8s = Some(path).filter(|_| !options.no_file);
        for (tag, path) in [(Tag::LogPath, k8s), (Tag::JsonPath, json)] {
            if let Some(path) = path {
                encoder.string(tag, c_path(&path).as_bytes());
                logs.push(open_log(&path));
            }
        }
        let numbers = [
            (Tag::LogSizeMax, options.limit),
            (Tag::LogBackups, options.backups),
            (Tag::LogGlobalMax, options.global_limit),
        ];
        for (tag, number) in numbers {
            if let Some(number) = number {
                encoder.number(tag, number);
            }
        }
        if let Some(directory) = options.allowed {
            encoder.string(Tag::LogAllowed, c_path(&directory).as_bytes());
        }
        encoder.number(Tag::AttachDone, options.attach_done.into());
        if options.journal {
            encoder.bytes(Tag::Journal, super::journal::FIELDS);
        }
        let (container, repair) = (Key(number), options.repair);
        let record = seal(&bytes).unwrap();
        let logged = logs.first().map_or(0, |log| rustix::fs::fstat(log).unwrap().st_size);
        rustix::fs::seek(&record, SeekFrom::Start(logged as u64)).unwrap();
        let log = match logs.len() {
            0 => None,
            1 => logs.pop(),
            _ => Some(bundle::tie(&[logs[0].as_fd(), logs[1].as_fd()]).unwrap()),
        };
        self.add(container, &record, log.as_ref(), repair);
        *self.record.borrow_mut() = Some(record);
        container
    }

    /// Adds a container; `log` is what the hub holds of its log files.
    pub(crate) fn add(
        &self,
        container: Key,
        record: &OwnedFd,
        log: Option<&OwnedFd>,
        repair: bool,
    ) {
        let fds = match log {
            Some(_) => FdSet::RECORD.with(FdSet::LOG),
            None => FdSet::RECORD,
        };
        let message = Message::Container { container, fds, repair };
        let all: Vec<_> = [record].into_iter().chain(log).collect();
        self.send(message, &all);
    }

    /// Adds the last container again, as for a log-writer that knows nothing of
    /// it; `log` is what the hub has got since.
    pub(crate) fn add_again(&self, number: u32, log: &OwnedFd, repair: bool) -> Key {
        self.add(Key(number), self.record.borrow().as_ref().unwrap(), Some(log), repair);
        Key(number)
    }

    /// Adds a container without a log.
    pub(crate) fn container_without_log(&self, number: u32) -> Key {
        let container = Key(number);
        let message = Message::Container { container, fds: FdSet::RECORD, repair: false };
        self.send(message, &[&seal(&wire::record::MAGIC).unwrap()]);
        container
    }

    /// Gives the log-writer a pipe as the container's output; the result is
    /// the container's end, non-blocking, and the hub's copy of the other.
    pub(crate) fn output(&self, container: Key, fds: FdSet) -> (OwnedFd, OwnedFd) {
        let (read, write) = pipe();
        self.send(Message::Output { container, fds }, &[&read]);
        (write, read)
    }

    pub(crate) fn stdout(&self, container: Key) -> OwnedFd {
        self.output(container, FdSet::STDOUT).0
    }

    /// Attaches a client; the result is its socket.
    pub(crate) fn client(&self, container: Key, number: u32, owner: bool) -> OwnedFd {
        let (ours, theirs) = sockets();
        self.attach(container, number, owner, ours);
        theirs
    }

    /// Attaches an owner whose queue is full already, of so many zero bytes of
    /// stream 0.
    pub(crate) fn stuck_owner(&self, container: Key, number: u32) -> (OwnedFd, usize) {
        let (ours, theirs) = sockets();
        let client = Client {
            name: Key(0),
            container,
            owner: true,
            deadline: 0,
            watched: false,
            socket: ours,
            stdout: 0,
            stderr: 0,
        };
        client.enlarge_queue();
        let flags = SendFlags::DONTWAIT;
        let mut queued = 0;
        while rustix::net::send(&client.socket, &[0; 8193], flags).is_ok() {
            queued += 8192;
        }
        // Smaller ones, until not even a byte of output fits.
        while rustix::net::send(&client.socket, &[0; 2], flags).is_ok() {
            queued += 1;
        }
        self.attach(container, number, true, client.socket);
        (theirs, queued)
    }

    /// Closes the hub's copies of all clients, as it does when one is gone.
    pub(crate) fn close_clients(&self) {
        self.clients.borrow_mut().clear();
    }

    fn attach(&self, container: Key, number: u32, owner: bool, socket: OwnedFd) {
        let client = Key(number);
        let message = Message::Client { container, client, owner, closes: false };
        self.send(message, &[&socket]);
        self.clients.borrow_mut().push(socket);
    }

    /// The log as it is now.
    pub(crate) fn log(&self) -> Vec<u8> {
        std::fs::read(self.scratch.path("log")).unwrap()
    }

    /// Has the container drained.
    pub(crate) fn drain(&self, container: Key) {
        self.send(Message::Drain { container }, &[]);
        self.expect(Message::Drained { container });
    }

    /// Closes the link for what is sent to the log-writer only.
    pub(crate) fn close_behind(&self) {
        rustix::net::shutdown(self.link.as_ref().unwrap(), Shutdown::Write).unwrap();
    }

    /// Closes the link.
    pub(crate) fn leave(&mut self) {
        self.link = None;
    }

    /// Waits until the log-writer has ended. The result is the processor time
    /// it has used, in milliseconds.
    pub(crate) fn join(&mut self) -> u64 {
        self.role.take().unwrap().join().unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.link = None;
        if let Some(role) = self.role.take()
            && !std::thread::panicking()
        {
            role.join().unwrap();
        }
    }
}
