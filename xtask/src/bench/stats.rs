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
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * (values.len().checked_sub(1)? as f64);
            let (below, above) =
                (values.get(place.floor() as usize)?, values.get(place.ceil() as usize)?);
            Some(below + (above - below) * place.fract())
        };
        Some(Summary { median: at(0.5)?, lower: at(0.25)?, upper: at(0.75)?, count: values.len() })
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
}
