//! How long an engine waits: for a container to exist, for its end to be told, for an exec session. All over a runtime
//! that takes as good as no time itself (see tests/src/bin/bare); what it takes all the same is the floor.

use super::Args;
use super::arrival::Arrival;
use super::measure::{Metric, Side, Target};
use super::moment::Moment;
use super::rounds::bare;
use super::stats::median;
use crate::report::{Context, Result};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tests::{Call, Client, Container, Error, Scratch, Session, wait};

pub(crate) fn start_metrics(_: &Args) -> Vec<Metric> {
    let metric = Metric::new("start", "start: exec of the monitor → container's pid", "ms");
    vec![metric.target(Target::AtMost(0.5)).headline()]
}

/// From the exec of the monitor to the pid on the sync pipe; the floor is the runtime alone.
pub(crate) fn start(args: &Args, side: Side) -> Result<Vec<Option<f64>>> {
    let bare = bare()?;
    medians(args, |scratch| {
        if side == Side::Floor {
            let (took, pid) = runtime_alone(scratch, &bare)?;
            kill(pid)?;
            return Ok([took]);
        }
        // Without start pipe, so that it waits for nobody.
        let mut moment = Moment::new()?;
        let call = bare_create(scratch, &bare)?.no_exit_command().no_start_pipe();
        let mut session = call.at_exec(moment.witness()?).spawn()?;
        let pid = session.pid()?;
        let took = moment.until_now()?;
        session.backgrounded()?;
        kill(pid)?;
        session.monitor_gone()?;
        Ok([took])
    })
}

/// A call over the least runtime, whose container waits to be killed.
pub(super) fn bare_create(scratch: &Scratch, bare: &str) -> tests::Result<Call> {
    let call = Call::create(scratch, &Container::new(["-"]))?;
    Ok(call.set("-r", bare).without("--runtime-arg"))
}

/// Runs the least runtime as a monitor would, and says how long it takes, and which container it has made.
pub(super) fn runtime_alone(scratch: &Scratch, bare: &str) -> tests::Result<(Duration, i32)> {
    let file = scratch.join("pid");
    let began = Instant::now();
    let mut command = Command::new(bare);
    command.args(["create", "--bundle"]).arg(scratch.path()).arg("--pid-file").arg(&file).arg("id");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let took = began.elapsed();
    let failed = |what: String| Error::new(format!("cannot run the least runtime: {what}"));
    if !status.map_err(|error| failed(error.to_string()))?.success() {
        return Err(failed("it failed".into()));
    }
    let pid = fs::read_to_string(&file).map_err(|error| failed(error.to_string()))?;
    Ok((took, pid.parse().map_err(|_| failed(format!("pid {pid:?}")))?))
}

pub(super) fn kill(pid: i32) -> tests::Result {
    tests::sys::kill(pid, libc::SIGKILL)
        .map_err(|error| Error::new(format!("cannot kill: {error}")))
}

pub(crate) fn exit_metrics(_: &Args) -> Vec<Metric> {
    let metric = |key, name| Metric::new(key, name, "ms").target(Target::AtMost(0.6)).headline();
    vec![
        metric("exit-file", "exit: death → exit file"),
        metric("exit-command", "exit: death → exit command at work"),
    ]
}

/// How long a container has run before it dies: long enough for its monitor to have come to rest.
const REST: Duration = Duration::from_millis(20);

/// From the death of the container's process to its exit file, and to the first thing the exit command does; the floor
/// is a parent that does nothing else.
pub(crate) fn exit(args: &Args, side: Side) -> Result<Vec<Option<f64>>> {
    let bare = bare()?;
    medians(args, |scratch| {
        let marks = scratch.directory("marks")?;
        let mark = marks.join("mark");
        let mut dying = match side {
            Side::Floor => Dying::alone(scratch, &bare, &mark)?,
            Side::Ours | Side::Theirs => Dying::monitored(scratch, &bare, &mark)?,
        };
        let told = Arrival::of(&dying.exit_file).map_err(Error::new)?;
        let at_work = Arrival::of(&mark).map_err(Error::new)?;
        std::thread::sleep(REST);
        let began = Instant::now();
        kill(dying.pid)?;
        let to_exit_file = told.since(began, wait::LIMIT).map_err(Error::new)?;
        let to_exit_command = at_work.since(began, wait::LIMIT).map_err(Error::new)?;
        dying.gone()?;
        Ok([to_exit_file, to_exit_command])
    })
}

/// A process that is about to die, and who tells of it.
struct Dying {
    pid: i32,
    exit_file: std::path::PathBuf,
    teller: Teller,
}

