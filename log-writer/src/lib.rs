//! The `log-writer` role: reads what containers print, writes it to their
//! logs, copies it to attached clients. It lives from the first byte of output
//! (of an attached exec session from before it) until output has been quiet for
//! a while, and serves every container of its hub.
//!
//! One byte goes from [`stream`] (pipe) over [`output`] to [`sinks`] (log) and
//! [`fan_out`] (clients), which has it taken out of the pipe when everybody has
//! it. [`role`] is the loop around that; [`messages`] is what the hub can ask
//! for; [`drain`] is the end of a container; [`held`] is about lines that the
//! journal, and characters that a JSON log gets whole. [`rotation`] starts log
//! files anew.
//!
//! # Invariants
//! * State lives in the pipes: nothing is taken out of one before it is in the
//!   log and every client has it, or was given up. Killed at any moment, the role loses nothing;
//!   the next one repeats a chunk at worst.
//! * No buffer belongs to a stream or a client. A client that is behind is a
//!   number of bytes at the head of a pipe.
//! * The link is emptied before any output is read: a client that was added
//!   before output came gets that output.
//! * After `Idle` no output is touched until the hub has spoken.
//!
//! # What it must never do
//! * Wait for a client, a log or a container. Everything is non-blocking, save
//!   writing to a disk and sending to the hub.
//! * Let one client delay another one, another container, or the end of its
//!   own container.
//! * Write part of a line because the disk is full.
//! * Talk to anybody but the hub.

#![cfg_attr(not(test), no_std)]

mod client;
mod container;
mod drain;
mod fan_out;
mod fd_path;
mod held;
mod messages;
mod output;
mod place;
mod repair;
mod role;
mod rotation;
mod sinks;
mod source;
mod stamp;
mod stream;
#[cfg(test)]
mod tests;
mod untold;

use role::{Role, Tables};
use wire::start::{Arguments, Once};
use wire::{Link, sys};

/// What error messages begin with.
const PROGRAM: &str = "log-writer";

/// Descriptor number of the link to the hub.
const LINK: i32 = 0;

/// sysexits(3) EX_OSERR: the system refused something that start needs.
const CANNOT_START: i32 = 71;

static TABLES: Once<Tables> = Once::new(Tables::new());

/// Runs the program; the result is its exit status.
pub fn run(_arguments: Arguments) -> i32 {
    let Some(tables) = TABLES.take() else {
        return CANNOT_START;
    };
    let role = sys::take_inherited(LINK).map(Link::over).and_then(|link| Role::new(link, tables));
    match role {
        Ok(mut role) => {
            role.run();
            0
        }
        Err(error) => {
            wire::error!(PROGRAM, "cannot start: {error}");
            CANNOT_START
        }
    }
}
