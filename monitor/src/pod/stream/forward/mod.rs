//! Reaching ports of the pod: each is a TCP connection to the pod's loopback
//! interface, made from within its network namespace. How the client's
//! messages name connections is the subprotocol's affair: [`channels`] or
//! [`spdy`]. [`relay`] does the rest.

pub mod channels;
pub mod connection;
pub mod protocol;
pub mod relay;
pub mod spdy;

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::thread::LinkNameSpaceType;
use wire::OwnedFd;

use self::channels::Channels;
use self::relay::Relay;
use self::spdy::tunnel::Tunnel;
use super::http::Opening;
use super::session::End;
use super::socket::Socket;
use crate::fds::c_path;
use crate::inherited::text;

/// What kubectl speaks.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// Subprotocols of port forwarding.
pub const PROTOCOLS: [&str; 4] =
    [TUNNEL, "v4.channel.k8s.io", "v2.portforward.k8s.io", "portforward.k8s.io"];

/// Serves a client until it goes, or all its connections have ended. `path` is
/// that of the network namespace.
pub fn serve(path: &str, opening: &Opening, socket: &mut Socket, ending: &OwnedFd) -> End {
    // One thread: from here on every new socket is the pod's.
    let entered = enter(path).map_err(|why| {
        log::error!("cannot forward ports: {why}");
        why
    });
    if opening.protocol == TUNNEL {
        return Relay::new(socket, ending, &mut Tunnel::default(), entered).run(&[]);
    }
    let mut channels = Channels::new(&opening.query);
    let ports = channels.ports();
    Relay::new(socket, ending, &mut channels, entered).run(&ports)
}

fn enter(path: &str) -> Result<(), String> {
    let named = |error| format!("cannot enter network namespace '{path}': {}", text(error));
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = c_path(Path::new(path))
        .and_then(|path| rustix::fs::open(path.as_c_str(), flags, Mode::empty()))
        .map_err(named)?;
    use wire::AsFd;
    let kind = Some(LinkNameSpaceType::Network);
    rustix::thread::move_into_link_name_space(file.as_fd(), kind).map_err(named)
}
