//! `run`: a container through the four programs, as an engine would run it, without an engine and without an image.

mod runtime;
mod streams;
mod terminal;

use crate::bench::small_runtime;
use crate::dist::dist;
use crate::report::{Context, Result};
use crate::sys::Signals;
use argh::FromArgs;
use runtime::Runtime;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI32, Ordering};
use tests::{Call, Client, Container, Scratch, Session};

/// Build, then run a command in a container of its own, which sees this machine's /usr read-only; exit as it does.
/// CONMON_BINARY in the environment names another monitor than ours.
#[derive(FromArgs)]
#[argh(subcommand, name = "run")]
pub(crate) struct Args {
    /// the OCI runtime (default: runc or crun if they work here, else a small one that comes with the tests)
    #[argh(option)]
    runtime: Option<String>,
    /// give the container our standard input
    #[argh(switch, short = 'i')]
    interactive: bool,
    /// give the container a terminal
    #[argh(switch, short = 't')]
    terminal: bool,
    /// the command and its arguments, after a `--`
    #[argh(positional, greedy)]
    command: Vec<String>,
}

/// The container's first process, once there is one: where signals go.
static CONTAINER: AtomicI32 = AtomicI32::new(0);

pub(crate) fn main(mut args: Args) -> Result<ExitCode> {
    if args.command.first().is_some_and(|word| word == "--") {
        args.command.remove(0);
    }
    if args.command.is_empty() {
        return Err("run: no command; say for example: cargo xtask run -- echo hello".into());
    }
    let monitor = match std::env::var_os(tests::under_test::BINARY) {
        Some(path) => path.into(),
        None => dist()?.join("monitor"),
    };
    small_runtime()?;
    let signals = Signals::block().context("cannot block signals")?;
    // Ends with the process: it holds nothing that needs to be put away.
    std::thread::spawn(move || pass_on(&signals));
    let mut error = String::from("run: no OCI runtime to try");
    for runtime in runtime::candidates(args.runtime.as_deref())? {
        let scratch = Scratch::new().context("cannot prepare a container")?;
        match create(&args, &args.command, &monitor, &runtime, &scratch) {
            Ok((session, client)) => {
                let status = follow(&args, &runtime, &session, client);
                // The runtime keeps a state directory and, maybe, a control group for the container.
                runtime.delete(&scratch, &session.paths.id);
                return status.map(|status| ExitCode::from(status as u8));
            }
            Err(refusal) => error = refusal,
        }
        // Whose fault is it? A runtime that creates another container is not to blame.
        let probe = create(&args, &["true".into()], &monitor, &runtime, &scratch);
        if let Ok((session, _)) = probe {
            runtime.delete(&scratch, &session.paths.id);
            break;
        }
        eprintln!("xtask: {} does not work here: {error}", runtime.name());
    }
    Err(error)
}

/// Creates the container and attaches to it before it starts, so that none of its output is missed.
fn create(
    args: &Args,
    command: &[String],
    monitor: &Path,
    runtime: &Runtime,
    scratch: &Scratch,
) -> Result<(Session, Client)> {
    let mut container = Container::new(command);
    if args.terminal {
        container = container.terminal();
    }
    // A terminal brings its own input; engines never ask for both.
    if args.interactive && !args.terminal {
        container = container.stdin();
    }
    let call = Call::create(scratch, &container).context("cannot prepare a container")?;
    let call = runtime.prepare(call.program(monitor).no_exit_command(), scratch)?;
    let id = call.paths().id.clone();
    let created = attached(call);
    if created.is_err() {
        runtime.delete(scratch, &id);
    }
    created
}

fn attached(call: Call) -> Result<(Session, Client)> {
    let mut session = call.spawn().context("cannot call the monitor")?;
    session
        .release()
        .and_then(|()| session.backgrounded())
        .context("cannot create the container")?;
    match session.message().context("cannot create the container")? {
        Some(message) if message.value > 0 => {}
        message => {
            let text = message
                .and_then(|message| message.text)
                .unwrap_or_else(|| "without a reason".into());
            return Err(format!("cannot create the container: {}", text.trim()));
        }
    }
    let client = session.attach().context("cannot attach to the container")?;
    Ok((session, client))
}

/// Starts the container, and passes bytes between it and us until it has ended; returns its exit status.
fn follow(args: &Args, runtime: &Runtime, session: &Session, client: Client) -> Result<i32> {
    let pid = std::fs::read_to_string(&session.paths.container_pid)
        .context("cannot read the container's pid")?;
    CONTAINER
        .store(pid.trim().parse().context("the container's pid is no number")?, Ordering::SeqCst);
    let raw = args.terminal.then(terminal::Raw::new).flatten();
    runtime.start(session)?;
    if args.terminal {
        terminal::follow_size(session.paths.bundle.join("ctl"));
    }
    if args.interactive {
        let sender = client.sender().context("cannot copy the attach connection")?;
        std::thread::spawn(move || streams::input(&sender));
    }
    streams::output(client)?;
    let status = session.exit_code().context("the container's exit status did not come")?;
    CONTAINER.store(0, Ordering::SeqCst);
    session.monitor_gone().context("after the container's end")?;
    drop(raw);
    Ok(status)
}

/// Sends each signal on to the container; the second one ends it for good, since the first process of a container
/// may ignore all others, and the third one ends us, whatever is still missing.
fn pass_on(signals: &Signals) {
    let mut kills = [None, Some(libc::SIGKILL)].into_iter();
    while let Some(signal) = signals.next() {
        let pid = CONTAINER.load(Ordering::SeqCst);
        match kills.next() {
            Some(kill) if pid > 0 => drop(tests::sys::kill(pid, kill.unwrap_or(signal))),
            _ => std::process::exit(128 + signal),
        }
    }
}
