//! What is remembered of a container between calls: a directory with a FIFO to start it by and a `state.json`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::{Context, Error, Result, process, sys};

use crate::options::Options;

/// One container's directory.
pub struct Container {
    id: String,
    directory: PathBuf,
}

/// What `state.json` says.
pub struct State {
    /// The container's first process.
    pub pid: i32,
    /// Its start time, which tells it from a later process with the same pid.
    started: String,
    /// The bundle.
    pub bundle: String,
}

impl Container {
    /// The container that the command line names.
    pub fn named(options: &Options) -> Result<Container> {
        let id = options.argument(0)?.to_owned();
        if id.is_empty() || id.contains('/') || id.starts_with('.') {
            return Err(Error::new(format!("not a container id: {id:?}")));
        }
        let directory = options.root().join(&id);
        Ok(Container { id, directory })
    }

    /// Makes the directory and the FIFO.
    pub fn make(&self) -> Result {
        if self.directory.exists() {
            return Err(Error::new(format!("container with given ID already exists: {}", self.id)));
        }
        let directory = &self.directory;
        fs::create_dir_all(directory)
            .context(format_args!("cannot make {}", directory.display()))?;
        let fifo = self.fifo();
        sys::make_fifo(&fifo).context(format_args!("cannot make {}", fifo.display()))
    }

    /// Forgets the container.
    pub fn remove(&self) -> Result {
        let directory = &self.directory;
        fs::remove_dir_all(directory).context(format_args!("cannot remove {}", directory.display()))
    }

    /// The FIFO at which the first process waits.
    pub fn fifo(&self) -> PathBuf {
        self.directory.join("start")
    }

    /// Remembers the first process.
    pub fn remember(&self, pid: i32, bundle: &Path) -> Result {
        let state =
            json!({ "pid": pid, "started": start_time(pid), "bundle": bundle.to_string_lossy() });
        let path = self.directory.join("state.json");
        fs::write(&path, state.to_string()).context(format_args!("cannot write {}", path.display()))
    }

    /// What was remembered.
    pub fn state(&self) -> Result<State> {
        let missing = || Error::new(format!("container does not exist: {}", self.id));
        let bytes = fs::read(self.directory.join("state.json")).map_err(|_| missing())?;
        let state: Value = serde_json::from_slice(&bytes).context("state.json")?;
        let text = |name: &str| Some(state.get(name)?.as_str()?.to_owned());
        let pid = state.get("pid").and_then(Value::as_i64);
        Ok(State {
            pid: pid.and_then(|pid| i32::try_from(pid).ok()).ok_or_else(missing)?,
            started: text("started").ok_or_else(missing)?,
            bundle: text("bundle").ok_or_else(missing)?,
        })
    }

    /// `created`, `running` or `stopped`.
    pub fn status(&self, state: &State) -> &'static str {
        if !state.alive() {
            return "stopped";
        }
        // Its name changes when it starts; the FIFO is removed by `start`.
        match self.fifo().exists() {
            true => "created",
            false => "running",
        }
    }
}

impl State {
    /// Whether the first process is still there; a zombie is not.
    pub fn alive(&self) -> bool {
        !self.started.is_empty() && start_time(self.pid) == self.started
    }
}

/// Field 22 of /proc/PID/stat (`proc(5)`); empty for no process and for a zombie.
fn start_time(pid: i32) -> String {
    let stat = process::proc_file(pid, "stat");
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    if after_name.starts_with('Z') {
        return String::new();
    }
    after_name.split(' ').nth(19).unwrap_or_default().to_owned()
}
