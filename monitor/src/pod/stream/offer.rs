//! What a worker does when a session is asked for: it makes the socket that
//! the client is to connect to, and leaves it to the hub.

use std::net::{Ipv4Addr, SocketAddrV4};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use wire::event::now_ms;
use wire::{Errno, OwnedFd};

use super::request::{Job, Request};
use crate::inherited::text;
use crate::pod::containers::seal;
use crate::pod::hub::Hub;
use crate::pod::types::{
    ServeAttachContainerRequest, ServeExecContainerRequest, ServePortForwardContainerRequest,
};
use crate::pod::unique::unique;

/// How long a token is good, in ms: conmonrs' hour.
const TOKEN_MS: u64 = 3_600_000;
/// The variable that names another time, for tests.
const TOKEN_VARIABLE: &str = "CONMOTE_TOKEN_MS";

/// Clients that may wait before the session's process accepts them.
const BACKLOG: i32 = 16;

/// Where to connect for running a command.
///
/// # Errors
/// There is no such container, or no socket can be made.
pub fn exec(hub: &Hub, request: &ServeExecContainerRequest) -> Result<String, String> {
    hub.find(&request.id)?;
    offer(hub, Job::Exec(request.clone()))
}

/// Where to connect for taking part in a container's input and output.
///
/// # Errors
/// As [`exec`].
pub fn attach(hub: &Hub, request: &ServeAttachContainerRequest) -> Result<String, String> {
    hub.find(&request.id)?;
    offer(hub, Job::Attach(request.clone()))
}

/// Where to connect for reaching ports of the pod.
///
/// # Errors
/// No socket can be made.
pub fn port_forward(
    hub: &Hub,
    request: &ServePortForwardContainerRequest,
) -> Result<String, String> {
    offer(hub, Job::PortForward(request.net_ns_path.clone()))
}

fn offer(hub: &Hub, job: Job) -> Result<String, String> {
    let (listener, port) =
        listen().map_err(|error| format!("cannot listen on 127.0.0.1: {}", text(error)))?;
    let token = unique()?;
    let url = format!("http://127.0.0.1:{port}/{}/{token}", job.name());
    let life = std::env::var(TOKEN_VARIABLE).ok().and_then(|text| text.parse().ok());
    let until = now_ms().saturating_add(life.unwrap_or(TOKEN_MS));
    let request = seal(&Request { job, token, until }.encode())?;
    hub.keep_stream(&listener, &request)?;
    Ok(url)
}

fn listen() -> Result<(OwnedFd, u16), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::listen(&socket, BACKLOG)?;
    let address = SocketAddrV4::try_from(rustix::net::getsockname(&socket)?)?;
    Ok((socket, address.port()))
}
