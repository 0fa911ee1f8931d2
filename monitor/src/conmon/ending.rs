//! What remains to be done when a container never came to be.

use std::{fs, thread};

use rustix::process::WaitOptions;

use super::config::{Config, ExitCommand};
use crate::execute::execute;
use crate::inherited::text;

/// Runs the exit command, with its delay and without any descriptor of ours,
/// and waits for it. Its status does not matter.
pub fn run_exit_command(config: &Config, oom_score_adj: Option<&str>) {
    let Some(command) = &config.exit_command else { return };
    thread::sleep(command.delay);
    let _ = rustix::process::set_child_subreaper(None);
    let mut child = || {
        become_command(command, oom_score_adj);
        1
    };
    match wire::in_place::start(&mut child) {
        Ok(pid) => {
            let wait = || rustix::process::waitpid(Some(pid), WaitOptions::empty());
            let _ = rustix::io::retry_on_intr(wait);
        }
        Err(error) => log::error!("cannot start the exit command: {}", text(error)),
    }
}

/// In the child: returns only when it cannot be executed.
fn become_command(command: &ExitCommand, oom_score_adj: Option<&str>) {
    let path = command.program.as_os_str();
    if let Some(score) = oom_score_adj {
        let _ = fs::write("/proc/self/oom_score_adj", score);
    }
    // What the engine leaked in would be passed on, to a program that may stay.
    for number in crate::inherited::list() {
        std::mem::forget(wire::sys::take_inherited(number));
    }
    let error = match super::container::detach_stdio() {
        Ok(()) => text(execute(path, path, &command.args, None)),
        Err(error) => error,
    };
    log::error!("cannot run the exit command {}: {error}", command.program.display());
}
