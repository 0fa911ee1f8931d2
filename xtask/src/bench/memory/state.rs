//! What a container can be in the middle of while its memory is measured, and the numbers that are told about it.

use super::super::Args;
use super::super::measure::{Metric, Target};
use super::super::recorded;

/// Fewer containers than these are looked at in all states; more, only idle, unless everything is asked for.
const MANY: usize = 100;

/// No more pods than these at once, unless everything is asked for: each has two containers.
const MANY_PODS: usize = 50;

/// What goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Idle,
    /// A line of 100 bytes every 100 ms, into a k8s-file log.
    Logging,
    /// A client is attached to a container without stdin.
    Attached,
    /// A client is attached to a container with a terminal.
    Terminal,
    /// An exec session, with its client, in a container that others use as well.
    Exec,
    /// Nothing in the two containers of a pod, whose server has an open connection.
    Pod,
}

impl State {
    /// One word, for keys.
    fn key(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Logging => "logging",
            State::Attached => "attached",
            State::Terminal => "terminal",
            State::Exec => "exec-memory",
            State::Pod => "pod-memory",
        }
    }

    fn name(self) -> &'static str {
        match self {
            State::Idle => "idle container",
            State::Logging => "container that logs 10 lines/s",
            State::Attached => "attached container, no stdin",
            State::Terminal => "attached container, terminal",
            State::Exec => "exec session",
            State::Pod => "pod with 2 idle containers",
        }
    }

    fn target(self) -> Target {
        match self {
            State::Idle => Target::AtMost(0.19),
            State::Logging | State::Attached => Target::AtMost(0.38),
            State::Terminal => Target::AtMost(0.56),
            State::Exec => Target::Open,
            State::Pod => Target::AtMost(0.2),
        }
    }

    /// What others take by all counts together, and as PSS and page tables, in kB.
    fn recorded(self) -> (Option<f64>, Option<f64>) {
        match self {
            State::Pod => (Some(recorded::POD_KB), Some(recorded::POD_PSS_KB)),
            _ => (None, None),
        }
    }

    /// How many containers there are, one look after the other.
    pub(super) fn numbers(self, args: &Args) -> Vec<usize> {
        let asked = args.containers.0.iter().copied();
        if args.full || self == State::Idle {
            return asked.collect();
        }
        if self == State::Pod {
            let mut numbers: Vec<usize> = asked.map(|number| number.min(MANY_PODS)).collect();
            numbers.dedup();
            return numbers;
        }
        asked.filter(|number| *number <= MANY).collect()
    }

    /// The numbers that a sample gives: first what control groups count, which is exact, then what becomes of the
    /// machine's free memory. Others use that, too, a megabyte more or less: with few containers it says little.
    pub(crate) fn metrics(self, args: &Args) -> Vec<Metric> {
        let (key, name) = (self.key(), self.name());
        let numbers = self.numbers(args);
        let (main, (first, last)) = (main_number(&numbers), ends(&numbers));
        let (all, mapped) = self.recorded();
        let counted = |number: usize| {
            let name = format!("{name}, one of {number}");
            let metric = Metric::new(format!("{key}-{number}"), name, "kB");
            let metric = metric.target(self.target()).recorded(all);
            if number == main { metric.headline() } else { metric }
        };
        let free = |number: usize| {
            let name = format!("{name}, one of {number}, by free memory");
            let metric = Metric::new(format!("{key}-free-{number}"), name, "kB").recorded(all);
            let metric = if number == last { metric.target(self.target()) } else { metric };
            if number > MANY { metric.headline() } else { metric }
        };
        let further = |key: String| {
            Metric::new(key, format!("… each further one, {first} to {last}"), "kB")
                .target(self.target())
                .recorded(all)
        };
        let mut metrics: Vec<Metric> = numbers.iter().copied().map(counted).collect();
        metrics.extend([
            further(format!("{key}-slope")),
            Metric::new(format!("{key}-flat"), format!("… divided by one of {main}"), "1")
                .target(Target::FlatWithin(0.1)),
            Metric::new(format!("{key}-kernel"), format!("… kernel's part, {main}"), "kB"),
        ]);
        metrics.extend(numbers.iter().copied().map(free));
        metrics.extend([
            further(format!("{key}-free-slope")),
            Metric::new(format!("{key}-pss"), format!("… PSS and page tables, {main}"), "kB")
                .recorded(mapped),
            Metric::new(format!("{key}-processes"), "… processes", "1"),
        ]);
        metrics
    }
}

pub(super) fn ends(numbers: &[usize]) -> (usize, usize) {
    (numbers.first().copied().unwrap_or(0), numbers.last().copied().unwrap_or(0))
}

/// The number of containers that most is told about.
pub(super) fn main_number(numbers: &[usize]) -> usize {
    numbers.iter().copied().rfind(|number| *number <= MANY).unwrap_or(ends(numbers).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argh::FromArgs;

    #[test]
    fn there_are_fewer_pods_than_containers_unless_all_are_asked_for() {
        let args = |words: &[&str]| Args::from_args(&["bench"], words).unwrap();
        let few = args(&["-n", "10,50,100,500"]);
        assert_eq!(State::Idle.numbers(&few), [10, 50, 100, 500]);
        assert_eq!(State::Logging.numbers(&few), [10, 50, 100]);
        assert_eq!(State::Pod.numbers(&few), [10, 50]);
        assert_eq!(State::Pod.numbers(&args(&["-n", "20,70", "--full"])), [20, 70]);
    }

    #[test]
    fn pods_have_recorded_figures_where_they_were_counted_the_same_way() {
        let args = Args::from_args(&["bench"], &["-n", "10,50"]).unwrap();
        let recorded = |state: State| -> Vec<(String, f64)> {
            let metrics = state.metrics(&args).into_iter();
            metrics.filter_map(|metric| Some((metric.key, metric.recorded?))).collect()
        };
        let keys = [
            ("pod-memory-10", 616.0),
            ("pod-memory-50", 616.0),
            ("pod-memory-slope", 616.0),
            ("pod-memory-free-10", 616.0),
            ("pod-memory-free-50", 616.0),
            ("pod-memory-free-slope", 616.0),
            ("pod-memory-pss", 584.0),
        ];
        assert_eq!(recorded(State::Pod), keys.map(|(key, value)| (key.to_string(), value)));
        assert_eq!(recorded(State::Idle), []);
    }
}
