//! Streaming sessions: `exec`, `attach` and `port-forward` over WebSockets, as
//! Kubernetes' clients speak it.
//!
//! An RPC worker makes an [`offer`]: a listening socket and a token, which it
//! leaves to the hub. When somebody connects the hub starts the process that is
//! here: it waits for the client that has the token ([`door`]), serves that one
//! session, and is gone. So nothing listens but for sessions that somebody was
//! promised, and no two of them share anything.

pub mod attach;
pub mod door;
pub mod exec;
pub mod forward;
pub mod http;
pub mod input;
pub mod offer;
pub mod output;
pub mod request;
pub mod resize;
pub mod session;
pub mod socket;
pub mod status;
pub mod tcp;
pub mod wait;

use std::io::Write;

use wire::{Message, Record};

use self::door::Met;
use self::request::{Job, Request};
use self::session::End;
use self::socket::Socket;
use super::hub::Hub;
use super::worker;
use crate::inherited::text;

/// The argument that makes the program serve a session.
pub const WORD: &str = "serve-stream";

/// RFC 6455 section 7.4.1: how a session was closed.
pub mod code {
    /// As it should.
    pub const NORMAL: u16 = 1000;
    /// The server ends.
    pub const AWAY: u16 = 1001;
    /// The client broke the rules.
    pub const PROTOCOL: u16 = 1002;
    /// The server cannot go on with it.
    pub const ERROR: u16 = 1011;
}

/// Serves a session to its end.
///
/// # Errors
/// It was not started by a hub, or the system refuses what it needs.
pub fn serve() -> Result<(), String> {
    let (hub, [listener, request_fd, record]) = Hub::started_for(Message::ServeStream)?;
    let settings = worker::settings(&record)?;
    let request = Record::map(&request_fd).ok();
    let request = request.and_then(|record| Request::decode(record.fields()));
    let request = request.ok_or("cannot read the record of a streaming session")?;
    let ending = hub.ending().map_err(text)?;
    let (mut tcp, opening, rest) = match door::meet(&listener, &ending, &request, worker::quiet()) {
        Met::Client(tcp, opening, rest) => (tcp, opening, rest),
        Met::Nobody => return hub.keep_stream(&listener, &request_fd),
        Met::Over => return Ok(()),
    };
    drop((listener, request_fd));
    let serve: Box<dyn FnOnce(&mut Socket) -> End> = match &request.job {
        Job::Exec(request) => Box::new(|socket| {
            exec::serve(&settings, &hub, request, socket, opening.protocol, &ending)
        }),
        Job::Attach(request) => {
            // First: a client that has the answer sees all that is printed from then on.
            let joined = attach::join(&hub, request);
            Box::new(|socket| attach::serve(joined, request, socket, &ending))
        }
        Job::PortForward(path) => {
            Box::new(|socket| forward::serve(path, &opening, socket, &ending))
        }
    };
    if tcp.write_all(opening.answer.as_bytes()).is_err() {
        return Ok(());
    }
    let mut socket = Socket::new(tcp, rest);
    let end = serve(&mut socket);
    let (code, reason) = closing(&end);
    socket.close(code, reason, &ending);
    Ok(())
}

/// How the client is told that a session is over.
fn closing(end: &End) -> (u16, &str) {
    match end {
        End::Status(_) | End::Done | End::Gone => (code::NORMAL, "done"),
        End::Dropped => (code::ERROR, "the client reads too slowly; output is missing"),
        End::Wrong(_) => (code::PROTOCOL, "a message that no client may send"),
        End::ServerEnds => (code::AWAY, "the server is ending"),
    }
}
