//! Looking at memory while more and more containers come.

use super::super::cgroup::{Charged, Group, Groups};
use super::super::system::{System, share};
use super::state::{ends, main_number};
use crate::report::Result;

/// What was seen when so many containers were there, all in bytes and all together.
pub(super) struct Look {
    pub(super) taken: f64,
    charged: Option<f64>,
    kernel: Option<f64>,
    mapped: Option<f64>,
    processes: Option<f64>,
}

/// One thing that was seen.
type Value = fn(&Look) -> Option<f64>;

/// Looks at each of these numbers of containers, less what was there before the first; each time after `rest`, which is
/// told how many there are.
pub(super) fn looks(
    numbers: &[usize],
    groups: Option<&Groups>,
    mut one_more: impl FnMut() -> Result<()>,
    rest: impl Fn(usize) -> Result<()>,
) -> Result<Vec<Look>> {
    let before = System::at_rest()?;
    let base = groups.map(|groups| groups.monitors.charged()).transpose()?;
    let before_mapped: f64 = groups.map_or(0.0, |groups| mapped(&groups.monitors));
    let before_processes = groups.map_or(0, |groups| groups.monitors.processes().len());
    let mut looks = vec![];
    let mut there = 0;
    for number in numbers {
        while there < *number {
            one_more()?;
            there += 1;
        }
        rest(there)?;
        let now = System::settled()?;
        let charged = groups.map(|groups| groups.monitors.charged()).transpose()?;
        let less =
            |value: fn(&Charged) -> f64| Some(value(charged.as_ref()?) - value(base.as_ref()?));
        looks.push(Look {
            taken: before.free - now.free,
            charged: less(|charged| charged.anonymous + charged.kernel + charged.shared),
            kernel: less(|charged| charged.kernel),
            mapped: groups.map(|groups| mapped(&groups.monitors) - before_mapped),
            processes: groups
                .map(|groups| (groups.monitors.processes().len() - before_processes) as f64),
        });
    }
    Ok(looks)
}

fn mapped(group: &Group) -> f64 {
    group.processes().into_iter().map(share).sum()
}

/// The values for `State::metrics`.
pub(super) fn values(numbers: &[usize], looks: &[Look]) -> Vec<Option<f64>> {
    let per = |bytes: f64, number: usize| bytes / 1024.0 / number as f64;
    let main = main_number(numbers);
    let (first, last) = ends(numbers);
    let of_main = |value: Value| {
        let at = numbers.iter().position(|number| *number == main);
        at.and_then(|at| looks.get(at)).and_then(value)
    };
    let each = |value: Value| -> Vec<Option<f64>> {
        let of = |(number, look): (&usize, &Look)| Some(per(value(look)?, *number));
        numbers.iter().zip(looks).map(of).collect()
    };
    let slope = |value: Value| {
        let (begin, end) = (value(looks.first()?)?, value(looks.last()?)?);
        (last > first).then(|| per(end - begin, last - first))
    };
    let (charged, taken): (Value, Value) = (|look| look.charged, |look| Some(look.taken));
    let flat = slope(charged).zip(of_main(charged)).map(|(slope, all)| slope / per(all, main));
    let kb = |value| of_main(value).map(|bytes| per(bytes, main));
    let mut values = each(charged);
    values.extend([slope(charged), flat, kb(|look| look.kernel)]);
    values.extend(each(taken));
    values.extend([
        slope(taken),
        kb(|look| look.mapped),
        of_main(|look| look.processes).map(|count| count / main as f64),
    ]);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(bytes: f64) -> Look {
        let charged = Some(bytes / 2.0);
        Look { taken: bytes, charged, kernel: None, mapped: None, processes: Some(200.0) }
    }

    #[test]
    fn the_slope_is_what_one_more_costs() {
        let kb = 1024.0;
        let looks = [look(10.0 * 90.0 * kb), look(100.0 * 80.0 * kb), look(500.0 * 80.0 * kb)];
        let values = values(&[10, 100, 500], &looks);
        let slope = (40000.0 - 900.0) / 490.0;
        assert_eq!(values[..4], [Some(45.0), Some(40.0), Some(40.0), Some(slope / 2.0)]);
        assert!((values[4].unwrap() - 1.0).abs() < 0.01);
        assert_eq!(values[5..10], [None, Some(90.0), Some(80.0), Some(80.0), Some(slope)]);
        assert_eq!(values[10..], [None, Some(2.0)]);
    }

    #[test]
    fn a_single_number_has_no_slope() {
        let values = values(&[100], &[look(100.0 * 1024.0)]);
        let expected = [Some(0.5), None, None, None, Some(1.0), None, None, Some(2.0)];
        assert_eq!(values, expected);
    }
}
