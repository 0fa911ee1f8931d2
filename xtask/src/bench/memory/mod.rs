//! What a container costs in memory beside itself, by three counts that must agree roughly, at several numbers of
//! containers.

mod state;

use super::Args;
use super::cgroup::{Charged, Group, Groups};
use super::measure::{Metric, Side, Target};
use super::rounds::bare;
use super::system::{System, share};
use crate::report::{Context, Result};
use ::tests::{Scratch, under_test};
use state::{Alone, Bare, Starter};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(crate) use state::State;

/// Fewer containers than these are looked at in all states; more, only idle, unless everything is asked for.
const MANY: usize = 100;

impl State {
    /// One word, for keys.
    fn key(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Logging => "logging",
            State::Attached => "attached",
            State::Terminal => "terminal",
            State::Exec => "exec-memory",
        }
    }

    fn name(self) -> &'static str {
        match self {
            State::Idle => "idle container",
            State::Logging => "container that logs 10 lines/s",
            State::Attached => "attached container, no stdin",
            State::Terminal => "attached container, terminal",
            State::Exec => "exec session",
        }
    }

    fn target(self) -> Target {
        match self {
            State::Idle => Target::AtMost(0.19),
            State::Logging | State::Attached => Target::AtMost(0.38),
            State::Terminal => Target::AtMost(0.56),
            State::Exec => Target::Open,
        }
    }

    /// How many containers there are, one look after the other.
    fn numbers(self, args: &Args) -> Vec<usize> {
        let wanted = |number: &usize| self == State::Idle || args.full || *number <= MANY;
        args.containers.0.iter().copied().filter(wanted).collect()
    }

    /// The numbers that a sample gives.
    pub(crate) fn metrics(self, args: &Args) -> Vec<Metric> {
        let (key, name) = (self.key(), self.name());
        let numbers = self.numbers(args);
        let main = main_number(&numbers);
        let each = |number: usize| {
            let metric =
                Metric::new(format!("{key}-{number}"), format!("{name}, one of {number}"), "kB");
            let metric = metric.target(self.target());
            if number == main { metric.headline() } else { metric }
        };
        let mut metrics: Vec<Metric> = numbers.iter().copied().map(each).collect();
        let (first, last) = ends(&numbers);
        let range = format!("{first} to {last}");
        metrics.extend([
            Metric::new(format!("{key}-slope"), format!("… each further one, {range}"), "kB")
                .target(self.target()),
            Metric::new(format!("{key}-flat"), format!("… divided by one of {main}"), "1")
                .target(Target::FlatWithin(0.1)),
            Metric::new(format!("{key}-group"), format!("… as control groups count, {main}"), "kB"),
            Metric::new(format!("{key}-kernel"), "… of it kernel", "kB"),
            Metric::new(format!("{key}-pss"), format!("… PSS and page tables, {main}"), "kB"),
            Metric::new(format!("{key}-processes"), "… processes", "1"),
        ]);
        metrics
    }

    /// Starts more and more containers, and looks three ways: how much free memory has gone (less what the same
    /// containers take without monitor), what the control group of the monitors is charged, what their processes map.
    pub(crate) fn sample(self, args: &Args, side: Side) -> Result<Vec<Option<f64>>> {
        let numbers = self.numbers(args);
        let bare = bare()?;
        let groups = Groups::new();
        let looks = match side {
            Side::Floor => {
                let mut processes = Bare::default();
                looks(&numbers, groups.as_ref(), || {
                    processes
                        .one_more(Path::new(&bare), groups.as_ref())
                        .context("cannot start a process")
                })?
            }
            Side::Ours | Side::Theirs => {
                let alone = self.without_monitor(&numbers, &bare)?;
                let mut looks = self.with_monitor(&numbers, &bare, groups.as_ref())?;
                for (look, alone) in looks.iter_mut().zip(alone) {
                    look.taken -= alone.taken;
                }
                looks
            }
        };
        Ok(values(&numbers, &looks))
    }

    fn without_monitor(self, numbers: &[usize], bare: &str) -> Result<Vec<Look>> {
        let scratch = Scratch::new().context("cannot prepare")?;
        let mut alone = Alone::new(self, &scratch, bare.into()).context("cannot prepare")?;
        looks(numbers, None, || alone.one_more().context("cannot start a container"))
    }

    fn with_monitor(
        self,
        numbers: &[usize],
        bare: &str,
        groups: Option<&Groups>,
    ) -> Result<Vec<Look>> {
        let scratch = Scratch::new().context("cannot prepare")?;
        let runtime = match groups {
            Some(groups) => escaping_runtime(scratch.path(), &groups.others.doors())?,
            None => under_test::small_runtime().context("cannot prepare")?,
        };
        let starter =
            Starter::new(self, &scratch, runtime, groups, bare.into()).context("cannot prepare")?;
        let mut held = vec![];
        let looks = looks(numbers, groups, || {
            held.push(starter.one_more().context("cannot start a container")?);
            Ok(())
        });
        // The processes have to be gone before their groups can go.
        drop((held, starter));
        drop(scratch);
        looks
    }
}

