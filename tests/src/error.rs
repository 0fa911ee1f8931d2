//! The one error type of the harness: a line that says what was wanted and what happened.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;

/// What every fallible function here returns; a test is `fn name() -> Result`.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// One line of text. `RUST_BACKTRACE=1` adds where it was made.
pub struct Error {
    text: String,
    made_at: Backtrace,
}

impl Error {
    /// An error that says `text`.
    pub fn new(text: impl Into<String>) -> Error {
        Error { text: text.into(), made_at: Backtrace::capture() }
    }

    /// What the system said last (`errno`), after the words `what`.
    pub fn last_os(what: impl fmt::Display) -> Error {
        Error::new(format!("{what}: {}", std::io::Error::last_os_error()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// A failing test prints its error with `Debug`: keep it readable.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.made_at.status() != BacktraceStatus::Captured {
            return Ok(());
        }
        // Only the lines that lead into this crate: the rest is the test runner.
        let frames = self.made_at.to_string();
        let ours = frames.lines().map(str::trim).filter(|line| line.starts_with("at ./"));
        ours.skip(1).try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Error {}

/// Adds what was being done to an error from below.
pub trait Context<T> {
    /// The same result, its error prefixed with `what`.
    ///
    /// # Errors
    /// The error it was called on.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Error::new(format!("{what}: {error}")))
    }
}
