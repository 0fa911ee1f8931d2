//! Creating a container.

use std::ffi::OsString;
use std::path::Path;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use wire::{FdSet, OwnedFd};

use super::arguments;
use super::fds as slots;
use super::hub::Hub;
use super::ledger::{Entry, Ledger};
use super::logs::Logs;
use super::record;
use super::service::Call;
use super::settings::Settings;
use super::spawn::{self, ForRuntime};
use super::types::{CreateContainerRequest, CreateContainerResponse};
use crate::conmon::record::MAX_EXIT_ARGS;
use crate::fds::{self, Ours};
use crate::handover::Container;
use crate::inherited::{self, text};
use crate::oom;
use crate::runtime::{self, PidFile, Stdio};
use crate::supervise::{self, Outcome};
use crate::terminal::{self, ConsoleSocket};

/// Most bytes of what a failing runtime says that are passed on.
const MAX_WORDS: usize = 32 * 1024;

/// Why nothing is made for a client that has gone.
const CLIENT_GONE: &str = "the client is gone";

type Fds = Vec<(FdSet, OwnedFd)>;

/// Who waits for the container.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its call.
    pub call: &'a Call,
    /// Its connection.
    pub connection: &'a OwnedFd,
}

impl Client<'_> {
    /// Whether it has gone. At this moment: the call may not know it yet.
    fn gone(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut watched = [PollFd::new(self.connection, PollFlags::RDHUP)];
        self.call.gone() || poll(&mut watched, Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

/// Has the runtime create a container and hands it to the hub.
///
/// # Errors
/// Says why there is no container; nothing of it is left then.
pub fn create(
    settings: &Settings,
    hub: &Hub,
    ledger: &Ledger,
    client: &Client<'_>,
    request: &CreateContainerRequest,
) -> Result<CreateContainerResponse, String> {
    check(request)?;
    let console = request.terminal.then(ConsoleSocket::new).transpose()?;
    let pid_file = Path::new(&request.bundle_path).join("pidfile");
    let at = console.as_ref().map(|console| console.path.as_path());
    let args = arguments::create(settings, request, &pid_file, at);
    let more = slots::take(settings, &request.additional_fds)?;
    let leaks = slots::take(settings, &request.leak_fds)?;
    let logs = Logs::open(&request.log_drivers)?;
    let before = runtime::stamp(&pid_file);

    let mut fds = Fds::new();
    let stdio = Stdio::open(request.stdin, request.terminal, &mut fds)?;
    if !leaks.is_empty() {
        let stashed = inherited::stash(&leaks);
        let stashed = stashed.map_err(|error| format!("cannot keep leakFds: {}", text(error)))?;
        fds.push((FdSet::LEAKS, stashed));
    }
    // Until we return: from then on it is the client's to remove.
    let entry = ledger.begin(hub, request)?;
    let for_runtime = ForRuntime { stdio, more };
    let outcome =
        run(settings, client, &entry, &args, request, for_runtime, console.as_ref(), &fds)?;
    drop(console);
    if outcome.status != 0 {
        let words = words(&outcome, &fds);
        log_words(hub, &logs, request, &words, fds);
        // Killed by us it has not cleaned up; unless there was a container of
        // that name before.
        if outcome.killed && client.gone() && hub.find(&request.id).is_err() {
            remove(settings, request);
        }
        return Err(failure(&outcome, &words));
    }
    let made = register(settings, hub, client, request, &logs, fds, outcome, || {
        match runtime::read_pid_file(&pid_file)? {
            PidFile::Pid(pid) if runtime::stamp(&pid_file) != before => Ok(pid),
            PidFile::Pid(_) => Err(format!("the runtime left {} as it was", pid_file.display())),
            PidFile::Garbage => Err(format!("no process id in {}", pid_file.display())),
        }
    });
    // Whoever is gone will never start it, nor remove it.
    let made = made.and_then(|made| if client.gone() { Err(CLIENT_GONE.into()) } else { Ok(made) });
    if made.is_err() {
        remove(settings, request);
    }
    made
}

/// Refuses what cannot be done before anything is.
fn check(request: &CreateContainerRequest) -> Result<(), String> {
    // The hub would start no cleanup command, and skip paths with a NUL in them.
    if request.cleanup_cmd.len() > MAX_EXIT_ARGS {
        return Err(format!("cleanupCmd: more than {MAX_EXIT_ARGS} words"));
    }
    for (name, texts) in [
        ("exitPaths", &request.exit_paths),
        ("oomExitPaths", &request.oom_exit_paths),
        ("cleanupCmd", &request.cleanup_cmd),
    ] {
        if texts.iter().any(|text| text.contains('\0')) {
            return Err(format!("{name}: a NUL byte in a text"));
        }
    }
    Ok(())
}

/// Runs the runtime to its end.
#[allow(clippy::too_many_arguments)]
fn run(
    settings: &Settings,
    client: &Client<'_>,
    entry: &Entry<'_>,
    args: &[OsString],
    request: &CreateContainerRequest,
    for_runtime: ForRuntime,
    console: Option<&ConsoleSocket>,
    fds: &Fds,
) -> Result<Outcome, String> {
    log::debug!("calling {}", runtime::display(&settings.runtime, args));
    let call = Some(client.call);
    let mut runtime = spawn::start(settings, args, &request.env_vars, for_runtime, call, None)?;
    entry.runs(runtime.pid);
    let outputs = [FdSet::STDOUT, FdSet::STDERR];
    let pipes: Vec<&OwnedFd> =
        fds.iter().filter(|(bit, _)| outputs.contains(bit)).map(|(_, fd)| fd).collect();
    Ok(supervise::runtime(runtime.pid, &mut runtime, console, &pipes, true))
}

/// Hands what the runtime has made to the hub.
#[allow(clippy::too_many_arguments)]
fn register(
    settings: &Settings,
    hub: &Hub,
    client: &Client<'_>,
    request: &CreateContainerRequest,
    logs: &Logs,
    mut fds: Fds,
    outcome: Outcome,
    read_pid: impl FnOnce() -> Result<i32, String>,
) -> Result<CreateContainerResponse, String> {
    let pid = read_pid()?;
    if request.terminal {
        let tty = outcome.tty.ok_or_else(|| {
            outcome.tty_error.unwrap_or_else(|| "the runtime set up no terminal".into())
        })?;
        fds.extend(terminal::staged(tty)?);
    }
    let oom = oom::watch(pid);
    let record = seal(&record::container(settings, request, logs, oom.as_ref()))?;
    logs.begin();
    fds.extend(logs.fds()?);
    fds.extend(oom.map(|watch| (FdSet::OOM, watch.fd)));
    if client.gone() {
        return Err(CLIENT_GONE.into());
    }
    hub.adopt(&Container { pid: Some(pid), record, fds })?;
    Ok(CreateContainerResponse { container_pid: pid.unsigned_abs() })
}

/// Puts a record into a descriptor.
pub(super) fn seal(bytes: &[u8]) -> Result<OwnedFd, String> {
    wire::record::seal(bytes)
        .map_err(|error| format!("cannot keep a record in memory: {}", text(error)))
}

/// What a runtime that has failed said on its standard error.
pub(super) fn words(outcome: &Outcome, fds: &Fds) -> Vec<u8> {
    let mut words = outcome.first_words.clone();
    let pipe = fds.iter().find(|(bit, _)| *bit == FdSet::STDERR);
    let mut piece = vec![0u8; MAX_WORDS];
    while let Some((_, pipe)) = pipe
        && words.len() < MAX_WORDS
        && let Ok(count @ 1..) = rustix::io::read(pipe, &mut piece[..])
    {
        words.extend(piece.iter().take(count));
    }
    words.truncate(MAX_WORDS);
    words
}

/// The words of conmonrs for a runtime that has failed.
fn failure(outcome: &Outcome, words: &[u8]) -> String {
    let how = if outcome.killed {
        "child command exited with signal".to_owned()
    } else {
        format!("child command exited with: {}", outcome.status)
    };
    format!("{how}: {}", String::from_utf8_lossy(words).trim_end())
}

/// Has the words of a runtime that has failed written to the container's logs,
/// by whoever writes logs: as the last output of a container that never was.
fn log_words(hub: &Hub, logs: &Logs, request: &CreateContainerRequest, words: &[u8], mut fds: Fds) {
    if request.terminal || words.is_empty() {
        return;
    }
    let send = || {
        let pipe = fds::pipe(Ours::Write)?;
        // It has room for them, and nobody has to wait for the hub.
        let _ = rustix::pipe::fcntl_setpipe_size(&pipe.ours, 2 * MAX_WORDS);
        rustix::io::write(&pipe.ours, words).map_err(text)?;
        fds::do_not_block(&pipe.theirs).map_err(text)?;
        fds.retain(|(bit, _)| *bit == FdSet::STDOUT);
        fds.push((FdSet::STDERR, pipe.theirs));
        fds.extend(logs.fds()?);
        let record = seal(&record::last_words(&request.id, logs))?;
        hub.adopt(&Container { pid: None, record, fds })
    };
    if let Err(error) = send() {
        log::warn!("cannot log what the runtime said: {error}");
    }
}

/// Removes a container that the runtime has made and nobody is to have.
pub(super) fn remove(settings: &Settings, request: &CreateContainerRequest) {
    let args = arguments::delete(settings, request);
    let mut fds = Fds::new();
    let done = Stdio::open(false, true, &mut fds).and_then(|stdio| {
        let kill_at = Some(Instant::now() + spawn::PATIENCE);
        let env = &request.env_vars;
        let mut runtime = spawn::start(settings, &args, env, stdio.into(), None, kill_at)?;
        let pipes: Vec<&OwnedFd> = fds.iter().map(|(_, fd)| fd).collect();
        let outcome = supervise::runtime(runtime.pid, &mut runtime, None, &pipes, true);
        let failed = outcome.status != 0;
        if failed { Err(failure(&outcome, &words(&outcome, &fds))) } else { Ok(()) }
    });
    if let Err(error) = done {
        log::error!("cannot remove container {}: {error}", request.id);
    }
}

/// Kills a process and, if it leads one, its group.
pub(super) fn kill(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    if rustix::process::getpgid(Some(pid)) == Ok(pid) {
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
    let _ = rustix::process::kill_process(pid, Signal::KILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: i32, killed: bool) -> Outcome {
        Outcome { status, killed, tty: None, tty_error: None, first_words: Vec::new() }
    }

    #[test]
    fn a_failing_runtime_is_quoted_in_the_words_of_conmonrs() {
        assert_eq!(failure(&outcome(1, false), b"no\n"), "child command exited with: 1: no");
        assert_eq!(failure(&outcome(137, false), b""), "child command exited with: 137: ");
        assert_eq!(
            failure(&outcome(137, true), b"\xff\n"),
            "child command exited with signal: \u{fffd}"
        );
    }

    #[test]
    fn what_the_hub_could_not_keep_is_refused_by_name() {
        let none = CreateContainerRequest::default;
        let nul = || vec!["/a".to_owned(), "/b\0c".to_owned()];
        let many =
            |count| CreateContainerRequest { cleanup_cmd: vec!["x".into(); count], ..none() };
        assert_eq!(check(&many(MAX_EXIT_ARGS)), Ok(()));
        for (request, error) in [
            (many(MAX_EXIT_ARGS + 1), "cleanupCmd: more than 1000 words"),
            (
                CreateContainerRequest { cleanup_cmd: nul(), ..none() },
                "cleanupCmd: a NUL byte in a text",
            ),
            (
                CreateContainerRequest { exit_paths: nul(), ..none() },
                "exitPaths: a NUL byte in a text",
            ),
            (
                CreateContainerRequest { oom_exit_paths: nul(), ..none() },
                "oomExitPaths: a NUL byte in a text",
            ),
        ] {
            assert_eq!(check(&request), Err(error.into()));
        }
    }
}
