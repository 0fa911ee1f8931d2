//! What the four programs share: the [`record`] of a container (in [`sealed`]
//! memory), the [`message`]s between hub and roles, the [`link`] that carries
//! them with file descriptors, descriptors tied together ([`bundle`]), the
//! [`event`] loop, process start ([`start`]), the few system calls no library
//! has ([`sys`]), processes that share our memory ([`in_place`]), the start of
//! our programs at the other end of a link ([`mod@spawn`]), one-line error
//! messages ([`report`]), answers to the engine ([`answer`]), ends of
//! connections ([`discard`]), and the kernel's count of out-of-memory kills
//! ([`oom`]).
//! Nothing else belongs here.
//!
//! # Invariants
//! * No allocation, no libc: everything links into a `no_std` program.
//! * All decoding is total. Bytes from another process never make us panic,
//!   loop without end, or allocate.
//! * File descriptors have one owner; whatever is refused is closed.
//! * `unsafe` is here (in [`sys`], [`start`], [`in_place`] and [`sealed`]) and nowhere else.

#![cfg_attr(not(test), no_std)]
// The one crate where `unsafe` may stand; each block says why it is sound.
#![allow(unsafe_code)]

pub mod answer;
pub mod bundle;
pub mod discard;
pub mod event;
pub mod in_place;
pub mod key;
pub mod link;
pub mod message;
pub mod oom;
pub mod record;
pub mod report;
pub mod sealed;
pub mod spawn;
pub mod start;
pub mod sys;

pub use answer::answer;
pub use discard::discard_input;
pub use key::Key;
pub use link::{Fds, Link};
pub use message::{FdSet, Message};
pub use record::Record;
pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;
pub use spawn::{spawn, spawn_role};
