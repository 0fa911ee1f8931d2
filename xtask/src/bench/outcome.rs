//! What a measurement came to: ours, theirs, and whether that is what we want.

use super::stats::Summary;
use super::{Metric, Target};
use crate::report;
use serde_json::{Value, json};

/// A metric with both sides' results; None where it could not be measured.
pub(crate) struct Outcome {
    metric: &'static str,
    unit: &'static str,
    target: Target,
    ours: Option<Summary>,
    theirs: Option<Summary>,
}

impl Outcome {
    pub(crate) fn of(metric: &Metric, ours: Vec<f64>, theirs: Vec<f64>) -> Outcome {
        Outcome {
            metric: metric.name,
            unit: metric.unit,
            target: metric.target,
            ours: Summary::of(ours),
            theirs: Summary::of(theirs),
        }
    }

    fn ratio(&self) -> Option<f64> {
        let ratio = self.ours?.median / self.theirs?.median;
        // Nothing divided by nothing is no ratio.
        ratio.is_finite().then_some(ratio)
    }

    /// Whether the target is met; None if there is none, or nothing to compare.
    pub(crate) fn met(&self) -> Option<bool> {
        let ratio = self.ratio()?;
        match self.target {
            Target::AtMost(limit) => Some(ratio <= limit),
            Target::AtLeast(limit) => Some(ratio >= limit),
            Target::Open => None,
        }
    }

    fn target(&self) -> String {
        match self.target {
            Target::AtMost(limit) => format!("≤ {limit}"),
            Target::AtLeast(limit) => format!("≥ {limit}"),
            Target::Open => String::new(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let value =
            |summary: Option<Summary>| summary.map_or("-".into(), |summary| digits(summary.median));
        let spread = |summary: Option<Summary>| {
            summary.map_or("-".into(), |summary| {
                format!("{}–{}", digits(summary.lower), digits(summary.upper))
            })
        };
        let ratio = self.ratio().map_or("-".into(), |ratio| format!("{ratio:.2}"));
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        vec![
            format!("{} ({})", self.metric, self.unit),
            value(self.ours),
            spread(self.ours),
            value(self.theirs),
            spread(self.theirs),
            ratio,
            self.target(),
            verdict.into(),
        ]
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// All results, one line each.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let head =
        ["median, middle half of the rounds", "ours", "", "theirs", "", "ratio", "target", ""];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(outcomes.iter().map(Outcome::cells));
    report::table(&rows)
}

/// All results, for programs.
pub(crate) fn json(outcomes: &[Outcome]) -> Value {
    let side = |summary: Option<Summary>| {
        summary.map(|summary| {
            json!({"median": summary.median, "lower_quartile": summary.lower, "upper_quartile": summary.upper,
                   "rounds": summary.count})
        })
    };
    let one = |outcome: &Outcome| {
        json!({"metric": outcome.metric, "unit": outcome.unit, "ours": side(outcome.ours),
               "theirs": side(outcome.theirs), "ratio": outcome.ratio(), "target": outcome.target(),
               "met": outcome.met()})
    };
    Value::Array(outcomes.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(target: Target, ours: f64, theirs: f64) -> Outcome {
        Outcome::of(&Metric { name: "m", unit: "kB", target }, vec![ours], vec![theirs])
    }

    #[test]
    fn a_target_is_a_limit_on_the_ratio() {
        assert_eq!(outcome(Target::AtMost(0.25), 1.0, 4.0).met(), Some(true));
        assert_eq!(outcome(Target::AtMost(0.25), 1.1, 4.0).met(), Some(false));
        assert_eq!(outcome(Target::AtLeast(1.3), 1.2, 1.0).met(), Some(false));
        assert_eq!(outcome(Target::Open, 1.0, 1.0).met(), None);
    }

    #[test]
    fn what_could_not_be_measured_is_a_dash() {
        let nothing =
            Outcome::of(&Metric { name: "m", unit: "s", target: Target::Open }, vec![], vec![]);
        assert_eq!(nothing.cells()[1], "-");
        assert_eq!(nothing.met(), None);
    }
}
