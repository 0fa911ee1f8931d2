//! What processor time it takes to start a container and to end it: of everything, the monitor's foreground, its
//! runtime, its roles and the container included. What the runtime and the container take is the floor.

use super::Args;
use super::latency::{bare_create, kill, runtime_alone};
use super::measure::{Metric, Side, Target};
use super::rounds::bare;
use crate::report::{Context, Result};
use crate::sys::childrens_seconds;
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use tests::{Error, Scratch};

pub(crate) fn metrics(_: &Args) -> Vec<Metric> {
    let metric = Metric::new("cycle", "processor time of a start and an end", "ms");
    vec![metric.target(Target::AtMost(0.5)).headline()]
}

/// We are the parent of all that has lost its own, so the kernel adds all their times to ours.
pub(crate) fn sample(args: &Args, side: Side) -> Result<Vec<Option<f64>>> {
    set_child_subreaper(Some(getpid())).context("cannot become the parent of orphans")?;
    let bare = bare()?;
    let before = childrens_seconds().context("cannot read processor times")?;
    for _ in 0..args.repetitions {
        let scratch = Scratch::new().context("cannot prepare")?;
        once(&scratch, side, &bare).context("a repetition failed")?;
    }
    let after = childrens_seconds().context("cannot read processor times")?;
    Ok(vec![Some((after - before) * 1e3 / args.repetitions as f64)])
}

fn once(scratch: &Scratch, side: Side, bare: &str) -> tests::Result {
    if side == Side::Floor {
        let (_, pid) = runtime_alone(scratch, bare)?;
        kill(pid)?;
        return reap(pid);
    }
    let call = bare_create(scratch, bare)?.no_exit_command().no_start_pipe();
    let mut session = call.spawn()?;
    let pid = session.pid()?;
    session.backgrounded()?;
    let monitor = session.monitor()?;
    kill(pid)?;
    reap(monitor)
}

fn reap(pid: i32) -> tests::Result {
    let failed =
        |what: &dyn std::fmt::Display| Error::new(format!("cannot wait for {pid}: {what}"));
    let pid = Pid::from_raw(pid).ok_or_else(|| failed(&"no process"))?;
    tests::wait::for_end_of(pid.as_raw_nonzero().get())?;
    match waitpid(Some(pid), WaitOptions::empty()) {
        Ok(_) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}
