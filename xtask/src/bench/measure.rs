//! The words of a measurement: what is measured of whom, and what is wanted.

use super::Args;
use crate::report::Result;

/// Something to measure: one sample gives one number for each metric.
pub(crate) struct Measure {
    /// What `--only` says; a part of it, up to a hyphen, chooses all that begin so.
    pub(crate) name: &'static str,
    pub(crate) metrics: fn(&Args) -> Vec<Metric>,
    /// Who is theirs.
    pub(crate) rival: Rival,
    /// Who can be measured.
    pub(crate) sides: &'static [Side],
    pub(crate) turns: Turns,
    /// Takes one sample; None for a metric that cannot be measured on this machine, or of this side.
    pub(crate) sample: fn(&Args, Side) -> Result<Vec<Option<f64>>>,
}

/// The program that ours is compared with, and whose part ours plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    /// One for each container; ours is `monitor`.
    Conmon,
    /// One for each pod; ours is `monitor` under that name.
    Conmonrs,
}

impl Rival {
    pub(crate) const ALL: [Rival; 2] = [Rival::Conmon, Rival::Conmonrs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Rival::Conmon => "conmon",
            Rival::Conmonrs => "conmonrs",
        }
    }
}

/// Whom a sample is taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
    /// The least that any program would need for the same.
    Floor,
}

impl Side {
    pub(crate) const ALL: [Side; 3] = [Side::Ours, Side::Theirs, Side::Floor];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Ours => "ours",
            Side::Theirs => "theirs",
            Side::Floor => "floor",
        }
    }
}

impl std::str::FromStr for Side {
    type Err = String;

    fn from_str(name: &str) -> Result<Side> {
        let found = Side::ALL.into_iter().find(|side| side.name() == name);
        found.ok_or_else(|| format!("no side of a measurement: {name}"))
    }
}

/// The sides of a comparison.
pub(crate) const BOTH: &[Side] = &[Side::Ours, Side::Theirs];

/// How often each side gets its turn: more often for what is quick, and easily disturbed.
#[derive(Clone, Copy)]
pub(crate) enum Turns {
    /// In every second round.
    Few,
    /// Once a round.
    Once,
    /// Twice a round.
    Twice,
    /// Four times a round.
    Many,
}

impl Turns {
    pub(crate) fn of(self, rounds: usize) -> usize {
        match self {
            Turns::Few => rounds.div_ceil(2),
            Turns::Once => rounds,
            Turns::Twice => rounds * 2,
            Turns::Many => rounds * 4,
        }
    }
}

/// One number of a measure, and what it should be.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    /// Stays the same when the words change: for programs, and to find it again.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    /// What theirs was once, see `recorded`: to compare with where theirs is not measured.
    pub(crate) recorded: Option<f64>,
    /// How much of the floor's number ours should reach at least; for numbers of which more is better.
    pub(crate) of_floor: Option<f64>,
    /// Shown in the README.
    pub(crate) headline: bool,
}

impl Metric {
    pub(crate) fn new(
        key: impl Into<String>,
        name: impl Into<String>,
        unit: &'static str,
    ) -> Metric {
        Metric {
            key: key.into(),
            name: name.into(),
            unit,
            target: Target::Open,
            recorded: None,
            of_floor: None,
            headline: false,
        }
    }

    pub(crate) fn target(self, target: Target) -> Metric {
        Metric { target, ..self }
    }

    pub(crate) fn recorded(self, theirs: Option<f64>) -> Metric {
        Metric { recorded: theirs, ..self }
    }

    pub(crate) fn of_floor(self, share: f64) -> Metric {
        Metric { of_floor: Some(share), ..self }
    }

    pub(crate) fn headline(self) -> Metric {
        Metric { headline: true, ..self }
    }
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// Ours divided by theirs.
    AtMost(f64),
    /// Ours divided by theirs.
    AtLeast(f64),
    /// Ours alone: that far from 1 at most.
    FlatWithin(f64),
    /// Ours alone, in the metric's unit: not more.
    Below(f64),
    /// Ours alone.
    Zero,
    Open,
}
