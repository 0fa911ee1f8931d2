//! The figures in README.md, so that they always come from a run.

use super::machine::Machine;
use super::outcome::{Outcome, number, value, verdict};
use super::plot;
use crate::report::{Context, Result, root};
use std::fs;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// Replaces what stands between the two marks.
pub(super) fn write(outcomes: &[Outcome], machine: &Machine, rounds: usize) -> Result<()> {
    let path = root().join("README.md");
    let old = fs::read_to_string(&path).context("cannot read README.md")?;
    let charts: Vec<&str> =
        plot::files().filter(|file| root().join("docs").join(file).exists()).collect();
    let new = replaced(&old, &block(outcomes, machine, rounds, &charts))
        .context("README.md has lost the marks `measured: begin` and `measured: end`")?;
    fs::write(&path, new).context("cannot write README.md")
}

fn replaced(page: &str, block: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{block}{END}{after}"))
}

/// Words, table and charts, each paragraph one line.
fn block(outcomes: &[Outcome], machine: &Machine, rounds: usize, charts: &[&str]) -> String {
    let rival = machine.rival();
    let mut text = format!(
        "Made with `{}` on {} cores ({}), Linux {}: medians of {rounds} rounds, all beside {rival} in the same run. \
         The ratio is what carries over to your machine; the floor is what any program would need.\n\n",
        machine.command, machine.processors, machine.processor, machine.kernel,
    );
    text += &format!(
        "| | conmote | {rival} | ratio | wanted | | floor |\n|---|--:|--:|--:|--:|---|--:|\n"
    );
    for outcome in outcomes.iter().filter(|outcome| outcome.metric.headline) {
        let floor = outcome.floor.map_or(String::new(), |floor| value(Some(floor)));
        let cells = [
            format!("{} ({})", outcome.metric.name, outcome.metric.unit),
            value(outcome.ours),
            value(outcome.theirs),
            number(outcome.ratio()),
            outcome.target(),
            verdict(outcome.met()).to_lowercase(),
            floor,
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    if !charts.is_empty() {
        text.push('\n');
    }
    for file in charts {
        text += &format!("![{}](docs/{file})\n", file.trim_end_matches(".svg"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Metric, Target};
    use super::*;

    fn machine() -> Machine {
        Machine {
            processors: 2,
            processor: "AMD".into(),
            kernel: "6.1".into(),
            theirs: "conmon version 2.1.6".into(),
            command: "cargo xtask bench --readme".into(),
        }
    }

    #[test]
    fn only_what_stands_between_the_marks_is_replaced() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(replaced(&page, "new\n"), Some(format!("a\n{BEGIN}new\n{END}b\n")));
        assert_eq!(replaced("a\n", "new\n"), None);
    }

    #[test]
    fn the_block_names_machine_command_and_verdict() {
        let metric = || Metric::new("k", "idle container", "kB").target(Target::AtMost(0.19));
        let shown = Outcome::of(metric().headline(), [vec![80.0], vec![500.0], vec![70.0]]);
        let hidden = Outcome::of(metric(), [vec![1.0], vec![1.0], vec![]]);
        let text = block(&[shown, hidden], &machine(), 5, &["memory.svg"]);
        let row = "| idle container (kB) | 80.0 | 500 | 0.16 | ≤ 0.19 | met | 70.0 |\n";
        for part in
            [row, "`cargo xtask bench --readme`", "2 cores (AMD)", "Linux 6.1", "(docs/memory.svg)"]
        {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert_eq!(text.matches("idle container").count(), 1);
    }
}