fn ends(numbers: &[usize]) -> (usize, usize) {
    (numbers.first().copied().unwrap_or(0), numbers.last().copied().unwrap_or(0))
}

/// The number of containers that most is told about.
fn main_number(numbers: &[usize]) -> usize {
    numbers.iter().copied().rfind(|number| *number <= MANY).unwrap_or(ends(numbers).0)
}

/// What was seen when so many containers were there, all in bytes and all together.
struct Look {
    taken: f64,
    charged: Option<f64>,
    kernel: Option<f64>,
    mapped: Option<f64>,
    processes: Option<f64>,
}

/// Looks at each of these numbers of containers, less what was there before the first.
fn looks(
    numbers: &[usize],
    groups: Option<&Groups>,
    mut one_more: impl FnMut() -> Result<()>,
) -> Result<Vec<Look>> {
    let before = System::settled()?;
    let base = groups.map(|groups| groups.monitors.charged()).transpose()?;
    let before_mapped: f64 = groups.map_or(0.0, |groups| mapped(&groups.monitors));
    let before_processes = groups.map_or(0, |groups| groups.monitors.processes().len());
    let mut looks = vec![];
    let mut there = 0;
    for number in numbers {
        while there < *number {
            one_more()?;
            there += 1;
        }
        let now = System::settled()?;
        let charged = groups.map(|groups| groups.monitors.charged()).transpose()?;
        let less =
            |value: fn(&Charged) -> f64| Some(value(charged.as_ref()?) - value(base.as_ref()?));
        looks.push(Look {
            taken: before.free - now.free,
            charged: less(|charged| charged.anonymous + charged.kernel + charged.shared),
            kernel: less(|charged| charged.kernel),
            mapped: groups.map(|groups| mapped(&groups.monitors) - before_mapped),
            processes: groups
                .map(|groups| (groups.monitors.processes().len() - before_processes) as f64),
        });
    }
    Ok(looks)
}

fn mapped(group: &Group) -> f64 {
    group.processes().into_iter().map(share).sum()
}

/// The numbers of `State::metrics`.
fn values(numbers: &[usize], looks: &[Look]) -> Vec<Option<f64>> {
    let per = |bytes: f64, number: usize| bytes / 1024.0 / number as f64;
    let mut values: Vec<Option<f64>> =
        numbers.iter().zip(looks).map(|(number, look)| Some(per(look.taken, *number))).collect();
    let main = main_number(numbers);
    let at_main =
        numbers.iter().zip(looks).find(|(number, _)| **number == main).map(|(_, look)| look);
    let (first, last) = ends(numbers);
    let slope = looks
        .first()
        .zip(looks.last())
        .filter(|_| last > first)
        .map(|(begin, end)| per(end.taken - begin.taken, last - first));
    let flat = slope.zip(at_main).map(|(slope, look)| slope / per(look.taken, main));
    let of_main = |value: fn(&Look) -> Option<f64>| at_main.and_then(value);
    values.extend([
        slope,
        flat,
        of_main(|look| look.charged).map(|bytes| per(bytes, main)),
        of_main(|look| look.kernel).map(|bytes| per(bytes, main)),
        of_main(|look| look.mapped).map(|bytes| per(bytes, main)),
        of_main(|look| look.processes).map(|count| count / main as f64),
    ]);
    values
}

/// A runtime that first leaves the group it was started in, so that containers are not charged to the monitors.
pub(super) fn escaping_runtime(folder: &Path, doors: &[PathBuf]) -> Result<PathBuf> {
    let runtime = under_test::small_runtime().context("cannot prepare")?;
    let path = folder.join("runtime.sh");
    let moves: String =
        doors.iter().map(|door| format!("echo 0 > '{}'\n", door.display())).collect();
    let script = format!("#!/bin/sh\n{moves}exec '{}' \"$@\"\n", runtime.display());
    fs::write(&path, script)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .context(format!("cannot write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(taken: f64) -> Look {
        Look { taken, charged: None, kernel: None, mapped: None, processes: Some(200.0) }
    }

    #[test]
    fn the_slope_is_what_one_more_costs() {
        let kb = 1024.0;
        let looks = [look(10.0 * 90.0 * kb), look(100.0 * 80.0 * kb), look(500.0 * 80.0 * kb)];
        let values = values(&[10, 100, 500], &looks);
        assert_eq!(values[..3], [Some(90.0), Some(80.0), Some(80.0)]);
        assert_eq!(values[3], Some((40000.0 - 900.0) / 490.0));
        assert!((values[4].unwrap() - 1.0).abs() < 0.01);
        assert_eq!(values[8], Some(2.0));
    }

    #[test]
    fn a_single_number_has_no_slope() {
        assert_eq!(values(&[100], &[look(1024.0)])[1..3], [None, None]);
    }
}
