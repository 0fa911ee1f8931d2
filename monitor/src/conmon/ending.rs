//! What remains to be done when a container never came to be.

use std::process::{Command, Stdio};
use std::{fs, thread};

use super::config::Config;

/// Runs the exit command, with its delay and without any descriptor of ours,
/// and waits for it. Its status does not matter.
pub fn run_exit_command(config: &Config, oom_score_adj: Option<&str>) {
    let Some(command) = &config.exit_command else { return };
    thread::sleep(command.delay);
    let _ = rustix::process::set_child_subreaper(None);
    if let Some(score) = oom_score_adj {
        let _ = fs::write("/proc/self/oom_score_adj", score);
    }
    let status = Command::new(&command.program)
        .args(&command.args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = status {
        log::error!("cannot run the exit command {}: {error}", command.program.display());
    }
}
