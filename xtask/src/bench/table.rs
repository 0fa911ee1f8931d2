//! Results in words and digits, and all of them as a table.

use super::outcome::Outcome;
use super::recorded::PROGRAM;
use super::stats::Summary;
use crate::report;

fn cells(outcome: &Outcome) -> Vec<String> {
    let wanted_of_floor = outcome.metric.of_floor.map(|share| format!("≥ {share}"));
    vec![
        format!("{} ({})", outcome.metric.name, outcome.metric.unit),
        value(outcome.ours),
        spread(outcome.ours),
        theirs(outcome),
        spread(outcome.theirs),
        number(outcome.ratio()),
        outcome.target(),
        words(outcome),
        value(outcome.floor),
        number(outcome.of_floor()),
        wanted_of_floor.unwrap_or_default(),
        verdict(outcome.near_floor()).into(),
    ]
}

/// What has become of the target.
pub(super) fn words(outcome: &Outcome) -> String {
    match outcome.of_floor() {
        Some(times) if outcome.is_beyond_floor() => format!("floor × {times:.2}"),
        _ => verdict(outcome.met()).into(),
    }
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    }
}

/// A median, or a dash.
pub(super) fn value(summary: Option<Summary>) -> String {
    summary.map_or("-".into(), |summary| digits(summary.median))
}

/// Theirs, as measured, or as recorded, which is said.
pub(super) fn theirs(outcome: &Outcome) -> String {
    let recorded = outcome.recorded().map(|figure| format!("{} (ref.)", digits(figure)));
    recorded.unwrap_or_else(|| value(outcome.theirs))
}

/// What `(ref.)` means, in a sentence; None where it does not appear.
pub(super) fn about_recorded<'a>(
    outcomes: impl IntoIterator<Item = &'a Outcome>,
) -> Option<String> {
    let any = outcomes.into_iter().any(|outcome| outcome.recorded().is_some());
    any.then(|| {
        format!(
            "(ref.): figures of {PROGRAM} (static, on 2 cores) that were recorded once, not in this run; give \
             `--conmonrs PATH` for a comparison in one run."
        )
    })
}

fn spread(summary: Option<Summary>) -> String {
    summary.map_or(String::new(), |summary| {
        format!("{}–{}", digits(summary.lower), digits(summary.upper))
    })
}

pub(super) fn number(ratio: Option<f64>) -> String {
    ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))
}

/// Three digits that count.
pub(super) fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All results, one line each, and how many targets are met.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let head = [
        "median, middle half of the rounds",
        "ours",
        "",
        "theirs",
        "",
        "ratio",
        "target",
        "",
        "floor",
        "of it",
        "target",
        "",
    ];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(outcomes.iter().map(cells));
    let verdicts =
        || outcomes.iter().flat_map(|outcome| [outcome.met(), outcome.near_floor()]).flatten();
    let met = verdicts().filter(|met| *met).count();
    let about = about_recorded(outcomes).map_or(String::new(), |sentence| sentence + "\n");
    format!("{}{about}{met} of {} targets met\n", report::table(&rows), verdicts().count())
}

#[cfg(test)]
mod tests {
    use super::super::measure::{Metric, Rival, Target};
    use super::super::outcome::tests::{outcome, recorded};
    use super::*;

    #[test]
    fn what_could_not_be_measured_is_a_dash() {
        let metric = Metric::new("m", "m", "s").target(Target::AtMost(1.0)).of_floor(0.8);
        let nothing = Outcome::of(metric, Rival::Conmon, [vec![], vec![], vec![]]);
        assert_eq!(cells(&nothing)[1], "-");
        assert_eq!((nothing.met(), nothing.near_floor()), (None, None));
        assert!(table(&[nothing]).ends_with("\n0 of 0 targets met\n"));
    }

    #[test]
    fn recorded_figures_are_marked_and_explained() {
        let shown = table(&[recorded(vec![])]);
        for part in ["500 (ref.)", "0.20", "not in this run"] {
            assert!(shown.contains(part), "no {part} in {shown}");
        }
        for measured in [recorded(vec![400.0]), outcome(Target::Open, 1.0, 1.0, 1.0)] {
            assert!(!table(&[measured]).contains("ref."));
        }
    }
}
