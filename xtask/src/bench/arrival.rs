//! Waiting for a file, to the microsecond.

use crate::report::{Context, Result};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::sys;

/// A file that will be there.
pub(super) struct Arrival {
    file: PathBuf,
    /// Closing it takes the kernel some ten milliseconds, so that is left until all clocks have been read.
    watch: OwnedFd,
}

impl Arrival {
    /// Begins to watch, before the file can be there.
    pub(super) fn of(file: &Path) -> Result<Arrival> {
        let folder = file.parent().context("a file without folder cannot be waited for")?;
        let watch =
            sys::watch_directory(folder).context(format!("cannot watch {}", folder.display()))?;
        Ok(Arrival { file: file.into(), watch })
    }

    /// The time that has passed since `began` when the file is there; an error if that is more than `limit`.
    pub(super) fn since(&self, began: Instant, limit: Duration) -> Result<Duration> {
        loop {
            if self.file.exists() {
                return Ok(began.elapsed());
            }
            if !sys::readable(&self.watch, began + limit).context("cannot wait for a file")? {
                return Err(format!("no {} after {} s", self.file.display(), limit.as_secs()));
            }
            while sys::read(&self.watch, &mut [0; 4096]).is_ok() {}
        }
    }
}
