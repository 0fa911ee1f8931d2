//! What each command does.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};
use tests::{Context, Error, Result, process, sys, wait};

use crate::container::Container;
use crate::faults::Faults;
use crate::options::Options;
use crate::start::{Program, exec_result};

/// `create --bundle B --pid-file P [--console-socket S] ID`: the first process is made and waits.
pub fn create(options: &Options) -> Result<i32> {
    let container = Container::named(options)?;
    let bundle = Path::new(options.value("--bundle").or(options.value("-b")).unwrap_or("."));
    let config = read_json(&bundle.join("config.json"))?;
    let faults = Faults::new(Some(&config));
    if let Some(status) = faults.before()? {
        return Ok(status);
    }
    let process = config.get("process").ok_or_else(|| Error::new("no process in config.json"))?;
    let program = Program::from_process(process)?;
    container.make()?;
    let gate = container.fifo();
    let pid = launch(options, &program, &faults, Some(&gate)).inspect_err(|_| {
        let _ = container.remove();
    })?;
    container.remember(pid, bundle)?;
    write_pid_file(options, &faults, pid)?;
    faults.after()
}

/// `restore …`: as create and start.
pub fn restore(options: &Options) -> Result<i32> {
    let status = create(options)?;
    start(options)?;
    Ok(status)
}

/// `start ID`: opens the FIFO, and waits until the process has executed its program.
pub fn start(options: &Options) -> Result<i32> {
    let container = Container::named(options)?;
    let state = container.state()?;
    let fifo = container.fifo();
    // Taken first: once the FIFO is open, the process may be gone in no time.
    let stopped = |_| Error::new("cannot start a container that has stopped");
    let process = sys::pidfd(state.pid).map_err(stopped)?;
    let mut open = OpenOptions::new();
    let mut gate = open
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&fifo)
        .map_err(|_| Error::new("cannot start a container that has already started"))?;
    wait_for_hang_up(gate.as_fd(), process.as_fd())?;
    let mut report = Vec::new();
    gate.read_to_end(&mut report).context("gate")?;
    let _ = fs::remove_file(&fifo);
    exec_result(&report)?;
    Ok(0)
}

/// Waits until the FIFO has had a writer and lost it, or the process has ended. Before it has had one, it is merely empty.
fn wait_for_hang_up(gate: BorrowedFd<'_>, process: BorrowedFd<'_>) -> Result {
    let entry =
        |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut both = [entry(gate), entry(process)];
    // SAFETY: two entries, and their address is good for the length of the call.
    if unsafe { libc::poll(both.as_mut_ptr(), 2, -1) } < 0 {
        return Err(Error::last_os("poll"));
    }
    Ok(())
}

/// `exec --pid-file P --process SPEC [--detach] [--console-socket S] ID`, or with `[--tty] ID COMMAND…` in the place of
/// the specification.
pub fn exec(options: &Options) -> Result<i32> {
    let container = Container::named(options)?;
    let faults = Faults::new(None);
    if let Some(status) = faults.before()? {
        return Ok(status);
    }
    if !container.state()?.alive() {
        return Err(Error::new("cannot exec in a stopped container"));
    }
    let process = match options.value("--process") {
        Some(path) => read_json(Path::new(path))?,
        None => json!({
            "terminal": options.value("--tty").is_some(),
            "args": options.arguments_from(1),
            "env": [
                format!("PATH={}", std::env::var("PATH").unwrap_or_default()),
                format!("{}={}", process::MARKER, std::env::var(process::MARKER).unwrap_or_default()),
                format!("{}=exec", process::IN_CONTAINER),
            ],
        }),
    };
    let started = Program::from_process(&process)
        .and_then(|program| launch(options, &program, &faults, None));
    let pid = match started {
        Ok(pid) => pid,
        Err(error) => {
            // runc's status for a command that cannot be run.
            eprintln!("small-runtime: exec failed: {error}");
            return Ok(255);
        }
    };
    write_pid_file(options, &faults, pid)?;
    if options.value("--detach").or(options.value("-d")).is_none() {
        return wait_for_child(pid);
    }
    faults.after()
}

