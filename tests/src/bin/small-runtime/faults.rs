//! Failures on demand, for `create`, `restore` and `exec`: each from an environment variable, or for `create` from an
//! annotation of the bundle.
//!
//! | variable | annotation | effect |
//! |---|---|---|
//! | `SMALL_RUNTIME_WAIT` | `small-runtime.wait` | first waits until someone opens this FIFO for writing and closes it |
//! | `SMALL_RUNTIME_STDERR` | `….stderr` | writes this text to stderr |
//! | `SMALL_RUNTIME_STDERR_BYTES` | `….stderr-bytes` | writes this many bytes to stderr, in lines of 100 |
//! | `SMALL_RUNTIME_STDOUT_BYTES` | `….stdout-bytes` | writes this many bytes to stdout, in lines of 100 |
//! | `SMALL_RUNTIME_HOLD_STDERR` | `….hold-stderr` | leaves a child behind that holds stdio for so many milliseconds |
//! | `SMALL_RUNTIME_EXIT` | `….exit` | then exits with this status, nothing done |
//! | `SMALL_RUNTIME_SIGNAL` | `….signal` | then dies of the signal with this number, nothing done |
//! | `SMALL_RUNTIME_PID_FILE` | `….pid-file` | writes this text to the pid file; nothing at all if it is `none` |
//! | `SMALL_RUNTIME_NO_CONSOLE` | `….no-console` | makes the terminal but never sends it |
//! | `SMALL_RUNTIME_EXIT_AFTER` | `….exit-after` | does everything and then exits with this status |

use std::fs;
use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use tests::{Context, Result, sys};

/// The annotations of a bundle, where failures may be asked for.
pub struct Faults<'a> {
    annotations: Option<&'a Value>,
}

impl<'a> Faults<'a> {
    /// Failures from the environment, and from this `config.json` if there is one.
    pub fn new(config: Option<&'a Value>) -> Faults<'a> {
        Faults { annotations: config.and_then(|config| config.get("annotations")) }
    }

    /// What was asked for under this name, e.g. `exit-after`.
    pub fn get(&self, name: &str) -> Option<String> {
        let variable = format!("SMALL_RUNTIME_{}", name.to_uppercase().replace('-', "_"));
        let annotation = || self.annotations?.get(format!("small-runtime.{name}"))?.as_str();
        std::env::var(variable).ok().or_else(|| annotation().map(str::to_owned))
    }

    fn number(&self, name: &str) -> Result<Option<usize>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        text.parse().map(Some).context(format_args!("fault {name} {text:?}"))
    }

    /// Everything that happens before the work; a status means that there will be no work.
    pub fn before(&self) -> Result<Option<i32>> {
        if let Some(fifo) = self.get("wait") {
            fs::read(&fifo).context(format_args!("cannot wait at {fifo}"))?;
        }
        if let Some(text) = self.get("stderr") {
            eprint!("{text}");
        }
        write_lines(std::io::stderr(), self.number("stderr-bytes")?.unwrap_or(0))?;
        write_lines(std::io::stdout(), self.number("stdout-bytes")?.unwrap_or(0))?;
        if let Some(milliseconds) = self.number("hold-stderr")? {
            leave_child(Duration::from_millis(milliseconds as u64))?;
        }
        if let Some(signal) = self.number("signal")? {
            sys::kill(std::process::id() as i32, signal as i32).context("kill")?;
        }
        Ok(self.number("exit")?.map(|status| status as i32))
    }

    /// The status to exit with after the work.
    pub fn after(&self) -> Result<i32> {
        Ok(self.number("exit-after")?.unwrap_or(0) as i32)
    }
}

fn write_lines(mut to: impl Write, bytes: usize) -> Result {
    let line = format!("{}\n", "x".repeat(99));
    let text: String = line.chars().cycle().take(bytes).collect();
    to.write_all(text.as_bytes()).and_then(|()| to.flush()).context("write")
}

/// Forks a child that holds all our descriptors for this long.
fn leave_child(time: Duration) -> Result {
    // SAFETY: this program has one thread, so the child is a whole copy.
    if unsafe { libc::fork() } == 0 {
        std::thread::sleep(time);
        std::process::exit(0);
    }
    Ok(())
}
