//! How fast container output gets into a log, and what processor time that takes. Every byte is checked afterwards.

mod copy;
mod journal;
mod pod;

use super::Args;
use super::arrival::Arrival;
use super::cgroup::{Groups, born};
use super::measure::{Metric, Side, Target};
use super::memory::runtime;
use super::recorded;
use super::rounds::bare;
use crate::report::{Context, Result};
use ::tests::load::Kind;
use ::tests::verify::{self, Expected};
use ::tests::{Call, Container, Scratch, Session};
use journal::Journal;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::{Duration, Instant};

/// No run of the default size takes this long.
const LIMIT: Duration = Duration::from_secs(300);

/// The journal takes an entry of several hundred bytes for each line, one by one: so much less is enough.
const JOURNAL_SHARE: u64 = 25;

/// Where the output goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    K8sFile,
    Journald,
    JsonFile,
    /// A pod's, written by its server.
    Cri,
}

impl Driver {
    fn name(self) -> &'static str {
        match self {
            Driver::K8sFile => "k8s-file",
            Driver::Journald => "journald",
            Driver::JsonFile => "json-file",
            Driver::Cri => "pod-log",
        }
    }

    /// Speed and cost that we want, compared with the original.
    fn targets(self, kind: Kind) -> (Target, Target) {
        match (self, kind) {
            (Driver::K8sFile, Kind::Lines) => (Target::AtLeast(1.8), Target::AtMost(0.45)),
            (Driver::K8sFile, Kind::Long) => (Target::AtLeast(1.3), Target::AtMost(0.65)),
            (Driver::K8sFile, Kind::Binary) => (Target::AtLeast(1.8), Target::Open),
            (Driver::Cri, Kind::Lines) => (Target::AtLeast(3.0), Target::AtMost(0.25)),
            (Driver::Journald | Driver::JsonFile | Driver::Cri, _) => (Target::Open, Target::Open),
        }
    }

    /// Speed and cost of others, where they were recorded.
    fn recorded(self, kind: Kind) -> (Option<f64>, Option<f64>) {
        match (self, kind) {
            (Driver::Cri, Kind::Lines) => (Some(recorded::LOG_SPEED), Some(recorded::LOG_COST)),
            _ => (None, None),
        }
    }
}

/// The numbers of one kind of output in one kind of log.
pub(crate) fn metrics(driver: Driver, kind: Kind) -> Vec<Metric> {
    let what = match kind {
        Kind::Lines => "100-byte lines",
        Kind::Long => "4 kB lines",
        Kind::Binary => "binary without newlines",
    };
    let key = |what: &str| format!("{}-{}-{what}", driver.name(), kind.name());
    let (speed, cost) = driver.targets(kind);
    let (recorded_speed, recorded_cost) = driver.recorded(kind);
    let speed = Metric::new(key("speed"), format!("{}, {what}", driver.name()), "MB/s")
        .target(speed)
        .recorded(recorded_speed);
    let cost =
        Metric::new(key("cost"), "… processor time", "s/GB").target(cost).recorded(recorded_cost);
    match driver {
        Driver::K8sFile | Driver::Cri => vec![speed.of_floor(0.8).headline(), cost.headline()],
        Driver::Journald | Driver::JsonFile => vec![speed, cost],
    }
}

/// One container writes at full speed, until its exit file is there; then every byte is checked.
pub(crate) fn sample(
    args: &Args,
    side: Side,
    driver: Driver,
    kind: Kind,
) -> Result<Vec<Option<f64>>> {
    let share = if driver == Driver::Journald { JOURNAL_SHARE } else { 1 };
    let blocks = (args.megabytes * 1_000_000 / share / kind.block() as u64).max(1);
    let bytes = (blocks * kind.block() as u64) as f64;
    let scratch = Scratch::new().context("cannot prepare")?;
    let bare = bare()?;
    let command = [bare.as_str(), "write", kind.name(), &blocks.to_string()].map(String::from);
    let expected = || Expected::new(kind, blocks);
    let (took, seconds) = if side == Side::Floor {
        let log = scratch.join("copy");
        let done = copy::copy(&command, &log)?;
        verify::k8s_file(opened(&log)?, expected()).context("the copy is wrong")?;
        done
    } else {
        let container = Container::new(command);
        match driver {
            Driver::Journald => {
                let Some(journal) = Journal::new(&scratch)? else { return Ok(vec![None; 2]) };
                let call = Call::create(&scratch, &container).context("cannot prepare")?;
                let call = call.program(&journal.wrapper).set("-l", "journald");
                let (_, done) = written(call, &scratch)?;
                journal.verify(expected())?;
                done
            }
            Driver::Cri => {
                let (log, done) = pod::written(&container, &scratch)?;
                verify::k8s_file(opened(&log)?, expected()).context("the log is wrong")?;
                done
            }
            Driver::K8sFile | Driver::JsonFile => {
                let call = Call::create(&scratch, &container).context("cannot prepare")?;
                let (session, done) = written(call.log_driver(driver.name()), &scratch)?;
                let log = opened(&session.paths.log)?;
                let verified = match driver {
                    Driver::JsonFile => verify::json_file(log, expected()),
                    _ => verify::k8s_file(log, expected()),
                };
                verified.context("the log is wrong")?;
                done
            }
        }
    };
    Ok(vec![Some(bytes / took.as_secs_f64() / 1e6), seconds.map(|seconds| seconds / bytes * 1e9)])
}

fn opened(log: &Path) -> Result<BufReader<File>> {
    let file = File::open(log).context(format!("cannot open {}", log.display()))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

/// What it took: time, and processor time in seconds where groups can tell.
type Took = (Duration, Option<f64>);

/// Lets the container of this call write all it has to.
fn written(call: Call, scratch: &Scratch) -> Result<(Session, Took)> {
    let groups = Groups::new();
    let session = created(call, scratch, groups.as_ref()).context("cannot create the container")?;
    let (start, gone) = (|| session.start(), || session.monitor_gone());
    let took = timed(groups.as_ref(), &session.exit_file(), start, gone)?;
    Ok((session, took))
}

/// The time from a container's start to its exit file, and the processor time of the monitor until it is gone.
fn timed(
    groups: Option<&Groups>,
    exit_file: &Path,
    start: impl FnOnce() -> ::tests::Result,
    gone: impl FnOnce() -> ::tests::Result,
) -> Result<Took> {
    let seconds = || groups.map(|groups| groups.monitors.seconds()).transpose();
    let before = seconds()?;
    let arrival = Arrival::of(exit_file)?;
    let began = Instant::now();
    start().context("cannot start the container")?;
    let took = arrival.since(began, LIMIT)?;
    gone().context("after the container's end")?;
    let used = seconds()?.zip(before).map(|(after, before)| after - before);
    Ok((took, used))
}

/// A container that waits to be started, its monitor in a group of its own.
pub(super) fn created(
    call: Call,
    scratch: &Scratch,
    groups: Option<&Groups>,
) -> tests::Result<Session> {
    let runtime = runtime(scratch, groups).map_err(tests::Error::new)?;
    let mut session = born(groups, || call.no_exit_command().set("-r", runtime).spawn())?;
    session.release()?;
    session.backgrounded()?;
    session.pid()?;
    Ok(session)
}
