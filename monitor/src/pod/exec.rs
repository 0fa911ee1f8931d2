//! Running a command in a container, to its end, with all of its output.

use std::fs;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wire::{FdSet, OwnedFd};

use super::arguments;
use super::collect::{End, Stream, collect};
use super::containers::{kill, seal, words};
use super::hub::{ENDING, Hub};
use super::record;
use super::service::Call;
use super::settings::Settings;
use super::spawn;
use super::types::{ExecSyncContainerRequest, ExecSyncContainerResponse};
use super::unique::unique;
use crate::fds::{self, Ours};
use crate::handover::Container;
use crate::runtime::{self, PidFile, Stdio};
use crate::supervise;
use crate::terminal::ConsoleSocket;

/// The answer's status when the runtime has failed.
const RUNTIME_FAILED: i32 = -2;
/// How long the runtime may take to start the command of a streaming session.
const FOR_SESSION: Duration = Duration::from_secs(60);
/// The answer's status when the time was up.
const TIMED_OUT: i32 = -3;
/// The answer's status when nobody knows how the command ended.
const UNKNOWN: i32 = -1;
/// The answer's status when it was killed.
const KILLED: i32 = 128 + wire::sys::SIGKILL;

/// A file of the runtime's that is gone when this is.
struct PidPath(PathBuf);

impl Drop for PidPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A command that runs.
#[derive(Debug)]
pub struct Running {
    /// Its process.
    pub pid: i32,
    /// Its input; `None`: it has none, or a terminal.
    pub stdin: Option<OwnedFd>,
    /// Its output and error output, or its terminal alone.
    pub outputs: [Option<OwnedFd>; 2],
}

/// Why a command does not run.
#[derive(Debug)]
pub enum Failure {
    /// It could not be tried.
    NotTried(String),
    /// The runtime, or what it has left, is at fault.
    Runtime(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Failure::NotTried(why)
    }
}

/// Runs a command. It goes on if the client goes: an engine that is started
/// anew must not end what it has begun.
///
/// # Errors
/// Says why it could not be tried. A runtime that fails is an answer.
pub fn exec(
    settings: &Settings,
    hub: &Hub,
    call: &Call,
    request: &ExecSyncContainerRequest,
) -> Result<ExecSyncContainerResponse, String> {
    match launch(settings, Some(call), request, "exec_sync", false) {
        Ok(running) => finish(hub, request, running.pid, running.outputs.map(Stream::new)),
        Err(Failure::NotTried(why)) => Err(why),
        Err(Failure::Runtime(why)) => {
            log::error!("cannot run a command in container {}: {why}", request.id);
            Ok(ExecSyncContainerResponse { exit_code: RUNTIME_FAILED, ..Default::default() })
        }
    }
}

/// Has the runtime start a command, with a pipe for its input if it is to have
/// `stdin` and no terminal. The runtime is killed some time after the client of
/// `call` has gone. `kind` begins the name of the pid file.
///
/// # Errors
/// Says why it does not run.
pub fn launch(
    settings: &Settings,
    call: Option<&Call>,
    request: &ExecSyncContainerRequest,
    kind: &str,
    stdin: bool,
) -> Result<Running, Failure> {
    let console = request.terminal.then(ConsoleSocket::new).transpose()?;
    let name = format!("{kind}{}pid", unique()?);
    let pid_file = PidPath(settings.runtime_dir.join(name));
    let at = console.as_ref().map(|console| console.path.as_path());
    let args = arguments::exec(settings, request, &pid_file.0, at);
    let mut fds = Vec::new();
    let stdio = Stdio::open(stdin, request.terminal, &mut fds)?;
    let take = |fds: &mut Vec<(FdSet, OwnedFd)>, wanted| {
        let at = fds.iter().position(|(bit, _)| *bit == wanted);
        at.map(|at| fds.swap_remove(at).1)
    };
    let stdin = take(&mut fds, FdSet::STDIN);
    log::debug!("calling {}", runtime::display(&settings.runtime, &args));
    // A runtime that hangs does not make a command with a timeout hang, nor a
    // session that nobody can call off.
    let bound = match (call, request.timeout_sec) {
        (None, _) => Some(FOR_SESSION),
        (Some(_), 0) => None,
        (Some(_), seconds) => Some(spawn::PATIENCE.max(Duration::from_secs(seconds))),
    };
    let kill_at = bound.and_then(|bound| Instant::now().checked_add(bound));
    let env = &request.env_vars;
    let mut runtime = spawn::start(settings, &args, env, stdio.into(), call, kill_at)?;
    let outputs = [FdSet::STDOUT, FdSet::STDERR];
    let find = |wanted| fds.iter().find(|(bit, _)| *bit == wanted).map(|(_, fd)| fd);
    let pipes: Vec<&OwnedFd> = outputs.into_iter().filter_map(find).collect();
    let runtime = &mut runtime;
    let outcome = supervise::runtime(runtime.pid, runtime, console.as_ref(), &pipes, false);
    drop(console);
    if outcome.status != 0 {
        let words = words(&outcome, &fds);
        return Err(Failure::Runtime(String::from_utf8_lossy(&words).trim_end().into()));
    }
    let pid = read_pid(&pid_file.0).map_err(Failure::Runtime)?;
    drop(pid_file);
    let outputs = if request.terminal {
        let Some(tty) = outcome.tty else {
            kill(pid);
            let why = outcome.tty_error.unwrap_or_else(|| "it set up no terminal".into());
            return Err(Failure::Runtime(why));
        };
        [Some(tty), None]
    } else {
        outputs.map(|wanted| take(&mut fds, wanted))
    };
    Ok(Running { pid, stdin, outputs })
}

