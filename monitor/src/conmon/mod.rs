//! The conmon front door: what `podman` and CRI-O start for each container.
//!
//! [`run`] is the whole story: command line, start pipe, fork; then, in the
//! process that stays, [`container`] sets up and runs the runtime, and
//! [`crate::handover`] makes it the hub.

pub mod command_line;
pub mod config;
pub mod container;
pub mod ending;
pub mod files;
pub mod record;
pub mod setup;
pub mod strerror;

pub use command_line::{Stop, read as read_command_line};
pub use config::Config;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};

use rustix::fs::Mode;

use crate::handover::Programs;
use crate::inherited;
use crate::status::FAILURE;

/// The score of a process that the kernel never kills for memory (proc(5)):
/// losing the monitor would lose the container's exit status.
const OOM_SCORE_NEVER: &str = "-1000";

/// Runs the conmon front door with the arguments after the program's name.
/// Returns in the foreground process, and where something failed; otherwise
/// the process becomes the hub.
pub fn run(args: &[OsString]) -> u8 {
    let inherited_fds = inherited::list();
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let config = match read_command_line(args) {
        Ok(config) => config,
        Err(stop) => return stop.report(),
    };
    match begin(config, inherited_fds) {
        Ok(status) => status,
        Err(text) => {
            log::error!("{text}");
            FAILURE
        }
    }
}

/// What happens in the foreground, while the caller can see our exit status.
fn begin(config: Config, inherited_fds: Vec<i32>) -> Result<u8, String> {
    let programs = Programs::find()?;
    let oom_score_adj = raise_oom_protection();
    let start_pipe = wait_for_start()?;
    if !config.sync {
        leave_foreground(&config)?;
    }
    Ok(container::run(config, programs, start_pipe, inherited_fds, oom_score_adj))
}

/// Goes on in a new process, whose pid the pid file has by the time that the
/// caller sees the old one end. A file that cannot be written does not keep the
/// container from being started.
fn leave_foreground(config: &Config) -> Result<(), String> {
    let foreground = wire::in_place::leave_foreground()
        .map_err(|error| format!("Failed to fork the child: {}", inherited::text(error)))?;
    let written = config.conmon_pid_file.as_ref().map_or(Ok(()), |path| {
        let pid = std::process::id().to_string();
        files::write_atomically(path, pid.as_bytes()).map_err(|error| {
            let reason = strerror::strerror(&error);
            format!("Failed to write conmon pidfile: {}: {reason}", path.display())
        })
    });
    if let Err(text) = &written {
        log::error!("{text}");
    }
    foreground.end(written.is_err().into());
    Ok(())
}

/// Has the kernel spare this process when memory runs out. The result is the
/// score we had, which the runtime and the exit command get back; `None`: that
/// was not allowed.
pub fn raise_oom_protection() -> Option<String> {
    const PATH: &str = "/proc/self/oom_score_adj";
    let change = || {
        let mut file = fs::File::options().read(true).write(true).open(PATH)?;
        // "-1000" and a newline is the longest.
        let mut old = [0; 16];
        let len = file.read(&mut old)?;
        file.write_all(OOM_SCORE_NEVER.as_bytes())?;
        Ok(String::from_utf8_lossy(old.get(..len).unwrap_or(&[])).trim().to_owned())
    };
    change().inspect_err(|error: &io::Error| log::debug!("cannot change {PATH}: {error}")).ok()
}

/// Waits until the engine has put us into a cgroup: anything on the start
/// pipe, or its end, lets us go on. The pipe is kept, for the second wait of an
/// exec session.
fn wait_for_start() -> Result<Option<wire::OwnedFd>, String> {
    let Some(pipe) = inherited::from_environment("_OCI_STARTPIPE")? else { return Ok(None) };
    let mut buffer = [0u8; 8192];
    rustix::io::retry_on_intr(|| rustix::io::read(&pipe, &mut buffer))
        .map_err(|error| format!("start-pipe read failed: {}", inherited::text(error)))?;
    Ok(Some(pipe))
}
