//! Waiting for things with a deadline, by event wherever the kernel has one.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::sys;

/// How long the harness waits before it calls something hung. Generous, because it is only ever used up by a failure.
pub const LIMIT: Duration = Duration::from_secs(20);

/// [`LIMIT`], or what `TESTS_LIMIT` in the environment says, in seconds: for monitors that fail a lot.
pub fn limit() -> Duration {
    let seconds = std::env::var("TESTS_LIMIT").ok().and_then(|text| text.parse().ok());
    seconds.map_or(LIMIT, Duration::from_secs)
}

/// The moment [`limit`] from now.
pub fn deadline() -> Instant {
    Instant::now() + limit()
}

/// Calls `kill`, which says how many processes it hit, until it is `over`, and gives their number. The pauses grow with
/// it: however slow a machine is, what is killed gets on some day.
///
/// # Errors
/// Not over within six times [`limit`].
pub fn killing(mut kill: impl FnMut() -> usize, mut over: impl FnMut() -> bool) -> Result<usize> {
    let (deadline, mut kills) = (Instant::now() + limit() * 6, 0);
    while !over() {
        if Instant::now() > deadline {
            return Err(Error::new(format!("still not over after {kills} kills")));
        }
        kills += kill();
        std::thread::sleep(Duration::from_millis(1 + kills as u64));
    }
    Ok(kills)
}

/// Waits until `found` gives something for the file at `path` (or for its absence: `None`), woken by every change in the
/// directory.
///
/// # Errors
/// Nothing found within [`limit`] ("waited 20 s for …"), or no such directory.
pub fn for_file<T>(
    path: &Path,
    what: impl Display,
    mut found: impl FnMut(Option<&[u8]>) -> Option<T>,
) -> Result<T> {
    let deadline = deadline();
    let parent =
        path.parent().ok_or_else(|| Error::new(format!("no directory in {}", path.display())))?;
    let mut watch = None;
    loop {
        let content = match fs::read(path) {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // A socket is there, and that is all there is to know about it.
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Some(Vec::new()),
            Err(error) => {
                return Err(error).context(format_args!("cannot read {}", path.display()));
            }
        };
        if let Some(found) = found(content.as_deref()) {
            return Ok(found);
        }
        let Some(watch) = &watch else {
            // Only now, for it is slow to close; and then the file has to be looked at once more.
            let new = sys::watch_directory(parent);
            watch = Some(new.context(format_args!("cannot watch {}", parent.display()))?);
            continue;
        };
        if !sys::readable(watch, deadline).context("inotify")? {
            let tail = content.map(|content| text_tail(&content));
            return Err(Error::new(format!(
                "waited {} s for {what} in {}, which holds {tail:?}",
                limit().as_secs(),
                path.display()
            )));
        }
        let mut events = [0; 4096];
        while sys::read(watch, &mut events).is_ok() {}
    }
}

fn text_tail(bytes: &[u8]) -> String {
    let from = bytes.len().saturating_sub(300);
    String::from_utf8_lossy(bytes.get(from..).unwrap_or_default()).into_owned()
}

/// Asks `found` again and again until it gives something. For what has no event: the state of other processes.
///
/// # Errors
/// Nothing found within [`limit`].
pub fn until<T>(what: impl Display, mut found: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = deadline();
    loop {
        if let Some(found) = found()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(Error::new(format!("waited {} s for {what}", limit().as_secs())));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until process `pid` has ended; at once if there is none.
///
/// # Errors
/// Still there after [`limit`].
pub fn for_end_of(pid: i32) -> Result {
    let pidfd = match sys::pidfd(pid) {
        Ok(pidfd) => pidfd,
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
        Err(error) => return Err(error).context(format_args!("cannot watch process {pid}")),
    };
    if sys::readable(&pidfd, deadline()).context("pidfd")? {
        return Ok(());
    }
    Err(Error::new(format!("process {pid} is still there after {} s", limit().as_secs())))
}
