//! The hub: the only program of ours that stays while a container runs.
//!
//! It is the container's parent (child subreaper), holds every descriptor of
//! it, accepts attach clients, starts the log-writer when there is output (for
//! an attached exec session it takes one over) and the attach-proxy when there
//! is input, notifies the host in a container's name, records the container's
//! end, and runs the exit command. It serves any number of containers; one, when `monitor` has become it through the conmon
//! front door; those of a pod, with more to come, when it was the other one
//! ([`pod`]).
//!
//! # Invariants
//! * What a role has is a duplicate. Any role may be killed at any moment and
//!   started again; neither container nor client notices.
//! * A client that connected before some output sees that output: pending
//!   connections are accepted before output is given away and before a death
//!   is acted upon.
//! * Exit files appear after the log is complete and after leaked descriptors
//!   are closed; the exit command starts after the exit files.
//! * Every child is reaped.
//!
//! # What it must never do
//! * Read container output or client input: roles do.
//! * Wait for a role, a client or a disk without a deadline, or block in a
//!   send. (The exit command may take as long as it likes.)
//! * Allocate, grow with the age of a container, or parse text. (One text is
//!   the kernel's own: the count of out-of-memory kills.)

#![cfg_attr(not(test), no_std)]

mod adopt;
mod children;
mod clients;
mod command;
mod container;
mod draining;
mod ending;
mod hub;
mod life;
mod notify;
mod oom;
mod pause;
mod pod;
mod publish;
mod role;
mod serve;

use hub::{AllTables, Hub};
use wire::Link;
use wire::start::{Arguments, Once};

pub(crate) const NAME: &str = "exit-reaper";

/// Exit status when a system call failed that the hub cannot do without.
const EXIT_SYSTEM: i32 = 111;
/// Exit status when it was not started by `monitor`.
const EXIT_USAGE: i32 = 100;

static TABLES: Once<AllTables> = Once::new(AllTables::new());

/// Runs the hub; standard input is the link to `monitor`. The result is the
/// container's status, as the process's exit status. Called as
/// [`pause`](pause::CALLED), it is the first process of a pod instead.
pub fn run(arguments: Arguments) -> i32 {
    if arguments.words().next() == Some(pause::CALLED) {
        return pause::run();
    }
    let Some(tables) = TABLES.take() else {
        return EXIT_USAGE;
    };
    let Ok(link) = wire::sys::take_inherited(0) else {
        return EXIT_USAGE;
    };
    let mut hub = match Hub::new(Link::over(link), tables, arguments.environment) {
        Ok(hub) => hub,
        Err(refusal) => {
            wire::error!(NAME, "not started by monitor ({refusal} on fd 0); run monitor instead");
            return EXIT_USAGE;
        }
    };
    match hub.serve() {
        Ok(status) => status,
        Err(error) => {
            wire::error!(NAME, "cannot wait for events: {error}");
            EXIT_SYSTEM
        }
    }
}
