//! A directory of its own for each test, and the certainty that nothing of the test outlives it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Context, Result};
use crate::process::{self, Kind, Process};
use crate::{sys, wait};

/// A private directory and a marker for processes. Dropping it kills, by pid, what still carries the marker, unmounts what
/// is mounted in the directory, and removes that; `KEEP_SCRATCH=1` in the environment leaves the directory for a look.
#[derive(Debug)]
pub struct Scratch {
    directory: PathBuf,
    id: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Scratch {
    /// A new, empty one below the system's directory for temporary files.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new() -> Result<Scratch> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("conmote-{}-{count}", std::process::id());
        let directory = std::env::temp_dir().join(&id);
        // Left by an earlier process with our number: nobody can be using it.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).context(format_args!("cannot make {}", directory.display()))?;
        Ok(Scratch { directory, id })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// A path in the directory.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// A new sub-directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn directory(&self, name: impl AsRef<Path>) -> Result<PathBuf> {
        let path = self.join(name);
        fs::create_dir_all(&path).context(format_args!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// The marker's value, also a good prefix for names that must be unique on the machine.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The marker as an environment variable: name and value.
    pub fn marker(&self) -> (OsString, OsString) {
        (process::MARKER.into(), (&self.id).into())
    }

    /// All processes of this test, zombies included.
    pub fn processes(&self) -> Vec<Process> {
        process::marked(&self.id)
    }

    /// The processes of the binary under test, zombies included.
    pub fn monitors(&self) -> Vec<Process> {
        let mut all = self.processes();
        all.retain(|process| process.kind == Kind::Monitor);
        all
    }

    /// Those of them that have this name.
    pub fn monitors_named(&self, name: &str) -> Vec<Process> {
        let mut all = self.monitors();
        all.retain(|process| process.name == name);
        all
    }

    /// Waits until the binary under test has no process left here.
    ///
    /// # Errors
    /// Some remain after [`wait::limit`].
    pub fn no_monitor_left(&self) -> Result {
        wait::until("the last process of the monitor to go", || {
            Ok(self.monitors().is_empty().then_some(()))
        })
        .context(format_args!("{:?}", self.monitors()))
    }

    /// Kills, once, each process of the binary under test that has this name, and says how many there were.
    pub fn kill_role(&self, name: &str) -> usize {
        let roles = self.monitors_named(name).into_iter().filter(|process| process.state != 'Z');
        roles.filter(|process| sys::kill(process.pid, libc::SIGKILL).is_ok()).count()
    }

    /// Waits until the monitor is idle: one process is all there is of it, the hub, and that waits for events. (It has
    /// been woken before a role that ends is gone.)
    ///
    /// # Errors
    /// There are others after [`wait::limit`].
    pub fn idle(&self) -> Result<Process> {
        wait::until("an idle monitor", || match &self.monitors()[..] {
            [hub] if hub.name == "exit-reaper" && hub.waits() => Ok(Some(hub.clone())),
            _ => Ok(None),
        })
        .context(format_args!("{:?}", self.monitors()))
    }

    /// The processor time that all processes of the binary under test use during `time`, in ticks of 10 ms.
    pub fn ticks_during(&self, time: Duration) -> u64 {
        let sum = || self.monitors().iter().map(|monitor| process::ticks(monitor.pid)).sum::<u64>();
        let before = sum();
        std::thread::sleep(time);
        sum().saturating_sub(before)
    }

    fn kill_all(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let mut alive = self.processes();
            alive.retain(|process| process.state != 'Z');
            if alive.is_empty() || Instant::now() > deadline {
                return;
            }
            for process in alive {
                // Gone in the meantime is just as good.
                let _ = sys::kill(process.pid, libc::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.kill_all();
        for mounted in sys::mounted_below(&self.directory) {
            let _ = sys::unmount(&mounted);
        }
        if std::env::var_os("KEEP_SCRATCH").is_none() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
