//! The front doors of conmote: everything that parses a command line or calls
//! the OCI runtime. Lives for milliseconds, then becomes `exit-reaper`.
//!
//! # Invariants
//! * One thread where the process forks and execs to become the hub, keeping
//!   its pid; a pod's worker has one for each call.
//! * Everything it opens is close-on-exec; whatever is to stay is handed over.
//! * Whoever waits on the sync pipe gets an answer, whatever fails.

pub mod client;
pub mod conmon;
pub mod execute;
pub mod fds;
pub mod handover;
pub mod inherited;
pub mod log;
pub mod oom;
pub mod pod;
pub mod runtime;
pub mod socket;
pub mod status;
pub mod supervise;
pub mod sync_pipe;
pub mod terminal;
pub mod zone;
