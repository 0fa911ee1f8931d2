//! The process that stays: sets up, calls the runtime, answers the engine, and
//! becomes the hub.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use wire::{AsFd, FdSet, Link, OwnedFd};

use super::config::{ApiVersion, Config, Mode as Job};
use super::ending;
use super::record::{self, MAX_EXIT_ARGS};
use super::setup::{self, Paths};
use crate::handover::{self, Container, Programs, Work, Writer};
use crate::inherited;
use crate::oom;
use crate::runtime::{self, Call, PidFile, Stdio};
use crate::status::FAILURE;
use crate::supervise::{self, Outcome, PassOn};
use crate::sync_pipe::SyncPipe;
use crate::terminal::{self, ConsoleSocket};

/// Most bytes of the runtime's standard error that go into a message.
const MAX_MESSAGE: usize = 8191;

/// What the runtime has made.
struct Started {
    /// The container's pid; `None` when it never came to be, but the engine
    /// wants its end reported nevertheless.
    pid: Option<i32>,
    /// The sealed record.
    record: OwnedFd,
    /// Everything the hub is to hold.
    fds: Vec<(FdSet, OwnedFd)>,
    /// How it is noticed that memory ran out.
    oom: Option<oom::Watch>,
    /// The log-writer, if it runs already.
    writer: Option<Writer>,
    /// As many descriptors as the hand-over will take.
    spare: (Link, OwnedFd),
}

/// Why there is no container.
struct Failure {
    /// What the engine's user is to read; empty: the exit status says it all.
    message: Vec<u8>,
    /// The exit command is due: the runtime was called.
    armed: bool,
}

impl Failure {
    fn before_runtime(text: String) -> Self {
        Failure { message: text.into_bytes(), armed: false }
    }

    fn after_runtime(message: impl Into<Vec<u8>>) -> Self {
        Failure { message: message.into(), armed: true }
    }
}

/// Starts the container and becomes its hub. Returns only after a failure,
/// which the engine has been told about.
pub fn run(
    config: Config,
    programs: Programs,
    start_pipe: Option<OwnedFd>,
    inherited_fds: Vec<i32>,
    oom_score_adj: Option<String>,
) -> u8 {
    let oom_score_adj = oom_score_adj.as_deref();
    let ours: Vec<i32> =
        ["_OCI_SYNCPIPE", "_OCI_STARTPIPE", "_OCI_ATTACHPIPE"].iter().filter_map(number).collect();
    let leaked: Vec<i32> =
        inherited_fds.into_iter().filter(|number| !ours.contains(number)).collect();
    let mut sync = SyncPipe::default();
    let mut paths = Paths::default();
    let signals = match prepare(&config, &mut sync) {
        Ok(signals) => signals,
        Err(text) => {
            log::error!("{text}");
            sync.send(record::key(&config), -1, text.as_bytes());
            return FAILURE;
        }
    };
    let caller = Caller { signals: &signals, start_pipe, oom_score_adj, leaked: &leaked };
    let started = start(&config, &programs, caller, &mut sync, &mut paths);
    let failure = match started {
        Ok(started) => {
            let pid = started.pid;
            let text = hand_over(&config, &programs, &signals, sync, started, &leaked);
            log::error!("{text}");
            kill(pid);
            Failure::after_runtime(Vec::new())
        }
        Err(failure) => {
            log::error!("{}", String::from_utf8_lossy(&failure.message));
            sync.send(record::key(&config), -1, &failure.message);
            drop(sync);
            failure
        }
    };
    paths.remove();
    if failure.armed {
        let _ = wire::sys::block_only(wire::sys::Mask::default());
        ending::run_exit_command(&config, oom_score_adj);
    }
    FAILURE
}

/// Makes us a daemon: nobody's terminal, everybody's parent.
fn prepare(config: &Config, sync: &mut SyncPipe) -> Result<OwnedFd, String> {
    sync.fd = inherited::from_environment("_OCI_SYNCPIPE")?;
    if let Some(command) = &config.exit_command
        && command.args.len() > MAX_EXIT_ARGS
    {
        return Err(format!("more than {MAX_EXIT_ARGS} exit command arguments"));
    }
    if !config.log.passthrough {
        detach_stdio()?;
    }
    let _ = rustix::process::setsid();
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("Failed to set as subreaper: {}", inherited::text(error)))?;
    handover::block_signals()
        .map_err(|error| format!("cannot read signals: {}", inherited::text(error)))
}

/// Points standard input, output and error at /dev/null.
pub(super) fn detach_stdio() -> Result<(), String> {
    let connect = || {
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(null)
    };
    connect().map_err(|error| format!("cannot open /dev/null: {}", inherited::text(error)))
}

