//! How long an engine waits: for a container to exist, for its end to be told, for an exec session.

use super::arrival::Arrival;
use super::stats::median;
use super::{Args, Metric, Target};
use crate::report::{Context, Result};
use std::time::{Duration, Instant};
use tests::{Call, Client, Container, Error, Scratch, wait};

pub(crate) const START: [Metric; 1] =
    [Metric { name: "start: call → container's pid", unit: "ms", target: Target::AtMost(0.8) }];
pub(crate) const EXIT: [Metric; 1] =
    [Metric { name: "exit: death → exit file", unit: "ms", target: Target::Open }];
pub(crate) const EXEC: [Metric; 1] =
    [Metric { name: "exec: call → output and status", unit: "ms", target: Target::Open }];

/// From the call of the monitor to the pid on the sync pipe.
pub(crate) fn start(args: &Args) -> Result<Vec<Option<f64>>> {
    repeated(args, |scratch| {
        let call = Call::create(scratch, &Container::new(["true"]))?.no_exit_command();
        let began = Instant::now();
        let mut session = call.spawn()?;
        session.release()?;
        session.pid()?;
        let took = began.elapsed();
        session.backgrounded()?;
        session.start()?;
        session.monitor_gone()?;
        Ok(took)
    })
}

/// From the death of the container's process to the name of its exit file.
pub(crate) fn exit(args: &Args) -> Result<Vec<Option<f64>>> {
    repeated(args, |scratch| {
        let call = Call::create(scratch, &Container::new(["sleep", "infinity"]))?.no_exit_command();
        let mut session = call.spawn()?;
        session.release()?;
        session.backgrounded()?;
        let pid = session.pid()?;
        session.start()?;
        let arrival = Arrival::of(&session.exit_file()).map_err(Error::new)?;
        let began = Instant::now();
        tests::sys::kill(pid, libc::SIGKILL)
            .map_err(|error| Error::new(format!("cannot kill: {error}")))?;
        let took = arrival.since(began, wait::LIMIT).map_err(Error::new)?;
        session.monitor_gone()?;
        Ok(took)
    })
}

/// A whole exec session as podman has it: attached before the command starts, output read, status received.
pub(crate) fn exec(args: &Args) -> Result<Vec<Option<f64>>> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let container = Call::create(&scratch, &Container::new(["sleep", "infinity"]))
        .and_then(|call| call.no_exit_command().running())
        .context("cannot start a container")?;
    repeated(args, |_| {
        let call =
            Call::exec(&scratch, &container, &Container::new(["echo", "hi"]))?.no_exit_command();
        let began = Instant::now();
        let mut session = call.spawn()?;
        session.release()?;
        session.attach_message()?;
        let mut client = Client::connect(&session.paths.bundle)?;
        session.release()?;
        session.pid()?;
        client.expect("hi")?;
        let status = session.message()?.map(|message| message.value);
        let took = began.elapsed();
        match status {
            Some(0) => Ok(took),
            other => Err(Error::new(format!("the exec session ended with {other:?}"))),
        }
    })
}

/// The median, in milliseconds, of one latency taken many times in a row.
fn repeated(
    args: &Args,
    mut once: impl FnMut(&Scratch) -> tests::Result<Duration>,
) -> Result<Vec<Option<f64>>> {
    let mut values = vec![];
    for _ in 0..args.repetitions {
        let scratch = Scratch::new().context("cannot prepare")?;
        values.push(once(&scratch).context("a repetition failed")?.as_secs_f64() * 1e3);
    }
    Ok(vec![Some(median(values))])
}
