//! All sides of a measure in turns, each sample in a process of its own, so that nothing is left over from the one
//! before.

use super::Args;
use super::measure::{Measure, Side};
use super::outcome::Outcome;
use super::programs::Programs;
use crate::report::{Context, Result};
use std::path::Path;
use std::process::{Command, Stdio};

/// The variable that tells a sample where the least program is.
pub(crate) const BARE: &str = "BENCH_BARE";

/// Where the files of the containers are. In memory, as in /run: no disk is waited for, and what a file system on disk
/// keeps of its own is not measured.
const IN_MEMORY: &str = "/dev/shm";

/// Measures all sides in turns; who begins changes with each round.
pub(crate) fn alternate(
    args: &Args,
    measure: &Measure,
    programs: &Programs,
) -> Result<Vec<Outcome>> {
    let metrics = (measure.metrics)(args);
    let mut values = vec![[vec![], vec![], vec![]]; metrics.len()];
    let there = |side: &Side| Some((*side, programs.of(measure.rival, *side)?));
    let sides: Vec<(Side, &Path)> = measure.sides.iter().filter_map(there).collect();
    let rounds = measure.turns.of(args.rounds);
    for round in 0..=rounds {
        eprintln!("bench: {}, round {round} of {rounds}", measure.name);
        for turn in 0..sides.len() {
            let (side, program) = sides[(round + turn) % sides.len()];
            let sample = separate(args, measure, side, program, programs, metrics.len())
                .context(format!("measuring {} of {}", measure.name, side.name()))?;
            // The first round warms up: files are read from disk, caches are filled.
            for (metric, value) in sample.into_iter().enumerate().filter(|_| round > 0) {
                values[metric][side as usize].extend(value);
            }
        }
    }
    Ok(metrics
        .into_iter()
        .zip(values)
        .map(|(metric, values)| Outcome::of(metric, measure.rival, values))
        .collect())
}

/// Takes one sample in a process of its own.
fn separate(
    args: &Args,
    measure: &Measure,
    side: Side,
    program: &Path,
    programs: &Programs,
    count: usize,
) -> Result<Vec<Option<f64>>> {
    let mut command = Command::new(&programs.sampler);
    command
        .args(["bench", "--sample", measure.name, "--side", side.name()])
        .args(args.for_sample())
        .env(tests::under_test::BINARY, program)
        .env(tests::under_test::RUNTIME, &programs.runtime)
        .env(BARE, &programs.bare)
        .env("TMPDIR", IN_MEMORY)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = command.output().context("cannot start a sample")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let values: Vec<Option<f64>> = text.lines().map(|line| line.parse().ok()).collect();
    if !output.status.success() || values.len() != count {
        return Err("the sample failed, see above".into());
    }
    Ok(values)
}

/// In a sample: where the least program is.
pub(crate) fn bare() -> Result<String> {
    std::env::var(BARE).context(format!("{BARE} does not say where the program is"))
}
