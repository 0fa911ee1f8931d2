//! The names of all files of one call.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Context, Result};
use crate::scratch::Scratch;

/// Where everything of one call is.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The container's id.
    pub id: String,
    /// The bundle directory; of an exec session, the session directory.
    pub bundle: PathBuf,
    /// `--exit-dir`.
    pub exits: PathBuf,
    /// The container's log file.
    pub log: PathBuf,
    /// `--container-pidfile`.
    pub container_pid: PathBuf,
    /// `--conmon-pidfile`.
    pub monitor_pid: PathBuf,
    /// Where the exit command leaves its note (see [`crate::note`]).
    pub exit_note: PathBuf,
    /// Where the small runtime keeps its containers.
    pub runtime_root: PathBuf,
}

impl Paths {
    /// The names of everything one call makes, in directories of their own; `id` is made up when not given.
    pub(crate) fn new(scratch: &Scratch, id: Option<String>) -> Result<Paths> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = id.unwrap_or_else(|| format!("{count:08x}{:056x}", std::process::id()));
        let own = scratch.directory(format!("{count}"))?;
        let paths = Paths {
            bundle: own.join("bundle"),
            exits: own.join("exits"),
            log: own.join("ctr.log"),
            container_pid: own.join("pidfile"),
            monitor_pid: own.join("conmon.pid"),
            exit_note: own.join("exit-note"),
            runtime_root: scratch.join("runtime"),
            id,
        };
        for directory in [&paths.bundle, &paths.exits] {
            fs::create_dir(directory)
                .context(format_args!("cannot make {}", directory.display()))?;
        }
        Ok(paths)
    }
}
