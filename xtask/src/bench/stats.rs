//! Medians and quartiles.

/// What is left of many values: the middle one, and the middle half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) count: usize,
}

impl Summary {
    /// None if there are no values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Summary> {
        let mut at = |share| Summary::at(&mut values, share);
        let (median, lower, upper) = (at(0.5)?, at(0.25)?, at(0.75)?);
        Some(Summary { median, lower, upper, count: values.len() })
    }

    /// The value that this share of all values does not exceed, between two of them if need be; None if there are none.
    pub(crate) fn at(values: &mut [f64], share: f64) -> Option<f64> {
        values.sort_by(f64::total_cmp);
        let place = share * (values.len().checked_sub(1)? as f64);
        let below = values.get(place.floor() as usize)?;
        let above = values.get(place.ceil() as usize)?;
        Some(below + (above - below) * place.fract())
    }
}

/// The middle value; 0 for none.
pub(crate) fn median(values: Vec<f64>) -> f64 {
    Summary::of(values).map_or(0.0, |summary| summary.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_the_quartiles_at_the_edges_of_the_middle_half() {
        let summary = Summary { median: 3.0, lower: 2.0, upper: 4.0, count: 5 };
        assert_eq!(Summary::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]), Some(summary));
        assert_eq!(median(vec![1.0, 2.0]), 1.5);
        assert_eq!(Summary::of(vec![]), None);
    }

    #[test]
    fn few_values_are_above_the_ninety_ninth_percentile() {
        let mut values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(Summary::at(&mut values, 0.99), Some(99.0));
    }
}
