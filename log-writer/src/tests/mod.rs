//! The role as the hub, containers and clients see it: over real links, pipes,
//! sockets and terminals, with the test in the place of the hub.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod backups;
mod by_hand;
mod delivery;
mod disk;
mod drain;
mod hub;
mod idle;
mod io;
pub(crate) mod journal;
mod journald;
mod json;
mod json_log;
mod limits;
mod rotation;
mod scratch;
mod terminal;

pub(crate) use hub::Hub;
pub(crate) use json::unquoted;
pub(crate) use scratch::{Scratch, printed};
