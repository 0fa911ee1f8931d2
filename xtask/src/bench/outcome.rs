//! What a measurement came to: ours, theirs, the floor, and whether that is what we want.

use super::measure::{Metric, Rival, Side, Target};
use super::stats::Summary;
use serde_json::{Value, json};

/// A metric with the results of all sides; None where it could not be measured.
pub(crate) struct Outcome {
    pub(crate) metric: Metric,
    pub(crate) rival: Rival,
    pub(crate) ours: Option<Summary>,
    pub(crate) theirs: Option<Summary>,
    pub(crate) floor: Option<Summary>,
}

impl Outcome {
    /// `values` in the order of `Side::ALL`.
    pub(crate) fn of(metric: Metric, rival: Rival, values: [Vec<f64>; 3]) -> Outcome {
        let [ours, theirs, floor] = values.map(Summary::of);
        Outcome { metric, rival, ours, theirs, floor }
    }

    pub(crate) fn side(&self, side: Side) -> Option<Summary> {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
            Side::Floor => self.floor,
        }
    }

    /// What theirs was once, if nobody has measured it now.
    pub(crate) fn recorded(&self) -> Option<f64> {
        self.metric.recorded.filter(|_| self.theirs.is_none())
    }

    /// Ours divided by theirs, as measured or as recorded.
    pub(crate) fn ratio(&self) -> Option<f64> {
        ratio(self.ours, median(self.theirs).or(self.recorded()))
    }

    /// Ours divided by the floor.
    pub(crate) fn of_floor(&self) -> Option<f64> {
        ratio(self.ours, median(self.floor))
    }

    /// Whether the target is missed, and not even the floor would meet it: then the floor is what to compare with.
    pub(crate) fn is_beyond_floor(&self) -> bool {
        let theirs = median(self.theirs).or(self.recorded());
        let above = |ratio: Option<f64>, limit: f64| ratio.is_some_and(|ratio| ratio > limit);
        match self.metric.target {
            Target::AtMost(limit) => {
                above(self.ratio(), limit) && above(ratio(self.floor, theirs), limit)
            }
            _ => false,
        }
    }

    /// Whether the target is met; None if there is none, nothing to compare, or nobody could.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.metric.target {
            Target::AtMost(_) if self.is_beyond_floor() => None,
            Target::AtMost(limit) => self.ratio().map(|ratio| ratio <= limit),
            Target::AtLeast(limit) => self.ratio().map(|ratio| ratio >= limit),
            Target::FlatWithin(limit) => self.ours.map(|ours| (ours.median - 1.0).abs() <= limit),
            Target::Below(limit) => self.ours.map(|ours| ours.median <= limit),
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
            Target::Below(limit) => format!("≤ {limit} {}", self.metric.unit),
            Target::Zero => "0".into(),
            Target::Open => String::new(),
        }
    }
}

fn median(summary: Option<Summary>) -> Option<f64> {
    summary.map(|summary| summary.median)
}

fn ratio(above: Option<Summary>, below: Option<f64>) -> Option<f64> {
    let (above, below) = (above?.median, below?);
    // Nothing divided by nothing is no ratio; and less than nothing is noise.
    (above >= 0.0 && below > 0.0).then(|| above / below)
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
               "rival": outcome.rival.name(), "ours": side(outcome.ours), "theirs": side(outcome.theirs),
               "theirs_recorded": outcome.recorded(), "floor": side(outcome.floor),
               "ratio": outcome.ratio(), "target": outcome.target(), "met": outcome.met(),
               "beyond_floor": outcome.is_beyond_floor(),
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
        Outcome::of(metric, Rival::Conmon, [vec![ours], vec![theirs], vec![floor]])
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
    fn a_target_that_not_even_the_floor_meets_is_not_missed() {
        let beyond = |ours, floor| {
            let outcome = outcome(Target::AtMost(0.5), ours, 5.0, floor);
            (outcome.is_beyond_floor(), outcome.met())
        };
        assert_eq!(beyond(3.0, 2.6), (true, None));
        assert_eq!(beyond(3.0, 2.4), (false, Some(false)));
        assert_eq!(beyond(2.4, 2.6), (false, Some(true)));
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

    /// Ours is 100, and theirs was 500 once.
    pub(crate) fn recorded(theirs: Vec<f64>) -> Outcome {
        let metric = Metric::new("p", "a pod", "kB").target(Target::AtMost(0.2)).headline();
        Outcome::of(metric.recorded(Some(500.0)), Rival::Conmonrs, [vec![100.0], theirs, vec![]])
    }

    #[test]
    fn a_limit_on_ours_alone_is_in_its_unit() {
        let below = |ours| outcome(Target::Below(80.0), ours, 1.0, 1.0);
        assert_eq!((below(80.0).met(), below(80.1).met()), (Some(true), Some(false)));
        assert_eq!(below(1.0).target(), "≤ 80 kB");
    }

    #[test]
    fn a_recorded_figure_stands_in_for_one_that_is_not_measured() {
        let alone = recorded(vec![]);
        assert_eq!((alone.recorded(), alone.ratio()), (Some(500.0), Some(0.2)));
        assert_eq!(alone.met(), Some(true));
        let beside = recorded(vec![400.0]);
        assert_eq!((beside.recorded(), beside.ratio()), (None, Some(0.25)));
        assert_eq!(beside.met(), Some(false));
        let all = json(&[alone, beside]);
        assert_eq!((&all[0]["theirs"], &all[0]["theirs_recorded"]), (&Value::Null, &json!(500.0)));
        assert_eq!(
            (&all[1]["rival"], &all[1]["theirs_recorded"]),
            (&json!("conmonrs"), &Value::Null)
        );
    }
}
