//! A link between two of our processes: a `SOCK_SEQPACKET` socketpair whose
//! packets are [`Message`]s with descriptors over `SCM_RIGHTS` (unix(7)).

use crate::{AsFd, BorrowedFd, Errno, Message, OwnedFd, message};
use core::fmt::{self, Display, Formatter};
use core::mem::MaybeUninit;
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

/// Most descriptors beside one message. A container needs 15.
pub const MAX_FDS: usize = 16;

/// Descriptors that came with a message. Dropping it closes them.
pub type Fds = heapless::Vec<OwnedFd, MAX_FDS>;

const CONTROL: usize = rustix::cmsg_space!(ScmRights(MAX_FDS));

/// Why nothing was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No message is waiting.
    Empty,
    /// The other side is gone.
    Closed,
    /// Something came that is no message; it is dropped, its fds closed.
    Garbage,
    /// recvmsg(2) failed.
    Failed(Errno),
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Empty => "nothing",
            Refusal::Closed => "a closed link",
            Refusal::Garbage => "no message of ours",
            Refusal::Failed(error) => return write!(f, "{error}"),
        })
    }
}

/// One side of a link.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
}

impl Link {
    /// Both sides of a new link; close-on-exec, blocking unless asked
    /// otherwise call by call.
    pub fn pair() -> Result<(Link, OwnedFd), Errno> {
        let (here, there) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Link { socket: here }, there))
    }

    /// A link over a socket that this process was started with.
    pub fn over(socket: OwnedFd) -> Link {
        Link { socket }
    }

    /// Sends one message. Never waits: [`Errno::AGAIN`] says that the other
    /// side has not read for very long (hundreds of messages).
    pub fn send(&self, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        send(self.socket.as_fd(), &message.encode(), fds)
    }

    /// Takes the next message without waiting.
    pub fn receive(&self) -> Result<(Message, Fds), Refusal> {
        // One byte more than a message, to tell longer packets.
        let mut packet = [0u8; message::LEN + 1];
        let (bytes, fds) = match receive(self.socket.as_fd(), &mut packet, RecvFlags::empty()) {
            Ok((0, _)) => return Err(Refusal::Closed),
            Ok(received) => received,
            Err(Errno::AGAIN) => return Err(Refusal::Empty),
            Err(error) => return Err(Refusal::Failed(error)),
        };
        let message = packet.get(..bytes).and_then(|p| Message::decode(p, fds.len()));
        match message {
            Some(message) => Ok((message, fds)),
            None => Err(Refusal::Garbage),
        }
    }
}

/// Sends one packet with descriptors; does not wait. Errors: sendmsg(2).
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::<u8>::uninit(); CONTROL];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut control, flags) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// The next packet, how many bytes it has, and the descriptors that came with
/// it; does not wait. Errors: recvmsg(2).
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    packet: &mut [u8],
    how: RecvFlags,
) -> Result<(usize, Fds), Errno> {
    let mut space = [MaybeUninit::<u8>::uninit(); CONTROL];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT | how;
    let received = loop {
        let mut parts = [IoSliceMut::new(packet)];
        match rustix::net::recvmsg(socket, &mut parts, &mut control, flags) {
            Ok(received) => break received,
            // The other side died with something of ours unread. That is
            // said once, before what it had sent.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(error) => return Err(error),
        }
    };
    let mut fds = Fds::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            for fd in rights {
                // There is room: the control buffer holds no more. If
                // there were not, the descriptor would be closed here.
                drop(fds.push(fd));
            }
        }
    }
    Ok((received.bytes, fds))
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{FdSet, Key};
    use rustix::fs::{FileType, fstat};

    /// How many descriptors refer to what `fd` does. Other tests have their own.
    fn duplicates(fd: impl AsFd) -> usize {
        use rustix::fd::AsRawFd;
        let name = |number: &str| std::fs::read_link(format!("/proc/self/fd/{number}")).ok();
        let own = name(&fd.as_fd().as_raw_fd().to_string()).unwrap();
        let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        all.filter(|entry| name(entry.file_name().to_str().unwrap()) == Some(own.clone())).count()
    }

    #[test]
    fn descriptors_arrive_and_those_of_refused_messages_are_closed() {
        let (here, there) = Link::pair().unwrap();
        let there = Link::over(there);
        let (read, write) = rustix::pipe::pipe().unwrap();
        // Both ends have the same name.
        let before = duplicates(&read);

        let message =
            Message::Client { container: Key(7), client: Key(9), owner: false, closes: true };
        here.send(&message, &[read.as_fd()]).unwrap();
        let (got, fds) = there.receive().unwrap();
        assert_eq!(got, message);
        assert_eq!(FileType::from_raw_mode(fstat(&fds[0]).unwrap().st_mode), FileType::Fifo);
        drop(fds);
        assert_eq!(duplicates(&read), before);

        // Right bytes, wrong number of descriptors.
        here.send(&message, &[read.as_fd(), write.as_fd()]).unwrap();
        assert_eq!(there.receive().unwrap_err(), Refusal::Garbage);
        // Garbage of every length with descriptors.
        for len in [1, message::LEN - 1, message::LEN, message::LEN + 1, 4000] {
            let bytes = [0xa5; 4000];
            let rights = [read.as_fd(), write.as_fd()];
            let mut space = [MaybeUninit::<u8>::uninit(); CONTROL];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
            let parts = [IoSlice::new(&bytes[..len])];
            rustix::net::sendmsg(&here, &parts, &mut control, SendFlags::empty()).unwrap();
            assert_eq!(there.receive().unwrap_err(), Refusal::Garbage);
        }
        // More descriptors than any message may have.
        let many = [read.as_fd(); 64];
        let mut space = [MaybeUninit::<u8>::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
        let packet = Message::Idle { seen: 0 }.encode();
        let parts = [IoSlice::new(&packet)];
        rustix::net::sendmsg(&here, &parts, &mut control, SendFlags::empty()).unwrap();
        drop(there.receive());
        assert_eq!(duplicates(&read), before);

        assert_eq!(there.receive().unwrap_err(), Refusal::Empty);
        here.send(&Message::Adopt { pid: 1, fds: FdSet::RECORD }, &[read.as_fd()]).unwrap();
        drop(here);
        assert!(there.receive().is_ok());
        assert_eq!(there.receive().unwrap_err(), Refusal::Closed);
    }
}
