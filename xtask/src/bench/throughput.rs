//! How fast container output gets into the log, and what processor time that takes.

use super::arrival::Arrival;
use super::cgroup::Group;
use super::{Args, Metric, Target};
use crate::emit::{LINE, verify};
use crate::report::{Context, Result};
use std::fs::File;
use std::io::BufReader;
use std::time::{Duration, Instant};
use tests::{Call, Container, Scratch, Session, under_test};

pub(crate) const METRICS: [Metric; 2] = [
    Metric { name: "log of 100-byte lines", unit: "MB/s", target: Target::AtLeast(1.3) },
    Metric { name: "log, processor time of the monitor", unit: "s/GB", target: Target::Open },
];

/// No run of the default size takes this long.
const LIMIT: Duration = Duration::from_secs(300);

/// One container writes numbered lines at full speed, until its exit file is there; then every byte is checked.
pub(crate) fn sample(args: &Args) -> Result<Vec<Option<f64>>> {
    let lines = args.megabytes * 1_000_000 / LINE as u64;
    let bytes = (lines * LINE as u64) as f64;
    let scratch = Scratch::new().context("cannot prepare")?;
    let groups = Group::new().zip(Group::new());
    let me = std::env::current_exe().context("cannot find this program")?;
    let container = Container::new([me.to_string_lossy().as_ref(), "emit", &lines.to_string()]);
    let session =
        created(&scratch, &container, groups.as_ref()).context("cannot create the container")?;
    let arrival = Arrival::of(&session.exit_file())?;
    let began = Instant::now();
    session.start().context("cannot start the container")?;
    let took = arrival.since(began, LIMIT)?.as_secs_f64();
    session.monitor_gone().context("after the container's end")?;
    let seconds = groups.as_ref().map(|(monitors, _)| monitors.seconds()).transpose()?;
    let log = File::open(&session.paths.log).context("cannot open the log")?;
    let logged = verify(BufReader::with_capacity(1 << 20, log))?;
    if logged != lines {
        return Err(format!("of {lines} lines only {logged} are in the log"));
    }
    drop((session, scratch));
    Ok(vec![Some(bytes / took / 1e6), seconds.map(|seconds| seconds / bytes * 1e9)])
}

fn created(
    scratch: &Scratch,
    container: &Container,
    groups: Option<&(Group, Group)>,
) -> tests::Result<Session> {
    let mut call = Call::create(scratch, container)?.no_exit_command();
    let enter = |group: &Group| group.add(std::process::id()).map_err(tests::Error::new);
    if let Some((monitors, others)) = groups {
        let runtime = super::memory::escaping_runtime(scratch.path(), &others.doors())
            .map_err(tests::Error::new)?;
        call = call.set("-r", runtime);
        enter(monitors)?;
    } else {
        call = call.set("-r", under_test::small_runtime()?);
    }
    let session = call.spawn();
    if let Some((_, others)) = groups {
        enter(others)?;
    }
    let mut session = session?;
    session.release()?;
    session.backgrounded()?;
    session.pid()?;
    Ok(session)
}
