//! The process that a client starts: makes the RPC socket, and goes on in a new
//! process, which leaves its pid in the pid file and becomes the hub.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::SocketType;
use wire::{Errno, OwnedFd};

use super::attach::is_served;
use super::cli::{LogDriver, Options, Stop};
use super::settings::{PID_FILE, Settings};
use crate::conmon::raise_oom_protection;
use crate::fds::c_path;
use crate::handover::{self, Pod, Programs, Work};
use crate::inherited::text;
use crate::socket;
use crate::status::SUCCESS;

/// Starts a server. The process that the client waits for ends once the server
/// can be reached; this returns only if it could not be started.
/// `inherited_fds` are the descriptors that this process was started with, above
/// standard error.
///
/// # Errors
/// Says why there is no server.
pub fn start(options: Options, inherited_fds: &[i32]) -> Result<Infallible, Stop> {
    let Options { log_level, log_driver, runtime, runtime_dir, runtime_root, skip_fork } = options;
    let failed = |reason: String| Stop::Failed("create server", vec![reason]);
    let programs = Programs::find().map_err(failed)?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let oom_score_adj = raise_oom_protection();
    if oom_score_adj.is_none() {
        // Nobody has to listen.
        let _ = writeln!(std::io::stdout(), "Missing sufficient privileges to adjust OOM score");
    }
    let settings = Settings { runtime, runtime_dir, runtime_root, log_level, oom_score_adj };
    let listener = listen(&settings).map_err(failed)?;
    let record = wire::record::seal(&settings.encode())
        .map_err(|error| failed(format!("cannot keep the settings in memory: {}", text(error))))?;
    let work = Work::Pod(Pod { listener, record });
    if !skip_fork {
        let foreground = wire::in_place::leave_foreground()
            .map_err(|error| failed(format!("cannot fork: {}", text(error))))?;
        let path = settings.runtime_dir.join(PID_FILE);
        fs::write(&path, std::process::id().to_string())
            .map_err(|error| failed(format!("cannot write {}: {error}", path.display())))?;
        foreground.end(SUCCESS);
    }
    let reason = become_server(&settings, &programs, &work, log_driver, inherited_fds);
    Err(Stop::Failed("start server", vec![reason]))
}

/// Makes the RPC socket, in the place of one that nobody serves any more.
fn listen(settings: &Settings) -> Result<OwnedFd, String> {
    let path = settings.socket();
    let named = |reason: String| format!("cannot listen at {}: {reason}", path.display());
    // Two servers that start at once take turns here.
    let turn = socket::lock_folder(&settings.runtime_dir);
    let _turn = turn.map_err(|error| named(text(error)))?;
    if is_served(&path) {
        return Err(format!("{} is served by another process; end that first", path.display()));
    }
    socket::listen(&path, SocketType::STREAM).map_err(|error| named(text(error)))
}

/// Becomes the hub. Returns only to say why it did not.
fn become_server(
    settings: &Settings,
    programs: &Programs,
    work: &Work,
    log_driver: LogDriver,
    inherited_fds: &[i32],
) -> String {
    for number in inherited_fds {
        drop(wire::sys::take_inherited(*number));
    }
    if let Err(error) = place_stdio(log_driver) {
        return format!("cannot set up standard input and output: {}", text(error));
    }
    let _ = rustix::process::setsid();
    let subreaper = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    if let Err(error) = subreaper {
        return format!("cannot become a subreaper: {}", text(error));
    }
    let signals = match handover::block_signals() {
        Ok(signals) => signals,
        Err(error) => return format!("cannot read signals: {}", text(error)),
    };
    let name = CString::new(settings.runtime_dir.as_os_str().as_bytes()).unwrap_or_default();
    handover::become_hub(programs, &signals, &name, work)
}

/// Standard input and output are `/dev/null`; standard error is where hub,
/// roles and workers send their messages; a pipe never blocks them.
fn place_stdio(log_driver: LogDriver) -> Result<(), Errno> {
    let null = open("/dev/null", OFlags::RDWR)?;
    let messages = match log_driver {
        LogDriver::None => None,
        LogDriver::Stdout => Some(stdout()?),
        // Without a journal nothing is shown, and that is no error.
        LogDriver::Systemd => crate::log::journal("conmonrs"),
    };
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(messages.as_ref().unwrap_or(&null))?;
    Ok(())
}

/// Our standard output. A pipe is opened anew: then not to wait for its reader
/// is our own affair. A file is not, for its other users count on one offset.
fn stdout() -> Result<OwnedFd, Errno> {
    use std::os::fd::{AsFd, IntoRawFd};
    let copy = std::io::stdout().as_fd().try_clone_to_owned().map_err(|_| Errno::BADF)?;
    let copy = wire::sys::take_inherited(copy.into_raw_fd())?;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&copy)?.st_mode);
    if kind != FileType::Fifo {
        return Ok(copy);
    }
    Ok(open("/proc/self/fd/1", OFlags::WRONLY | OFlags::NONBLOCK).unwrap_or(copy))
}

fn open(path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = c_path(Path::new(path))?;
    rustix::fs::open(path.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty())
}
