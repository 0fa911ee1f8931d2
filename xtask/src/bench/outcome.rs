//! What a measurement came to: ours, theirs, the floor, and whether that is what we want.

use super::measure::{Metric, Side, Target};
use super::stats::Summary;
use crate::report;
use serde_json::{Value, json};

/// A metric with the results of all sides; None where it could not be measured.
pub(crate) struct Outcome {
    pub(crate) metric: Metric,
    pub(crate) ours: Option<Summary>,
    pub(crate) theirs: Option<Summary>,
    pub(crate) floor: Option<Summary>,
}

impl Outcome {
    /// `values` in the order of `Side::ALL`.
    pub(crate) fn of(metric: Metric, values: [Vec<f64>; 3]) -> Outcome {
        let [ours, theirs, floor] = values.map(Summary::of);
        Outcome { metric, ours, theirs, floor }
    }

    pub(crate) fn side(&self, side: Side) -> Option<Summary> {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
            Side::Floor => self.floor,
        }
    }

    /// Ours divided by theirs.
    pub(crate) fn ratio(&self) -> Option<f64> {
        ratio(self.ours, self.theirs)
    }

    /// Ours divided by the floor.
    pub(crate) fn of_floor(&self) -> Option<f64> {
        ratio(self.ours, self.floor)
    }

    /// Whether the target is met; None if there is none, or nothing to compare.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.metric.target {
            Target::AtMost(limit) => self.ratio().map(|ratio| ratio <= limit),
            Target::AtLeast(limit) => self.ratio().map(|ratio| ratio >= limit),
            Target::FlatWithin(limit) => self.ours.map(|ours| (ours.median - 1.0).abs() <= limit),
            Target::Zero => self.ours.map(|ours| ours.median == 0.0),
            Target::Open => None,
        }
    }

    /// Whether we are as near to the floor as we want to be.
    pub(crate) fn near_floor(&self) -> Option<bool> {
        Some(self.of_floor()? >= self.metric.of_floor?)
    }

    /// What we want, in a few characters.
    pub(crate) fn target(&self) -> String {
        match self.metric.target {
            Target::AtMost(limit) => format!("≤ {limit}"),
            Target::AtLeast(limit) => format!("≥ {limit}"),
            Target::FlatWithin(limit) => format!("1 ± {limit}"),
            Target::Zero => "0".into(),
            Target::Open => String::new(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let wanted_of_floor = self.metric.of_floor.map(|share| format!("≥ {share}"));
        vec![
            format!("{} ({})", self.metric.name, self.metric.unit),
            value(self.ours),
            spread(self.ours),
            value(self.theirs),
            spread(self.theirs),
            number(self.ratio()),
            self.target(),
            verdict(self.met()).into(),
            value(self.floor),
            number(self.of_floor()),
            wanted_of_floor.unwrap_or_default(),
            verdict(self.near_floor()).into(),
        ]
    }
}

fn ratio(above: Option<Summary>, below: Option<Summary>) -> Option<f64> {
    let (above, below) = (above?.median, below?.median);
    // Nothing divided by nothing is no ratio; and less than nothing is noise.
    (above >= 0.0 && below > 0.0).then(|| above / below)
}

pub(crate) fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    }
}

/// A median, or a dash.
pub(crate) fn value(summary: Option<Summary>) -> String {
    summary.map_or("-".into(), |summary| digits(summary.median))
}

fn spread(summary: Option<Summary>) -> String {
    summary.map_or(String::new(), |summary| {
        format!("{}–{}", digits(summary.lower), digits(summary.upper))
    })
}

pub(crate) fn number(ratio: Option<f64>) -> String {
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
pub(crate) fn table(outcomes: &[Outcome]) -> String {
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
    rows.extend(outcomes.iter().map(Outcome::cells));
    let verdicts =
        || outcomes.iter().flat_map(|outcome| [outcome.met(), outcome.near_floor()]).flatten();
    let met = verdicts().filter(|met| *met).count();
    format!("{}{met} of {} targets met\n", report::table(&rows), verdicts().count())
}

/// All results, for programs.
pub(crate) fn json(outcomes: &[Outcome]) -> Value {
    let side = |summary: Option<Summary>| {
        summary.map(|summary| {
            json!({"median": summary.median, "lower_quartile": summary.lower, "upper_quartile": summary.upper,
                   "samples": summary.count})
        })
    };
    let one = |outcome: &Outcome| {
        json!({"key": outcome.metric.key, "metric": outcome.metric.name, "unit": outcome.metric.unit,
               "ours": side(outcome.ours), "theirs": side(outcome.theirs), "floor": side(outcome.floor),
               "ratio": outcome.ratio(), "target": outcome.target(), "met": outcome.met(),
               "of_floor": outcome.of_floor(), "target_of_floor": outcome.metric.of_floor,
               "near_floor": outcome.near_floor()})
    };
    Value::Array(outcomes.iter().map(one).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn outcome(target: Target, ours: f64, theirs: f64, floor: f64) -> Outcome {
        let metric = Metric::new("m", "a metric", "kB").target(target).of_floor(0.8);
        Outcome::of(metric, [vec![ours], vec![theirs], vec![floor]])
    }

    #[test]
    fn a_target_is_a_limit_on_the_ratio() {
        let met = |target, ours, theirs| outcome(target, ours, theirs, 1.0).met();
        assert_eq!(met(Target::AtMost(0.25), 1.0, 4.0), Some(true));
        assert_eq!(met(Target::AtMost(0.25), 1.1, 4.0), Some(false));
        assert_eq!(met(Target::AtLeast(1.3), 1.2, 1.0), Some(false));
        assert_eq!(met(Target::Open, 1.0, 1.0), None);
    }

    #[test]
    fn some_targets_are_about_ours_alone() {
        let met = |target, ours| outcome(target, ours, 1.0, 1.0).met();
        assert_eq!(met(Target::FlatWithin(0.1), 0.95), Some(true));
        assert_eq!(met(Target::FlatWithin(0.1), 1.2), Some(false));
        assert_eq!(met(Target::Zero, 0.0), Some(true));
        assert_eq!(met(Target::Zero, 1.0), Some(false));
    }

    #[test]
    fn the_floor_has_a_verdict_of_its_own() {
        let near = |ours, floor| outcome(Target::Open, ours, 1.0, floor).near_floor();
        assert_eq!((near(0.9, 1.0), near(0.7, 1.0)), (Some(true), Some(false)));
    }

    #[test]
    fn what_could_not_be_measured_is_a_dash() {
        let metric = Metric::new("m", "m", "s").target(Target::AtMost(1.0)).of_floor(0.8);
        let nothing = Outcome::of(metric, [vec![], vec![], vec![]]);
        assert_eq!(nothing.cells()[1], "-");
        assert_eq!((nothing.met(), nothing.near_floor()), (None, None));
        assert!(table(&[nothing]).ends_with("\n0 of 0 targets met\n"));
    }
}