/// What whoever called us has given us.
struct Caller<'a> {
    /// The signalfd of what is sent to us.
    signals: &'a OwnedFd,
    /// Says when to start.
    start_pipe: Option<OwnedFd>,
    /// The score we had.
    oom_score_adj: Option<&'a str>,
    /// Descriptors that are for the runtime.
    leaked: &'a [i32],
}

/// Calls the runtime.
fn start(
    config: &Config,
    programs: &Programs,
    caller: Caller<'_>,
    sync: &mut SyncPipe,
    paths: &mut Paths,
) -> Result<Started, Failure> {
    let Caller { signals, start_pipe, oom_score_adj, leaked } = caller;
    let attach = matches!(config.mode, Job::Exec { attach: true, .. });
    let mut writer = None;
    let mut fds = Vec::new();
    if let (Some(bundle), Some(_)) = (&config.bundle, &config.sdnotify_socket) {
        fds.push(setup::notify_socket(bundle, paths).map_err(Failure::before_runtime)?);
    }
    let (stdio, console) = open_stdio(config, &mut fds).map_err(Failure::before_runtime)?;
    if let Some(bundle) = config.bundle.as_deref().filter(|_| !config.log.passthrough) {
        setup::bundle_files(config, bundle, paths, &mut fds).map_err(Failure::before_runtime)?;
        if attach {
            tell_attach_ready().map_err(Failure::before_runtime)?;
            // The engine is connecting now. (The system log, which is where the
            // roles have their messages from then on, only the hub has open.)
            if !config.syslog {
                writer = handover::start_writer(programs, leaked);
            }
        }
    }

    let before = runtime::stamp(&config.container_pid_file);
    let args = runtime::arguments(config, console.as_ref().map(|console| console.path.as_path()));
    log::trace!("calling {}", runtime::display(&config.runtime.path, &args));
    let call = Call {
        program: &config.runtime.path,
        args: &args,
        stdio: (!config.log.passthrough).then_some(&stdio),
        oom_score_adj,
        replace_listen_pid: config.replace_listen_pid,
    };
    // The second use of the start pipe: somebody is to be attached first.
    let released = match start_pipe.as_ref().filter(|_| attach) {
        Some(pipe) => supervise::released(pipe, signals),
        None => Ok(()),
    };
    let runtime = match released {
        Ok(()) => Ok(runtime::start(&call).map_err(|error| {
            let error = inherited::text(error);
            Failure::before_runtime(format!("Failed to fork the runtime: {error}"))
        })?),
        Err(signal) => Err(signal),
    };
    drop(start_pipe);
    // Our copies of the container's ends: else its end of file never comes.
    drop(stdio);
    if config.log.passthrough {
        // The container has our standard input and output now.
        detach_stdio().map_err(Failure::after_runtime)?;
    }
    let outputs = [FdSet::STDOUT, FdSet::STDERR];
    let pipes: Vec<&OwnedFd> =
        fds.iter().filter(|(bit, _)| outputs.contains(bit)).map(|(_, fd)| fd).collect();
    let outcome = match runtime {
        Ok(pid) => supervise::runtime(
            pid,
            &mut PassOn(signals),
            console.as_ref(),
            &pipes,
            config.mode == Job::Create,
        ),
        Err(signal) => Outcome::killed_by(signal),
    };
    drop(console);

    let mut first_words = outcome.first_words;
    first_words.truncate(MAX_MESSAGE);
    let runtime_said = |fds: &[(FdSet, OwnedFd)]| {
        if first_words.is_empty() { pending(fds, FdSet::STDERR) } else { first_words.clone() }
    };
    let exec = matches!(config.mode, Job::Exec { .. });
    if outcome.status != 0 && !exec {
        return Err(Failure::after_runtime(runtime_said(&fds)));
    }
    let container = match runtime::read_pid_file(&config.container_pid_file) {
        // Left over from an earlier process, whose pid may be anybody's now.
        Ok(PidFile::Pid(_)) if runtime::stamp(&config.container_pid_file) == before => {
            let said = runtime_said(&fds);
            let path = config.container_pid_file.display();
            return Err(Failure::after_runtime(if said.is_empty() && outcome.status == 0 {
                format!("the runtime did not write a process id to {path}").into_bytes()
            } else {
                said
            }));
        }
        Ok(PidFile::Pid(pid)) => Some(pid),
        // An engine that made the file itself (CRI-O's exec sync) expects the
        // runtime's words in the log, and -1 as the status.
        Ok(PidFile::Garbage) => None,
        Err(text) => {
            let said = runtime_said(&fds);
            return Err(Failure::after_runtime(if said.is_empty() {
                text.into_bytes()
            } else {
                said
            }));
        }
    };
    if config.terminal && container.is_some() {
        let Some(tty) = outcome.tty else {
            let text = "Runtime did not set up terminal".to_owned();
            return Err(Failure::after_runtime(outcome.tty_error.unwrap_or(text)));
        };
        fds.extend(terminal::staged(tty).map_err(Failure::after_runtime)?);
    }
    // Before the engine can start it. An exec session's container has its own.
    let oom = container.filter(|_| !exec).and_then(oom::watch);
    let record = record::encode(config, paths, oom.as_ref(), oom_score_adj);
    let record = record::seal(&record, config).map_err(|error| {
        // Nobody would ever tell the engine how it ended.
        kill(container);
        let error = inherited::text(error);
        Failure::after_runtime(format!("cannot keep the container's record in memory: {error}"))
    })?;
    // All that takes descriptors comes before the answer: what fails behind it
    // the engine never hears of. The hub takes fewer than we have now.
    let (log, spare) = log_copy(config)
        .and_then(|log| Ok((log, Link::pair().map_err(inherited::text)?)))
        .map_err(|error| {
            kill(container);
            Failure::after_runtime(format!("cannot hand the container to its hub: {error}"))
        })?;
    fds.extend(log.map(|fd| (FdSet::LOG, fd)));
    if !(exec && config.api_version == ApiVersion::V0) {
        sync.send(record::key(config), container.unwrap_or(0), b"");
    }
    Ok(Started { pid: container, record, fds, oom, writer, spare })
}

