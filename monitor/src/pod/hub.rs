//! A worker's way to the hub: requests and their answers, one at a time.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags};
use wire::link::Refusal;
use wire::record::{Encoder, Tag};
use wire::{AsFd, BorrowedFd, Errno, FdSet, Fds, Key, Link, Message, OwnedFd};

use crate::handover::{self, Container};
use crate::inherited::text;

/// What there is to say when somebody else started this process.
pub(super) const NOT_STARTED: &str = "not started by exit-reaper on fd 0";
/// What there is to say when the hub gives no answers any more.
pub const ENDING: &str = "the server is ending";
/// What there is to say of an id that is no container's, or not any more.
pub(super) const NOT_FOUND: &str = "child not available";

/// The hub, seen from a worker.
#[derive(Debug)]
pub struct Hub {
    link: Mutex<Link>,
}

/// A container, as the hub knows it.
#[derive(Debug)]
pub struct Found {
    /// The hub's name for it.
    pub key: Key,
    /// Its pid.
    pub pid: u32,
    /// Its terminal, if it has one.
    pub tty: Option<OwnedFd>,
}

impl Hub {
    /// Over the link that this process was started with, its standard input;
    /// with the descriptors of the first message on it, which is to be `wanted`.
    ///
    /// # Errors
    /// When it was not started by a hub, or for something else.
    pub fn started_for<const N: usize>(wanted: Message) -> Result<(Self, [OwnedFd; N]), String> {
        let link = Link::over(wire::sys::take_inherited(0).map_err(text)?);
        let (message, fds) = receive(&link)?;
        let fds: Vec<OwnedFd> = fds.into_iter().collect();
        match fds.try_into() {
            Ok(fds) if message == wanted => Ok((Hub { link: Mutex::new(link) }, fds)),
            _ => Err(NOT_STARTED.into()),
        }
    }

