//! `bench`: ours and the originals, and the floor below both, measured in turns, in one run, on this machine.
//!
//! Each sample is a process of its own (this program again, with `--sample`), so that nothing is left over from the one
//! before. A new measure is one more entry in `catalogue`.

mod arrival;
mod attached;
mod catalogue;
mod cgroup;
mod cycle;
mod latency;
mod logging;
mod machine;
mod measure;
mod memory;
mod moment;
mod outcome;
mod plot;
mod pod;
mod programs;
mod quiet;
mod readme;
mod recorded;
mod rounds;
mod stats;
pub(crate) mod system;
mod table;

pub(crate) use programs::small_runtime;

use crate::report::{Context, Result};
use argh::FromArgs;
use machine::Machine;
use measure::{Measure, Side};
use outcome::Outcome;
use programs::Programs;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare with the original, and with the least that any program would need: memory, latencies, log and attach
/// throughput. Medians of rounds that alternate, with the targets they meet or miss.
#[derive(FromArgs)]
#[argh(subcommand, name = "bench")]
pub(crate) struct Args {
    /// only this measure, or all whose names begin so (memory, start, cycle, exit, exec, log, attach, echo, trickle,
    /// wakes, pod); may be given several times
    #[argh(option)]
    only: Vec<String>,
    /// how many rounds of each measure, after one that is not counted (default: 5)
    #[argh(option, default = "5")]
    rounds: usize,
    /// how many containers, or pods, at once for memory, one look after the other (default: 10,100,500)
    #[argh(option, short = 'n', default = "Numbers(vec![10, 100, 500])")]
    containers: Numbers,
    /// all these numbers of containers in all states, and of pods; else more than 100 only idle, and at most 50 pods
    #[argh(switch)]
    full: bool,
    /// how many repetitions in each turn of a latency (default: 10)
    #[argh(option, default = "10")]
    repetitions: usize,
    /// how many megabytes of output (default: 500)
    #[argh(option, default = "500")]
    megabytes: u64,
    /// how many seconds to watch what happens now and then (default: 3)
    #[argh(option, default = "3")]
    seconds: u64,
    /// also write the results to this file
    #[argh(option)]
    json: Option<PathBuf>,
    /// also draw charts (SVG) into this folder
    #[argh(option)]
    plot: Option<PathBuf>,
    /// put the figures into README.md
    #[argh(switch)]
    readme: bool,
    /// fail if a target is missed
    #[argh(switch)]
    check: bool,
    /// a program to measure as ours (default: build ours)
    #[argh(option)]
    ours: Option<PathBuf>,
    /// a conmon to compare with (default: /usr/bin/conmon)
    #[argh(option, default = "crate::test::ORIGINAL.into()")]
    theirs: PathBuf,
    /// a conmonrs to compare with (default: none, and what was recorded of conmonrs 1.0.1 stands in for it)
    #[argh(option)]
    conmonrs: Option<PathBuf>,
    /// take one sample of this measure and print its numbers (used by bench itself)
    #[argh(option)]
    sample: Option<String>,
    /// whose sample: ours, theirs or floor (used by bench itself)
    #[argh(option, default = "Side::Ours")]
    side: Side,
}

impl Args {
    /// What a sample has to know.
    fn for_sample(&self) -> Vec<String> {
        let numbers: Vec<String> = self.containers.0.iter().map(usize::to_string).collect();
        let mut words = vec!["--containers".into(), numbers.join(",")];
        for (name, value) in [
            ("--repetitions", self.repetitions as u64),
            ("--megabytes", self.megabytes),
            ("--seconds", self.seconds),
        ] {
            words.extend([name.into(), value.to_string()]);
        }
        words.extend(self.full.then(|| "--full".into()));
        words
    }
}

/// Rising numbers, with commas between them.
struct Numbers(Vec<usize>);

impl std::str::FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Numbers> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(str::parse).collect();
        let numbers = numbers.context(format!("{text:?}"))?;
        let rising = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        if rising && numbers.first().is_some_and(|first| *first > 0) {
            return Ok(Numbers(numbers));
        }
        Err(format!("{text:?}: give rising numbers, e.g. 10,100"))
    }
}

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    if let Some(name) = &args.sample {
        return sample(&args, name);
    }
    let chosen = chosen(&args.only)?;
    let programs = Programs::find(&args, &chosen)?;
    let machine = Machine::look(&programs.conmon, programs.conmonrs.as_deref());
    let mut outcomes = vec![];
    for measure in chosen {
        outcomes.extend(rounds::alternate(&args, measure, &programs)?);
    }
    print!("{}", table::table(&outcomes));
    if let Some(path) = &args.json {
        let all = json!({"machine": machine.json(), "metrics": outcome::json(&outcomes)});
        std::fs::write(path, format!("{all:#}\n"))
            .context(format!("cannot write {}", path.display()))?;
    }
    if let Some(folder) = &args.plot {
        plot::draw(&outcomes, &machine, folder)?;
    }
    if args.readme {
        readme::write(&outcomes, &machine, args.rounds)?;
    }
    let missed = |outcome: &Outcome| [outcome.met(), outcome.near_floor()].contains(&Some(false));
    let failed = args.check && outcomes.iter().any(missed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn sample(args: &Args, name: &str) -> Result<ExitCode> {
    let measure = catalogue::ALL.iter().find(|measure| measure.name == name);
    for value in (measure.context("no such measure")?.sample)(args, args.side)? {
        println!("{}", value.map_or("-".into(), |value| value.to_string()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The measures that these names begin; all for none.
fn chosen(only: &[String]) -> Result<Vec<&'static Measure>> {
    let fits = |measure: &Measure, name: &str| {
        let rest = measure.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    if let Some(wrong) =
        only.iter().find(|name| !catalogue::ALL.iter().any(|measure| fits(measure, name)))
    {
        let names: Vec<&str> = catalogue::ALL.iter().map(|measure| measure.name).collect();
        return Err(format!("no such measure: {wrong}; there are {}", names.join(", ")));
    }
    let wanted =
        |measure: &&Measure| only.is_empty() || only.iter().any(|name| fits(measure, name));
    Ok(catalogue::ALL.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(only: &[&str]) -> Result<Vec<&'static str>> {
        let only: Vec<String> = only.iter().map(ToString::to_string).collect();
        Ok(chosen(&only)?.iter().map(|measure| measure.name).collect())
    }

    #[test]
    fn a_name_chooses_all_measures_that_it_begins() {
        assert_eq!(names(&["echo"]), Ok(vec!["echo-pipe", "echo-terminal"]));
        assert_eq!(names(&["exec"]), Ok(vec!["exec"]));
        assert_eq!(names(&["pod"]).map(|all| all.len()), Ok(5));
        assert_eq!(names(&[]).map(|all| all.len()), Ok(catalogue::ALL.len()));
        assert!(names(&["echo", "ech"]).is_err_and(|error| error.contains("ech;")));
    }

    #[test]
    fn numbers_of_containers_rise() {
        assert_eq!("2,4".parse::<Numbers>().map(|numbers| numbers.0), Ok(vec![2, 4]));
        for wrong in ["", "0", "4,2", "2,2", "2,", "x"] {
            assert!(wrong.parse::<Numbers>().is_err(), "{wrong}");
        }
    }
}
