//! `bench`: ours and the original, measured in turns, in one run, on this machine.
//!
//! Each measurement of one program is a process of its own (this program again, with `--sample`), so that nothing
//! is left over from the one before. A new measure is one more entry in `MEASURES`.

mod arrival;
mod cgroup;
mod latency;
mod memory;
mod outcome;
mod stats;
pub(crate) mod system;
mod throughput;

use crate::dist::{cargo, dist};
use crate::report::{Context, Result};
use argh::FromArgs;
use outcome::Outcome;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Compare with the original: memory, latencies, log throughput. Medians of rounds that alternate.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Args {
    /// only this measure: memory, start, exit, exec or log
    #[argh(option)]
    only: Option<String>,
    /// how many rounds of each measure, after one that is not counted (default: 5)
    #[argh(option, default = "5")]
    rounds: usize,
    /// how many containers at once for the memory measure (default: 100)
    #[argh(option, short = 'n', default = "100")]
    containers: usize,
    /// how many repetitions in each turn of a latency (default: 10)
    #[argh(option, default = "10")]
    repetitions: usize,
    /// how many megabytes of log lines (default: 500)
    #[argh(option, default = "500")]
    megabytes: u64,
    /// also write the results to this file
    #[argh(option)]
    json: Option<PathBuf>,
    /// fail if a target is missed
    #[argh(switch)]
    check: bool,
    /// a program to measure as ours (default: build ours)
    #[argh(option)]
    ours: Option<PathBuf>,
    /// a program to compare with (default: /usr/bin/conmon)
    #[argh(option, default = "crate::test::ORIGINAL.into()")]
    theirs: PathBuf,
    /// take one sample of this measure and print its numbers (used by bench itself)
    #[argh(option)]
    sample: Option<String>,
}

/// Something to measure: one sample gives one number for each metric.
struct Measure {
    name: &'static str,
    metrics: &'static [Metric],
    /// Where the files of the containers are while it is measured.
    folder: &'static str,
    /// How often each program gets its turn within a round: more for what is quick, and easily disturbed.
    turns: usize,
    /// Takes one sample; None for a metric that cannot be measured on this machine.
    sample: fn(&Args) -> Result<Vec<Option<f64>>>,
}

/// One number of a measure, and what it should be.
struct Metric {
    name: &'static str,
    unit: &'static str,
    /// What ours divided by theirs should be.
    target: Target,
}

#[derive(Clone, Copy)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
    Open,
}

const MEMORY_BACKED: &str = "/dev/shm";
// Here files are on disk, and so can be dropped from the memory that is measured.
const DISK_BACKED: &str = "/var/tmp";

const MEASURES: [Measure; 5] = [
    Measure {
        name: "memory",
        metrics: &memory::METRICS,
        folder: DISK_BACKED,
        turns: 1,
        sample: memory::sample,
    },
    Measure {
        name: "start",
        metrics: &latency::START,
        folder: MEMORY_BACKED,
        turns: 4,
        sample: latency::start,
    },
    Measure {
        name: "exit",
        metrics: &latency::EXIT,
        folder: MEMORY_BACKED,
        turns: 4,
        sample: latency::exit,
    },
    Measure {
        name: "exec",
        metrics: &latency::EXEC,
        folder: MEMORY_BACKED,
        turns: 4,
        sample: latency::exec,
    },
    Measure {
        name: "log",
        metrics: &throughput::METRICS,
        folder: MEMORY_BACKED,
        turns: 1,
        sample: throughput::sample,
    },
];

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    if let Some(name) = &args.sample {
        let measure =
            MEASURES.iter().find(|measure| measure.name == name).context("no such measure")?;
        for value in (measure.sample)(&args)? {
            println!("{}", value.map_or("-".into(), |value| value.to_string()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<&Measure> = MEASURES
        .iter()
        .filter(|measure| args.only.as_ref().is_none_or(|only| only == measure.name))
        .collect();
    if chosen.is_empty() {
        let names = MEASURES.map(|measure| measure.name).join(", ");
        return Err(format!(
            "no such measure: {}; there are {names}",
            args.only.unwrap_or_default()
        ));
    }
    let ours = match &args.ours {
        Some(path) => path.clone(),
        None => dist()?.join("monitor"),
    };
    for program in [&ours, &args.theirs] {
        if !program.exists() {
            return Err(format!(
                "there is no {}; install it, or name another with --theirs",
                program.display()
            ));
        }
    }
    let runtime = small_runtime(true)?;
    let mut outcomes = vec![];
    for measure in chosen {
        outcomes.extend(alternate(&args, measure, [&ours, &args.theirs], &runtime)?);
    }
    print!("{}", outcome::table(&outcomes));
    if let Some(path) = &args.json {
        let text = format!("{:#}\n", outcome::json(&outcomes));
        std::fs::write(path, text).context(format!("cannot write {}", path.display()))?;
    }
    let missed = args.check && outcomes.iter().any(|outcome| outcome.met() == Some(false));
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Measures both programs in turns; who begins changes with each round.
fn alternate(
    args: &Args,
    measure: &Measure,
    programs: [&Path; 2],
    runtime: &Path,
) -> Result<Vec<Outcome>> {
    let mut values = vec![[vec![], vec![]]; measure.metrics.len()];
    let rounds = args.rounds * measure.turns;
    for round in 0..=rounds {
        eprintln!("bench: {}, round {round} of {rounds}", measure.name);
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let sample = separate(args, measure, programs[which], runtime).context(format!(
                "measuring {} of {}",
                measure.name,
                programs[which].display()
            ))?;
            // The first round warms up: files are read from disk, caches are filled.
            for (metric, value) in sample.into_iter().enumerate().filter(|_| round > 0) {
                values[metric][which].extend(value);
            }
        }
    }
    Ok(measure
        .metrics
        .iter()
        .zip(values)
        .map(|(metric, [ours, theirs])| Outcome::of(metric, ours, theirs))
        .collect())
}

/// Takes one sample in a process of its own.
fn separate(
    args: &Args,
    measure: &Measure,
    program: &Path,
    runtime: &Path,
) -> Result<Vec<Option<f64>>> {
    let me = std::env::current_exe().context("cannot find this program")?;
    let output = Command::new(me)
        .args(["bench", "--sample", measure.name, "--containers", &args.containers.to_string()])
        .args([
            "--repetitions",
            &args.repetitions.to_string(),
            "--megabytes",
            &args.megabytes.to_string(),
        ])
        .env(tests::under_test::BINARY, program)
        .env(tests::under_test::RUNTIME, runtime)
        .env("TMPDIR", measure.folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start a sample")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Vec<Option<f64>> = text.lines().map(|line| line.parse().ok()).collect();
    if !output.status.success() || values.len() != measure.metrics.len() {
        return Err("the sample failed, see above".into());
    }
    Ok(values)
}

/// Builds the small OCI runtime of the tests and returns where it is.
pub(crate) fn small_runtime(release: bool) -> Result<PathBuf> {
    let mut command = cargo();
    command.args([
        "build",
        "--quiet",
        "-p",
        "tests",
        "--bin",
        "small-runtime",
        "--message-format=json",
    ]);
    command.args(release.then_some("--release"));
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    crate::dist::executable(&messages, "small-runtime")
        .context("cannot build the small runtime, see above")
}
