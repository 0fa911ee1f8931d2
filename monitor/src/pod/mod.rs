//! The pod server's front door, called as `conmonrs`: command line, Cap'n
//! Proto RPC on a unix socket, and what its methods do.

pub mod cli;
pub(crate) mod convert;
pub mod rpc;
pub mod schema;
pub mod service;
pub mod types;
pub mod version;
