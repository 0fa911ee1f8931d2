//! What the end-to-end tests and `cargo xtask` share: the engine's side of conmon's protocol, and a small OCI runtime
//! to go with it.
//!
//! ```no_run
//! use tests::{Call, Container, Result, Scratch};
//!
//! fn main() -> Result {
//!     let scratch = Scratch::new()?;
//!     let hello = Container::sh("echo hello; exit 3");
//!     let session = Call::create(&scratch, &hello)?.created()?;
//!     let mut client = session.attach()?;
//!     session.start()?;
//!     client.expect("hello")?;
//!     assert_eq!(session.exit_code()?, 3);
//!     Ok(())
//! }
//! ```
//!
//! A [`Scratch`] is a test's own directory and the marker on all its processes, all gone when it is dropped. A
//! [`Container`] says what to run. A [`Call`] is the monitor's command line, podman's unless changed, and becomes a
//! [`Session`]: the pipes, files and sockets that the engine has in its hands. [`under_test`] says which monitor it is.

pub mod attach;
pub mod bundle;
pub mod call;
pub mod container;
pub mod error;
pub mod flood;
pub mod journal;
pub mod json_log;
pub mod k8s_log;
pub mod load;
pub mod namespace;
pub mod network;
pub mod note;
pub mod notify;
pub mod paths;
pub mod pipe;
pub mod pod;
pub mod podman;
pub mod process;
pub mod raw_rpc;
pub mod scratch;
pub mod session;
pub mod soak;
pub mod stream;
pub mod sys;
pub mod tunnel;
pub mod under_test;
pub mod verify;
pub mod wait;

pub use attach::Client;
pub use call::Call;
pub use container::Container;
pub use error::{Context, Error, Result};
pub use scratch::Scratch;
pub use session::Session;

/// Ends the test at once, as passed, when the original is under test and does not do what the test is about: a deliberate
/// difference (see `docs/differences.md`), or a release older than the words given here.
#[macro_export]
macro_rules! ours_only {
    ($($since:literal)?) => {
        if !$crate::under_test::is_ours()? {
            return Ok(());
        }
    };
}
