//! The fd socket: a client sends descriptors there, gets a number (a slot) for
//! each, and names the slots when it creates a container. The descriptors are
//! in the hands of a process of their own, [`server`], as long as the client's
//! connection lives.

pub mod protocol;
pub mod server;
mod slots;

use std::mem::MaybeUninit;
use std::time::Duration;

use rustix::io::IoSliceMut;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType,
    recvmsg, send,
};
use wire::{Errno, OwnedFd};

use self::protocol::Request;
use super::attach::is_served;
use super::hub::Hub;
use super::settings::Settings;
use super::types::StartFdSocketResponse;
use crate::inherited::text;
use crate::socket;

/// How long to wait for the server of the socket. It never waits itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the fd socket, if there is none.
///
/// # Errors
/// It cannot be made.
pub fn start(settings: &Settings, hub: &Hub) -> Result<StartFdSocketResponse, String> {
    let path = settings.fd_socket();
    let named = |why: String| format!("cannot listen at {}: {why}", path.display());
    // Two requests at once take turns here.
    let turn = socket::lock_folder(&settings.runtime_dir);
    let _turn = turn.map_err(|error| named(text(error)))?;
    if !is_served(&path) {
        let listener = socket::listen(&path, SocketType::SEQPACKET);
        let listener = listener.map_err(|error| named(text(error)))?;
        hub.open_fd_socket(&listener).map_err(named)?;
    }
    Ok(StartFdSocketResponse { path: path.to_string_lossy().into_owned() })
}

fn connect(settings: &Settings) -> Result<OwnedFd, Errno> {
    let path = settings.fd_socket();
    socket::connect(&path, SocketType::SEQPACKET, SocketFlags::empty(), Some(PATIENCE))
}

/// Takes the descriptors in these slots, which are empty then.
///
/// # Errors
/// Nothing is in one of them. What was taken before is closed.
pub fn take(settings: &Settings, slots: &[u64]) -> Result<Vec<OwnedFd>, String> {
    let mut connection = None;
    slots
        .iter()
        .map(|slot| {
            let taken = match &connection {
                Some(connection) => take_one(connection, *slot),
                None => connect(settings).and_then(|new| take_one(connection.insert(new), *slot)),
            };
            match taken {
                Ok(Some(fd)) => Ok(fd),
                // Without a socket nobody has sent any.
                Ok(None) | Err(Errno::NOENT | Errno::CONNREFUSED) => {
                    Err(format!("no file descriptor in slot {slot}"))
                }
                Err(error) => Err(format!("cannot ask for slot {slot}: {}", text(error))),
            }
        })
        .collect()
}

fn take_one(connection: &OwnedFd, slot: u64) -> Result<Option<OwnedFd>, Errno> {
    send(connection, &Request::Take { slot }.encode(), SendFlags::NOSIGNAL)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut answer = [0u8; 1];
    let mut parts = [IoSliceMut::new(&mut answer)];
    let received = recvmsg(connection, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Err(Errno::CONNRESET);
    }
    let rights = control.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    // Ours may be the process that has no room for it.
    if rights.is_none() && answer == protocol::HERE { Err(Errno::MFILE) } else { Ok(rights) }
}
