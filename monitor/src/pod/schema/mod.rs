//! Cap'n Proto's messages as Rust types; see `monitor/schema/`.
//!
//! Written by `cargo xtask schema` and committed, so that a build needs no
//! schema compiler. Not to be edited.

#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod conmon_capnp;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
pub mod rpc_capnp;