enum Teller {
    Monitor(Box<Session>),
    Bare(Child),
}

impl Dying {
    fn monitored(scratch: &Scratch, bare: &str, mark: &Path) -> tests::Result<Dying> {
        let call = bare_create(scratch, bare)?.no_exit_command();
        let call = call.set("--exit-command", bare).add("--exit-command-arg", "make");
        let mut session = call.add("--exit-command-arg", mark).spawn()?;
        session.release()?;
        session.backgrounded()?;
        let (pid, exit_file) = (session.pid()?, session.exit_file());
        Ok(Dying { pid, exit_file, teller: Teller::Monitor(Box::new(session)) })
    }

    fn alone(scratch: &Scratch, bare: &str, mark: &Path) -> tests::Result<Dying> {
        let exit_file = scratch.directory("exits")?.join("told");
        let mut command = Command::new(bare);
        command.arg("reap").arg(scratch.join("new")).arg(&exit_file).arg(mark);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Error::new(format!("cannot run {bare}: {error}")))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let pid = line.trim().parse().map_err(|_| Error::new("the least monitor gave no pid"))?;
        Ok(Dying { pid, exit_file, teller: Teller::Bare(child) })
    }

    fn gone(&mut self) -> tests::Result {
        match &mut self.teller {
            Teller::Monitor(session) => session.monitor_gone(),
            Teller::Bare(child) => {
                child.wait().map(drop).map_err(|error| Error::new(error.to_string()))
            }
        }
    }
}

pub(crate) fn exec_metrics(_: &Args) -> Vec<Metric> {
    let metric = Metric::new("exec", "exec session: exec of the monitor → exit code", "ms");
    vec![metric.target(Target::AtMost(0.6)).headline()]
}

/// A whole exec session as podman has it: attached before the command starts, output read, status received; the floor
/// is the runtime alone.
pub(crate) fn exec(args: &Args, side: Side) -> Result<Vec<Option<f64>>> {
    let bare = bare()?;
    let host = Scratch::new().context("cannot prepare")?;
    let container = bare_create(&host, &bare)
        .and_then(|call| call.no_exit_command().created())
        .context("cannot start a container")?;
    medians(args, |scratch| match side {
        Side::Floor => exec_alone(scratch, &bare).map(|took| [took]),
        Side::Ours | Side::Theirs => exec_once(scratch, &container, &bare).map(|took| [took]),
    })
}

fn exec_once(scratch: &Scratch, container: &Session, bare: &str) -> tests::Result<Duration> {
    let mut moment = Moment::new()?;
    let call = Call::exec(scratch, container, &Container::new(["-"]))?;
    let call = call.set("-r", bare).without("--runtime-arg").no_exit_command();
    let mut session = call.at_exec(moment.witness()?).spawn()?;
    session.release()?;
    session.attach_message()?;
    let mut client = Client::connect(&session.paths.bundle)?;
    session.release()?;
    session.pid()?;
    client.expect("hi")?;
    let status = session.message()?.map(|message| message.value);
    let took = moment.until_now()?;
    match status {
        Some(0) => Ok(took),
        other => Err(Error::new(format!("the exec session ended with {other:?}"))),
    }
}

fn exec_alone(scratch: &Scratch, bare: &str) -> tests::Result<Duration> {
    let failed = |what: &str| Error::new(format!("cannot run the least runtime: {what}"));
    let began = Instant::now();
    let mut command = Command::new(bare);
    command.args(["exec", "--pid-file"]).arg(scratch.join("pid")).arg("id");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.map_err(|error| failed(&error.to_string()))?;
    let mut output = vec![];
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut output).map_err(|error| failed(&error.to_string()))?;
    }
    let status = child.wait().map_err(|error| failed(&error.to_string()))?;
    let took = began.elapsed();
    if status.success() && output == b"hi\n" { Ok(took) } else { Err(failed("it said nothing")) }
}

/// The medians, in milliseconds, of times taken again and again.
fn medians<const N: usize>(
    args: &Args,
    mut once: impl FnMut(&Scratch) -> tests::Result<[Duration; N]>,
) -> Result<Vec<Option<f64>>> {
    let mut values = vec![vec![]; N];
    for _ in 0..args.repetitions {
        let scratch = Scratch::new().context("cannot prepare")?;
        let times = once(&scratch).context("a repetition failed")?;
        for (values, time) in values.iter_mut().zip(times) {
            values.push(time.as_secs_f64() * 1e3);
        }
    }
    Ok(values.into_iter().map(|values| Some(median(values))).collect())
}