/// Waits for the end of a command that runs.
fn finish(
    hub: &Hub,
    request: &ExecSyncContainerRequest,
    pid: i32,
    mut streams: [Stream; 2],
) -> Result<ExecSyncContainerResponse, String> {
    // None: so late that it never comes.
    let deadline = Instant::now().checked_add(Duration::from_secs(request.timeout_sec));
    let deadline = deadline.filter(|_| request.timeout_sec > 0);
    let status = match watch(hub, &request.id, pid) {
        Ok(status) => status,
        Err(why) => {
            kill(pid);
            // Had it begun a moment earlier, the hub would have done it.
            let killed = ExecSyncContainerResponse { exit_code: KILLED, ..Default::default() };
            return if why == ENDING { Ok(killed) } else { Err(why) };
        }
    };
    let end = collect(&mut streams, &status, || read_status(&status), deadline);
    for (stream, name) in streams.iter().zip(["standard output", "standard error"]) {
        if stream.dropped > 0 {
            log::warn!(
                "{name} of a command in container {} is cut off at {} bytes; {} more came",
                request.id,
                stream.bytes.len(),
                stream.dropped
            );
        }
    }
    let exit_code = match end {
        End::Status(status) => status,
        End::TimedOut => {
            kill(pid);
            TIMED_OUT
        }
    };
    let [stdout, stderr] = streams.map(|stream| stream.bytes);
    Ok(ExecSyncContainerResponse { exit_code, stdout, stderr, timed_out: end == End::TimedOut })
}

/// Has the hub take care of a process, and gives the pipe that its status will
/// come out of.
///
/// # Errors
/// Says why the hub has not taken it.
pub fn watch(hub: &Hub, id: &str, pid: i32) -> Result<OwnedFd, String> {
    let pipe = fds::pipe(Ours::Read)?;
    let record = seal(&record::exec(id))?;
    let fds = vec![(FdSet::SYNC, pipe.theirs)];
    hub.adopt(&Container { pid: Some(pid), record, fds })?;
    Ok(pipe.ours)
}

/// What the hub has written when the process has ended: `{"exit": 7}`. `None`
/// when it has not.
pub fn read_status(pipe: &OwnedFd) -> Option<i32> {
    let mut bytes = [0u8; 64];
    match rustix::io::read(pipe, &mut bytes[..]) {
        Ok(count) => {
            let text = str::from_utf8(bytes.get(..count)?).unwrap_or_default();
            let number = text.trim_end().strip_suffix('}').and_then(|text| text.split_once(": "));
            let status = number.and_then(|(_, number)| number.parse().ok());
            // The end of the pipe without a status: the hub is gone.
            Some(status.unwrap_or(UNKNOWN))
        }
        Err(_) => None,
    }
}

fn read_pid(path: &Path) -> Result<i32, String> {
    match runtime::read_pid_file(path)? {
        PidFile::Pid(pid) => Ok(pid),
        PidFile::Garbage => Err(format!("no process id in {}", path.display())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_from_the_hubs_message_and_its_absence_noticed() {
        let status = |text: &[u8]| {
            let pipe = fds::pipe(Ours::Read).unwrap();
            rustix::io::write(&pipe.theirs, text).unwrap();
            drop(pipe.theirs);
            read_status(&pipe.ours)
        };
        assert_eq!(status(b"{\"exit\": 137}\n"), Some(137));
        assert_eq!(status(b"{\"exit\": -1}\n"), Some(-1));
        assert_eq!(status(b""), Some(UNKNOWN));
        assert_eq!(status(b"junk"), Some(UNKNOWN));
        let pipe = fds::pipe(Ours::Read).unwrap();
        assert_eq!(read_status(&pipe.ours), None);
    }
}
