//! The pod server's front door, called as `conmonrs`: command line, Cap'n
//! Proto RPC on a unix socket, and what its methods do.

pub mod service;
pub mod types;
