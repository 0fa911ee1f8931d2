//! The moment at which a process executes its program, seen from inside that process.

use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tests::{Context, Error, Result};

/// A moment that somebody else sees.
pub(super) struct Moment {
    reader: PipeReader,
    witness: Option<OwnedFd>,
}

impl Moment {
    /// Not yet seen.
    pub(super) fn new() -> Result<Moment> {
        let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
        Ok(Moment { reader, witness: Some(writer.into()) })
    }

    /// What `Call::at_exec` wants; once.
    pub(super) fn witness(&mut self) -> Result<OwnedFd> {
        self.witness.take().ok_or_else(|| Error::new("a moment has one witness"))
    }

    /// What has passed since then.
    pub(super) fn until_now(mut self) -> Result<Duration> {
        let now = clock_gettime(ClockId::Monotonic);
        let mut bytes = [0; 16];
        self.reader.read_exact(&mut bytes).context("nobody saw the program start")?;
        let [seconds, nanoseconds] = [0, 8].map(|at| number(&bytes[at..]));
        let passed = (now.tv_sec - seconds) * 1_000_000_000 + now.tv_nsec - nanoseconds;
        Ok(Duration::from_nanos(passed.try_into().unwrap_or(0)))
    }
}

fn number(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |bytes| i64::from_ne_bytes(*bytes))
}