fn wait_for_child(pid: i32) -> Result<i32> {
    let mut status = 0;
    // SAFETY: the call writes one integer of ours.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
        return Err(Error::last_os("wait"));
    }
    match libc::WIFEXITED(status) {
        true => Ok(libc::WEXITSTATUS(status)),
        false => Ok(128 + libc::WTERMSIG(status)),
    }
}

/// Starts the program, with a terminal if it wants one, handed over first as runc does.
fn launch(
    options: &Options,
    program: &Program,
    faults: &Faults<'_>,
    gate: Option<&Path>,
) -> Result<i32> {
    let preserve = options.value("--preserve-fds").unwrap_or("0");
    let preserve = preserve.parse().context("--preserve-fds")?;
    if !program.terminal {
        return program.start(None, gate, preserve);
    }
    let terminal = program.open_terminal()?;
    if faults.get("no-console").is_none() {
        terminal.send(options.required("--console-socket")?)?;
    }
    program.start(Some(&terminal), gate, preserve)
}

/// Written under another name first, so that nobody reads half of it.
fn write_pid_file(options: &Options, faults: &Faults<'_>, pid: i32) -> Result {
    let text = match faults.get("pid-file") {
        Some(text) if text == "none" => return Ok(()),
        Some(text) => text,
        None => pid.to_string(),
    };
    let Some(path) = options.value("--pid-file") else {
        return Ok(());
    };
    let new = format!("{path}.new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, path))
        .context(format_args!("cannot write {path}"))
}

/// `kill ID [SIGNAL]`, by name or number.
pub fn kill(options: &Options) -> Result<i32> {
    let state = Container::named(options)?.state()?;
    let name = options.argument(1).unwrap_or("TERM");
    let signal = signal(name).ok_or_else(|| Error::new(format!("no such signal: {name}")))?;
    if !state.alive() {
        return Err(Error::new("container not running"));
    }
    sys::kill(state.pid, signal).context("container not running")?;
    Ok(0)
}

fn signal(name: &str) -> Option<i32> {
    let name = name.strip_prefix("SIG").unwrap_or(name);
    Some(match name {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "QUIT" => libc::SIGQUIT,
        "KILL" => libc::SIGKILL,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        "TERM" => libc::SIGTERM,
        "CONT" => libc::SIGCONT,
        "STOP" => libc::SIGSTOP,
        "WINCH" => libc::SIGWINCH,
        number => number.parse().ok()?,
    })
}

/// `delete [--force] ID`
pub fn delete(options: &Options) -> Result<i32> {
    let forced = options.value("--force").or(options.value("-f")).is_some();
    let container = Container::named(options)?;
    let state = match container.state() {
        Ok(state) => state,
        Err(_) if forced => return Ok(0),
        Err(error) => return Err(error),
    };
    if state.alive() {
        if !forced {
            return Err(Error::new("cannot delete a container that is not stopped"));
        }
        let _ = sys::kill(state.pid, libc::SIGKILL);
        wait::for_end_of(state.pid)?;
    }
    container.remove()?;
    Ok(0)
}

/// `state ID`: as the OCI runtime spec has it.
pub fn state(options: &Options) -> Result<i32> {
    let container = Container::named(options)?;
    let state = container.state()?;
    let status = container.status(&state);
    let pid = if status == "stopped" { 0 } else { state.pid };
    let text = json!({
        "ociVersion": "1.0.2",
        "id": options.argument(0)?,
        "status": status,
        "pid": pid,
        "bundle": state.bundle,
    });
    println!("{text}");
    Ok(0)
}

fn read_json(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).context(format_args!("cannot read {}", path.display()))?;
    serde_json::from_slice(&bytes).context(format_args!("cannot parse {}", path.display()))
}
