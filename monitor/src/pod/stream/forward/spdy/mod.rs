//! Port forwarding as kubectl does it: a byte stream of SPDY/3.1 frames, cut
//! into WebSocket messages anywhere. Each connection is a pair of SPDY streams
//! ([`tunnel`]).
//!
//! Source: the drafts of SPDY, <https://www.chromium.org/spdy/spdy-protocol/>,
//! and what Kubernetes makes of it, KEP-4006.

pub mod dictionary;
pub mod frame;
pub mod headers;
pub mod tunnel;
