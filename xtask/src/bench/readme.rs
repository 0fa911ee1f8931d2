//! The figures in README.md, so that they always come from a run.

use super::machine::Machine;
use super::measure::Rival;
use super::outcome::Outcome;
use super::plot;
use super::table::{about_recorded, number, theirs, value, words};
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

/// Words, tables and charts, each paragraph one line.
fn block(outcomes: &[Outcome], machine: &Machine, rounds: usize, charts: &[&str]) -> String {
    let of = |rival| outcomes.iter().filter(move |outcome: &&Outcome| outcome.rival == rival);
    let measured = |rival: &Rival| of(*rival).any(|outcome| outcome.theirs.is_some());
    let beside: Vec<String> =
        Rival::ALL.into_iter().filter(measured).map(|rival| machine.rival(rival)).collect();
    let beside = match &beside[..] {
        [] => String::new(),
        names => format!(", beside {} in the same run", names.join(" and ")),
    };
    let mut text = format!(
        "Made with `{}` on {} cores ({}), Linux {}: medians of {rounds} rounds{beside}. \
         The ratio is what carries over to your machine; the floor is what any program would need. \
         Where not even the floor would meet a target, the verdict is how far above it we are.\n",
        machine.command, machine.processors, machine.processor, machine.kernel,
    );
    for rival in Rival::ALL {
        let shown: Vec<&Outcome> = of(rival).filter(|outcome| outcome.metric.headline).collect();
        if !shown.is_empty() {
            text += &table(&shown, &machine.rival(rival));
        }
    }
    if !charts.is_empty() {
        text.push('\n');
    }
    for file in charts {
        text += &format!("![{}](docs/{file})\n", file.trim_end_matches(".svg"));
    }
    text
}

/// The results beside one rival, and what has to be said about them.
fn table(outcomes: &[&Outcome], rival: &str) -> String {
    let mut text = format!(
        "\n| | conmote | {rival} | ratio | wanted | | floor |\n|---|--:|--:|--:|--:|---|--:|\n"
    );
    for outcome in outcomes {
        let floor = outcome.floor.map_or(String::new(), |floor| value(Some(floor)));
        let cells = [
            format!("{} ({})", outcome.metric.name, outcome.metric.unit),
            value(outcome.ours),
            theirs(outcome),
            number(outcome.ratio()),
            outcome.target(),
            words(outcome).to_lowercase(),
            floor,
        ];
        text += &format!("| {} |\n", cells.join(" | "));
    }
    if let Some(sentence) = about_recorded(outcomes.iter().copied()) {
        text += &format!("\n{sentence}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Metric, Target};
    use super::super::outcome::tests::recorded;
    use super::*;

    fn machine() -> Machine {
        Machine {
            processors: 2,
            processor: "AMD".into(),
            kernel: "6.1".into(),
            conmon: "conmon version 2.1.6".into(),
            conmonrs: None,
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
        let shown =
            Outcome::of(metric().headline(), Rival::Conmon, [vec![80.0], vec![500.0], vec![70.0]]);
        let hidden = Outcome::of(metric(), Rival::Conmon, [vec![1.0], vec![1.0], vec![]]);
        let text = block(&[shown, hidden], &machine(), 5, &["memory.svg"]);
        let row = "| idle container (kB) | 80.0 | 500 | 0.16 | ≤ 0.19 | met | 70.0 |\n";
        for part in
            [row, "`cargo xtask bench --readme`", "2 cores (AMD)", "Linux 6.1", "(docs/memory.svg)"]
        {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert_eq!(text.matches("idle container").count(), 1);
    }

    #[test]
    fn pods_have_a_table_of_their_own_which_says_what_is_recorded() {
        let metric = Metric::new("k", "idle container", "kB").headline();
        let one = Outcome::of(metric, Rival::Conmon, [vec![80.0], vec![500.0], vec![]]);
        let text = block(&[one, recorded(vec![])], &machine(), 5, &[]);
        for part in [
            "rounds, beside conmon 2.1.6 in the same run.",
            "| | conmote | conmon 2.1.6 |",
            "| idle container (kB) | 80.0 | 500 |",
            "\n\n| | conmote | conmonrs 1.0.1 |",
            "| a pod (kB) | 100 | 500 (ref.) | 0.20 | ≤ 0.2 | met |  |\n\n(ref.): figures of conmonrs 1.0.1",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        let text = block(&[recorded(vec![400.0])], &machine(), 5, &[]);
        assert!(text.contains("beside conmonrs 1.0.1 in the same run") && !text.contains("ref."));
    }
}
