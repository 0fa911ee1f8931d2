//! What a monitor does while there is little or nothing to do.

use super::Args;
use super::cgroup::Groups;
use super::logging::created;
use super::measure::{Metric, Side, Target};
use super::rounds::bare;
use crate::report::{Context, Result};
use std::time::Duration;
use tests::{Call, Container, Scratch, process};

/// For what is only done once, at the start.
const BEGINNING: Duration = Duration::from_millis(500);

pub(crate) fn trickle_metrics(_: &Args) -> Vec<Metric> {
    let metric = Metric::new("trickle", "processor time, 10 lines/s logged", "ms/s");
    vec![metric.target(Target::AtMost(0.6)).headline()]
}

/// The processor time of all that the monitor consists of, while a container logs ten lines a second.
pub(crate) fn trickle(args: &Args, _: Side) -> Result<Vec<Option<f64>>> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let Some(groups) = Groups::new() else { return Ok(vec![None]) };
    let call = Call::create(&scratch, &Container::new([bare()?.as_str(), "drip"]));
    let session = call.and_then(|call| created(call, &scratch, Some(&groups)));
    let session = session.context("cannot create the container")?;
    session.start().context("cannot start the container")?;
    std::thread::sleep(BEGINNING);
    let before = groups.monitors.seconds()?;
    std::thread::sleep(Duration::from_secs(args.seconds));
    let used = groups.monitors.seconds()? - before;
    let log = session.log().context("in the log")?;
    if log.len() < args.seconds as usize * 5 {
        return Err(format!("only {} lines in {} s", log.len(), args.seconds));
    }
    // The processes have to be gone before the groups can go.
    drop((session, scratch));
    Ok(vec![Some(used * 1e3 / args.seconds as f64)])
}

pub(crate) fn wakes_metrics(args: &Args) -> Vec<Metric> {
    let name = format!("wake-ups of an idle monitor in {} s", args.seconds);
    vec![Metric::new("wakes", name, "1").target(Target::Zero).headline()]
}

/// How often the process that stays with an idle container was given a processor (proc(5), context switches).
pub(crate) fn wakes(args: &Args, _: Side) -> Result<Vec<Option<f64>>> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let session = Call::create(&scratch, &Container::new([bare()?.as_str(), "pause"]))
        .and_then(|call| call.no_exit_command().running())
        .context("cannot start a container")?;
    let monitor = session.monitor().context("no monitor")?;
    std::thread::sleep(BEGINNING);
    let switches = || {
        let status = process::proc_file(monitor, "status");
        let count = |name| process::field(&status, name);
        let all = count("voluntary_ctxt_switches:").zip(count("nonvoluntary_ctxt_switches:"));
        all.map(|(own, forced)| own + forced).context("the monitor is gone")
    };
    let before = switches()?;
    std::thread::sleep(Duration::from_secs(args.seconds));
    Ok(vec![Some((switches()? - before) as f64)])
}
