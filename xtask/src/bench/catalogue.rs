//! All that is measured, in the order in which it is shown.

use super::logging::{self, Driver};
use super::measure::{BOTH, Measure, Rival, Side, Turns};
use super::memory::State;
use super::{attached, cycle, latency, pod, quiet};
use tests::load::Kind;

const ALL_SIDES: &[Side] = &Side::ALL;

macro_rules! memory {
    ($name:literal, $state:ident, $sides:expr) => {
        Measure {
            name: $name,
            metrics: |args| State::$state.metrics(args),
            rival: Rival::Conmon,
            sides: $sides,
            turns: Turns::Few,
            sample: |args, side| State::$state.sample(args, side),
        }
    };
}

macro_rules! logging {
    ($name:literal, $driver:ident, $kind:ident, $sides:expr, $turns:ident) => {
        Measure {
            name: $name,
            metrics: |_| logging::metrics(Driver::$driver, Kind::$kind),
            rival: Rival::Conmon,
            sides: $sides,
            turns: Turns::$turns,
            sample: |args, side| logging::sample(args, side, Driver::$driver, Kind::$kind),
        }
    };
}

macro_rules! measure {
    ($name:literal, $metrics:expr, $sides:expr, $turns:ident, $sample:expr) => {
        Measure {
            name: $name,
            metrics: $metrics,
            rival: Rival::Conmon,
            sides: $sides,
            turns: Turns::$turns,
            sample: $sample,
        }
    };
}

/// The same with conmonrs as the rival.
const fn of_pods(measure: Measure) -> Measure {
    Measure { rival: Rival::Conmonrs, ..measure }
}

/// Every measure.
pub(crate) static ALL: &[Measure] = &[
    memory!("memory-idle", Idle, ALL_SIDES),
    memory!("memory-logging", Logging, BOTH),
    memory!("memory-attached", Attached, BOTH),
    memory!("memory-terminal", Terminal, BOTH),
    memory!("memory-exec", Exec, BOTH),
    measure!("start", latency::start_metrics, ALL_SIDES, Many, latency::start),
    measure!("cycle", cycle::metrics, ALL_SIDES, Many, cycle::sample),
    measure!("exit", latency::exit_metrics, ALL_SIDES, Many, latency::exit),
    measure!("exec", latency::exec_metrics, ALL_SIDES, Many, latency::exec),
    logging!("log-lines", K8sFile, Lines, ALL_SIDES, Twice),
    logging!("log-long", K8sFile, Long, ALL_SIDES, Twice),
    logging!("log-binary", K8sFile, Binary, ALL_SIDES, Twice),
    logging!("log-journald-lines", Journald, Lines, BOTH, Once),
    logging!("log-journald-long", Journald, Long, BOTH, Once),
    logging!("log-journald-binary", Journald, Binary, BOTH, Once),
    // The original has no such driver: its json-file is a k8s-file. JSON holds text only.
    logging!("log-json-lines", JsonFile, Lines, &[Side::Ours], Once),
    logging!("log-json-long", JsonFile, Long, &[Side::Ours], Once),
    measure!("trickle", quiet::trickle_metrics, BOTH, Few, quiet::trickle),
    // Whether a client sleeps after each packet is up to the scheduler, and makes a threefold difference on either side.
    measure!("attach", attached::output_metrics, BOTH, Many, attached::output),
    measure!("echo-pipe", |_| attached::echo_metrics(false), BOTH, Many, |args, _| {
        attached::echo(args, false)
    }),
    measure!("echo-terminal", |_| attached::echo_metrics(true), BOTH, Many, |args, _| {
        attached::echo(args, true)
    }),
    measure!("wakes", quiet::wakes_metrics, BOTH, Few, quiet::wakes),
    of_pods(memory!("pod-memory", Pod, ALL_SIDES)),
    of_pods(measure!("pod-create", |_| pod::create_metrics(false), BOTH, Many, |args, _| {
        pod::create(args, false)
    })),
    of_pods(measure!("pod-create-parked", |_| pod::create_metrics(true), BOTH, Many, |args, _| {
        pod::create(args, true)
    })),
    of_pods(logging!("pod-log", Cri, Lines, ALL_SIDES, Twice)),
    of_pods(measure!("pod-end", pod::end_metrics, BOTH, Many, pod::end)),
];