    /// A second descriptor of the link, which reports POLLRDHUP (poll(2)) when
    /// the hub gives no answers any more.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn ending(&self) -> Result<OwnedFd, Errno> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        rustix::io::fcntl_dupfd_cloexec(link.as_fd(), 3)
    }

    /// Hands a container or an exec session over; when this returns, the hub
    /// has it.
    ///
    /// # Errors
    /// The hub has no room, or is ending.
    pub fn adopt(&self, container: &Container) -> Result<(), String> {
        let ask = |link: &Link| handover::send_adopt(link, container);
        match self.request(ask)? {
            (Message::Adopted { .. }, _) => Ok(()),
            _ => Err("too many containers for one server".into()),
        }
    }

    /// The container of this id.
    ///
    /// # Errors
    /// There is none, or the hub is ending.
    pub fn find(&self, id: &str) -> Result<Found, String> {
        match self.look_up(Tag::Cid, id.replace('\0', "").as_bytes())? {
            (Message::Found { container, pid, fds: set }, fds) => {
                let mut fds = set.bits().zip(fds);
                let tty = fds.find(|(bit, _)| *bit == FdSet::TTY).map(|(_, fd)| fd);
                Ok(Found { key: container, pid, tty })
            }
            _ => Err(NOT_FOUND.into()),
        }
    }

    /// Whether there is a pause process with this pid file.
    ///
    /// # Errors
    /// The hub is ending.
    pub fn has_pause(&self, pid_file: &Path) -> Result<bool, String> {
        let answer = self.look_up(Tag::PausePidFile, pid_file.as_os_str().as_bytes())?;
        Ok(matches!(answer, (Message::Found { .. }, _)))
    }

    fn look_up(&self, tag: Tag, value: &[u8]) -> Result<(Message, Fds), String> {
        let mut bytes = Vec::new();
        Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece)).string(tag, value);
        let record = wire::record::seal(&bytes)
            .map_err(|error| format!("cannot ask for a container: {}", text(error)))?;
        self.ask(&Message::Find, &[record.as_fd()])
    }

    /// Has the clients of the fd socket served.
    ///
    /// # Errors
    /// There is one already, or the hub is ending.
    pub fn open_fd_socket(&self, socket: &OwnedFd) -> Result<(), String> {
        match self.ask(&Message::FdSocket, &[socket.as_fd()])? {
            (Message::Done, _) => Ok(()),
            _ => Err("the fd socket of this server was removed".into()),
        }
    }

    /// Has attach clients accepted at a listening socket. With `closes` the
    /// end of a client's input is the end of the container's.
    ///
    /// # Errors
    /// The container is gone, or the hub has no room or is ending.
    pub fn listen(&self, container: Key, socket: &OwnedFd, closes: bool) -> Result<(), String> {
        match self.ask(&Message::Listen { container, closes }, &[socket.as_fd()])? {
            (Message::Done, _) => Ok(()),
            (Message::NotFound, _) => Err(NOT_FOUND.into()),
            _ => Err("too many attach sockets for one server".into()),
        }
    }

    /// Makes the other side of `socket` a client of a container.
    ///
    /// # Errors
    /// The container is gone, or the hub has no room or is ending.
    pub fn join(&self, container: Key, socket: &OwnedFd) -> Result<(), String> {
        match self.ask(&Message::Join { container }, &[socket.as_fd()])? {
            (Message::Done, _) => Ok(()),
            (Message::NotFound, _) => Err(NOT_FOUND.into()),
            _ => Err("too many attached clients for one server".into()),
        }
    }

    /// Has the hub wait for a client of a streaming session.
    ///
    /// # Errors
    /// The hub has no room or is ending.
    pub fn keep_stream(&self, listener: &OwnedFd, request: &OwnedFd) -> Result<(), String> {
        match self.ask(&Message::KeepStream, &[listener.as_fd(), request.as_fd()])? {
            (Message::Done, _) => Ok(()),
            _ => Err("the server cannot wait for another streaming session".into()),
        }
    }

    /// Has a container's logs opened anew; when this returns, it is done.
    ///
    /// # Errors
    /// The container is gone, a log cannot be opened, or the hub is ending.
    pub fn reopen_log(&self, container: Key) -> Result<(), String> {
        match self.ask(&Message::ReopenLog { container }, &[])? {
            (Message::Done, _) => Ok(()),
            (Message::NotFound, _) => Err(NOT_FOUND.into()),
            _ => Err("cannot open the log anew; is its folder there and writable?".into()),
        }
    }

    /// Leaves a duplicate of the ledger, in case this process is killed.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub fn keep_ledger(&self, ledger: &OwnedFd) -> Result<(), String> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        link.send(&Message::Ledger, &[ledger.as_fd()])
            .map_err(|error| format!("cannot reach the hub: {}", text(error)))
    }

    /// Gives the connection back. The worker has nothing left to do then.
    pub fn park(&self, connection: &OwnedFd) {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody there: the connection ends with us.
        let _ = link.send(&Message::Park, &[connection.as_fd()]);
    }

    fn ask(&self, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<(Message, Fds), String> {
        self.request(|link| link.send(message, fds))
    }

    fn request(
        &self,
        send: impl FnOnce(&Link) -> Result<(), Errno>,
    ) -> Result<(Message, Fds), String> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        send(&link).map_err(|error| format!("cannot reach the hub: {}", text(error)))?;
        receive(&link)
    }
}

/// Waits for the next message.
///
/// # Errors
/// The hub sends none any more, or something else.
pub(super) fn receive(link: &Link) -> Result<(Message, Fds), String> {
    loop {
        match link.receive() {
            Ok(received) => return Ok(received),
            Err(Refusal::Empty) => {
                let mut polled = [PollFd::new(link, PollFlags::IN)];
                let _ = rustix::event::poll(&mut polled, None);
            }
            Err(Refusal::Closed) => return Err(ENDING.into()),
            Err(Refusal::Garbage) => return Err("garbage from the hub".into()),
            Err(Refusal::Failed(error)) => {
                return Err(format!("cannot read from the hub: {}", text(error)));
            }
        }
    }
}