/// The container's standard input, output and error: the runtime's ends, and
/// in `fds` ours.
fn open_stdio(
    config: &Config,
    fds: &mut Vec<(FdSet, OwnedFd)>,
) -> Result<(Stdio, Option<ConsoleSocket>), String> {
    if config.log.passthrough && !config.terminal {
        return Ok((Stdio::default(), None));
    }
    let console = config.terminal.then(ConsoleSocket::new).transpose()?;
    Ok((Stdio::open(config.stdin, config.terminal, fds)?, console))
}

/// The log files, in one descriptor for the hub.
fn log_copy(config: &Config) -> Result<Option<OwnedFd>, String> {
    let files: Vec<_> = config.log.files().map(|file| file.fd.as_fd()).collect();
    crate::fds::tie_logs(&files).map_err(inherited::text)
}

/// Ends a container that cannot be watched.
fn kill(container: Option<i32>) {
    if let Some(pid) = container.and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
}

/// Tells an engine that wants to attach before the process starts that it can.
fn tell_attach_ready() -> Result<(), String> {
    match inherited::from_environment("_OCI_ATTACHPIPE")? {
        Some(fd) => {
            SyncPipe { fd: Some(fd) }.send("data", 0, b"");
            Ok(())
        }
        None => Err("--attach specified but _OCI_ATTACHPIPE was not".into()),
    }
}

/// What waits in a pipe, at most a message's worth.
fn pending(fds: &[(FdSet, OwnedFd)], which: FdSet) -> Vec<u8> {
    let mut bytes = vec![0u8; MAX_MESSAGE];
    let pipe = fds.iter().find(|(bit, _)| *bit == which);
    let count = pipe.and_then(|(_, fd)| rustix::io::read(fd, &mut bytes[..]).ok()).unwrap_or(0);
    bytes.truncate(count);
    bytes
}

fn hand_over(
    config: &Config,
    programs: &Programs,
    signals: &OwnedFd,
    sync: SyncPipe,
    started: Started,
    leaked: &[i32],
) -> String {
    let Started { pid, record, mut fds, oom, writer, spare } = started;
    fds.extend(sync.fd.map(|fd| (FdSet::SYNC, fd)));
    let leaked: Vec<OwnedFd> =
        leaked.iter().filter_map(|number| wire::sys::take_inherited(*number).ok()).collect();
    if !leaked.is_empty() {
        match inherited::stash(&leaked) {
            Ok(queue) => fds.push((FdSet::LEAKS, queue)),
            Err(error) => {
                let error = inherited::text(error);
                log::error!("cannot keep {} inherited descriptors open: {error}", leaked.len());
            }
        }
    }
    fds.extend(oom.map(|watch| (FdSet::OOM, watch.fd)));
    let container = Container { pid, record, fds };
    // The hub and the roles write their messages to standard error.
    if let Some(socket) = config.syslog.then(crate::log::system_log).flatten() {
        let _ = rustix::stdio::dup2_stderr(socket);
    }
    let cid = CString::new(config.cid.as_bytes()).unwrap_or_default();
    drop(spare);
    handover::become_hub(programs, signals, &cid, &Work::Container(container, writer))
}

fn number(name: &&str) -> Option<i32> {
    std::env::var_os(name)?.to_str()?.trim_start().parse().ok()
}
