//! The front doors of conmote: everything that parses a command line or calls
//! the OCI runtime. Lives for milliseconds, then becomes `exit-reaper`.
//!
//! # Invariants
//! * One thread: the process forks and execs, and keeps its pid as the hub.
//! * Everything it opens is close-on-exec; whatever is to stay is handed over.
//! * Whoever waits on the sync pipe gets an answer, whatever fails.

pub mod client;
pub mod conmon;
pub mod execute;
pub mod handover;
pub mod inherited;
pub mod log;
pub mod oom;
pub mod pod;
pub mod runtime;
pub mod sync_pipe;
pub mod zone;
