//! The way to systemd's journal: one datagram per entry, over a socket that
//! all containers share (systemd's "Native Journal Protocol").

use core::ffi::CStr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, sockopt,
};
use wire::event::now_ms;
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

/// Where journald listens.
const SOCKET: &CStr = c"/run/systemd/journal/socket";

/// Room for entries on their way, in bytes: as systemd's own library asks for.
const QUEUE: usize = 8 << 20;

/// Milliseconds that journald may take nothing at all before lines are dropped:
/// longer than it is kept from its work on a busy machine.
const STANDSTILL: u64 = 250;

/// Milliseconds that one chunk of output may wait in all for a journald that is
/// busy, but takes some. The container's pipe takes what it prints meanwhile.
const PATIENCE: u64 = 1000;

/// The connection to journald.
pub(crate) struct Journal {
    path: &'static CStr,
    socket: Option<OwnedFd>,
}

/// How long one chunk of output still waits for journald.
#[derive(Default)]
pub(crate) struct Patience {
    /// Milliseconds ([`now_ms`]) when it ends; 0: it has not been needed yet.
    until: u64,
    /// It has ended.
    spent: bool,
}

impl Journal {
    /// Not connected yet.
    pub(crate) const fn new() -> Self {
        Journal { path: SOCKET, socket: None }
    }

    /// For a journald that listens somewhere else.
    #[cfg(test)]
    pub(crate) const fn at(path: &'static CStr) -> Self {
        Journal { path, socket: None }
    }

    /// Connects, with room for almost nothing, as where the system grants no
    /// more.
    #[cfg(test)]
    pub(crate) fn shrink_queue(&mut self) {
        let socket = connect(self.path).unwrap_or_else(|error| panic!("{error}"));
        let _ = sockopt::set_socket_send_buffer_size(&socket, 4096);
        self.socket = Some(socket);
    }

    /// Sends one entry, in the form of the protocol. If journald has been
    /// started anew, it gets the entry nevertheless.
    ///
    /// Errors: sendmsg(2), connect(2); [`Errno::AGAIN`] when journald is too
    /// slow.
    pub(crate) fn send(
        &mut self,
        entry: &[IoSlice<'_>],
        patience: &mut Patience,
    ) -> Result<(), Errno> {
        let mut fresh = false;
        loop {
            let socket = match self.socket.take() {
                Some(socket) => socket,
                None => {
                    fresh = true;
                    connect(self.path)?
                }
            };
            let socket = self.socket.insert(socket);
            let socket = socket.as_fd();
            let sent = match send(socket, entry, None) {
                Err(Errno::MSGSIZE | Errno::NOBUFS) => send_as_file(socket, entry),
                other => other,
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if patience.wait(socket) => {}
                Err(error @ (Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM)) => return Err(error),
                Err(error) => {
                    self.socket = None;
                    if fresh {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl Patience {
    /// Waits until `socket` has room. `false`: that took too long.
    fn wait(&mut self, socket: BorrowedFd<'_>) -> bool {
        let now = now_ms();
        if self.until == 0 {
            self.until = now.saturating_add(PATIENCE);
        }
        let rest = self.until.saturating_sub(now).min(STANDSTILL);
        if !self.spent {
            let rest_of_it = Timespec { tv_sec: 0, tv_nsec: (rest * 1_000_000) as _ };
            let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
            self.spent = rest == 0 || poll(&mut fds, Some(&rest_of_it)) == Ok(0);
        }
        !self.spent
    }
}

fn connect(path: &CStr) -> Result<OwnedFd, Errno> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if sockopt::set_socket_send_buffer_size_force(&socket, QUEUE).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(&socket, QUEUE);
    }
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn send(
    socket: BorrowedFd<'_>,
    entry: &[IoSlice<'_>],
    file: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let fds = file.as_slice();
    let mut space = [core::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::sendmsg(socket, entry, &mut ancillary, flags).map(drop)
}

/// Sends an entry that is too long for a datagram: in a memfd that nobody can
/// change any more.
#[cold]
fn send_as_file(socket: BorrowedFd<'_>, entry: &[IoSlice<'_>]) -> Result<(), Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(c"journal-entry", flags)?;
    let len: usize = entry.iter().map(|part| part.as_slice().len()).sum();
    if rustix::io::writev(&file, entry)? != len {
        return Err(Errno::NOMEM);
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    send(socket, &[], Some(file.as_fd()))
}
