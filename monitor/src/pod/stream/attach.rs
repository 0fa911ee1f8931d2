//! Taking part in a container's own input and output: the client becomes one
//! more attach client of the hub's, and this process its interpreter.

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use wire::{Errno, OwnedFd};

use super::input::{Input, Sink};
use super::output::Output;
use super::session::{End, Process, Session};
use super::socket::Socket;
use crate::inherited::text;
use crate::pod::hub::Hub;
use crate::pod::types::ServeAttachContainerRequest;

/// Serves a client until the container has ended or the client goes, which the
/// container does not notice.
pub fn serve(
    joined: Result<Process, String>,
    request: &ServeAttachContainerRequest,
    socket: &mut Socket,
    ending: &OwnedFd,
) -> End {
    match joined {
        Ok(process) => Session::new(socket, ending, process).run(),
        Err(why) => {
            // It has ended since the session was asked for, most likely.
            log::info!("cannot attach to container {}: {why}", request.id);
            End::Done
        }
    }
}

/// Becomes a client of the container.
///
/// # Errors
/// There is no such container, or no socket can be made.
pub fn join(hub: &Hub, request: &ServeAttachContainerRequest) -> Result<Process, String> {
    let container = hub.find(&request.id)?;
    let pair = || -> Result<(OwnedFd, OwnedFd, OwnedFd), Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (kind, family) = (SocketType::SEQPACKET, AddressFamily::UNIX);
        let (ours, theirs) = rustix::net::socketpair(family, kind, flags, None)?;
        let copy = rustix::io::fcntl_dupfd_cloexec(&ours, 3)?;
        Ok((ours, copy, theirs))
    };
    let (ours, copy, theirs) =
        pair().map_err(|error| format!("cannot make a socket: {}", text(error)))?;
    hub.join(container.key, &theirs)?;
    Ok(Process {
        outputs: vec![Output::Packets(ours)],
        input: Input::new(request.stdin.then_some(Sink::Packets(copy))),
        terminal: container.tty,
        status: None,
        wanted: [request.stdout, request.stderr],
    })
}
