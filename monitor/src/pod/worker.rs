//! A worker: serves one connection for as long as it is busy, gives it back to
//! the hub, and is gone.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::Shutdown;
use wire::{Message, OwnedFd, Record};

use super::hub::Hub;
use super::methods::Methods;
use super::rpc;
use super::service::Served;
use super::settings::Settings;
use crate::inherited::text;

/// The argument that makes the program a worker.
pub const WORD: &str = "serve-rpc";

/// How long a connection has to be quiet before it is given back, in ms: a few
/// seconds, in which an engine makes the calls of one container's start.
const PARK_MS: u64 = 3_000;
/// The variable that names another time, for tests.
const PARK_VARIABLE: &str = "CONMOTE_PARK_MS";

/// Serves a connection until it is quiet, or gone.
///
/// # Errors
/// It was not started by a hub, or the system refuses what it needs.
pub fn serve() -> Result<(), String> {
    let (hub, [connection, record]) = Hub::started_for(Message::Serve)?;
    let settings = settings(&record)?;
    stop_with(&hub, &connection).map_err(text)?;
    let copy = rustix::io::fcntl_dupfd_cloexec(&connection, 3).map_err(text)?;
    let methods = Methods::new(settings, hub, copy);
    if let Served::Park(connection) = rpc::serve(connection, &methods, quiet()) {
        methods.hub().park(&connection);
    }
    Ok(())
}

/// What the server was started with, by its record; this process is set up
/// accordingly.
///
/// # Errors
/// It is not a server's record.
pub fn settings(record: &OwnedFd) -> Result<Settings, String> {
    let settings = Record::map(record).ok();
    let settings = settings.and_then(|record| Settings::decode(record.fields()));
    let settings = settings.ok_or("cannot read the record of the server")?;
    super::messages::init(settings.log_level);
    if let Some(score) = &settings.oom_score_adj {
        // The runtime and its containers are to have it, and get ours.
        let _ = std::fs::write("/proc/self/oom_score_adj", score);
    }
    Ok(settings)
}

/// How long to wait for a client that says nothing.
pub fn quiet() -> Duration {
    let given = std::env::var(PARK_VARIABLE).ok().and_then(|text| text.parse().ok());
    Duration::from_millis(given.unwrap_or(PARK_MS))
}

/// Takes no more requests from the connection once the hub gives no answers.
/// Calls in flight come to their end.
fn stop_with(hub: &Hub, connection: &OwnedFd) -> rustix::io::Result<()> {
    let ending = hub.ending()?;
    let connection = rustix::io::fcntl_dupfd_cloexec(connection, 3)?;
    std::thread::spawn(move || {
        // POLLHUP, when the hub has died, comes unasked.
        while rustix::event::poll(&mut [PollFd::new(&ending, PollFlags::RDHUP)], None) != Ok(1) {}
        let _ = rustix::net::shutdown(&connection, Shutdown::Read);
    });
    Ok(())
}
