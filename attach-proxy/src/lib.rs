//! The attach-proxy role: everything that flows *towards* containers.
//!
//! The hub starts it when there is such work, with the link as its standard
//! input, and gives it containers and their attached clients. It delivers what
//! clients send to the container's stdin or terminal ([`input`]), does what is
//! written into the `ctl` and `winsz` FIFOs ([`control`]), and chooses which of
//! a container's notifications the host hears ([`notify`]). When there has been
//! nothing to do for a moment it says so, and the hub ends it by closing the
//! link ([`serve`]).
//!
//! # Invariants
//! * It can be killed at any point. A packet is taken off a client's socket
//!   only when the container has all of it, so none is lost; what was delivered
//!   in part is delivered anew by the next proxy. The same goes for
//!   notifications.
//! * Packets of several clients never mix. While a container has taken part of
//!   one, no other client of it is read; other containers go on.
//! * After every wake-up the hub's messages come first.
//! * It closes no client's and no container's last descriptor: the hub has
//!   them all, and is told what to close.
//! * Large packets take memory only while the proxy is awake.
//!
//! # What it must never do
//! * Wait for a container or a client: every call on their descriptors returns
//!   at once. It waits in epoll(7), and for the hub.
//! * Read output or write to clients: that is the log-writer's.
//! * Spin on a descriptor that is ready for ever (a hung-up terminal, a closed
//!   stdin, a FIFO full of garbage).
//! * Touch a container's descriptors after it has offered to end.

#![cfg_attr(not(test), no_std)]

mod container;
mod control;
mod input;
mod notify;
mod packet;
mod ports;
mod serve;
mod turns;

#[cfg(test)]
mod tests;

use serve::Proxy;
use wire::Link;
use wire::start::{Arguments, Once};

/// What messages begin with.
const NAME: &str = "attach-proxy";

/// Exit status when a system call failed that we cannot do without.
const SYSTEM_CALL_FAILED: i32 = 111;

/// Runs the program; the result is its exit status: 0 when the hub closed the
/// link, 111 when a system call failed.
pub fn run(_arguments: Arguments) -> i32 {
    static PROXY: Once<Proxy> = Once::new(Proxy::new());
    let served = wire::sys::take_inherited(0).and_then(|link| match PROXY.take() {
        Some(proxy) => proxy.serve(Link::over(link)),
        None => Ok(()),
    });
    match served {
        Ok(()) => 0,
        Err(error) => {
            wire::error!(NAME, "cannot serve the link on fd 0: {error}");
            SYSTEM_CALL_FAILED
        }
    }
}
