//! Local time for the log-writer, which has no time-zone library: a list of
//! when which offset begins to hold.

use std::time::{SystemTime, UNIX_EPOCH};

use tz::TimeZone;

/// How far into the future the list goes, in seconds: sixteen years, far
/// beyond the life of a container and the reach of today's time-zone laws.
const HORIZON: i64 = 16 * 366 * 86_400;
/// No two changes of a zone that has any regular ones are closer, in seconds:
/// Ramadan in Morocco keeps its exception for a month.
const STEP: i64 = 20 * 86_400;

/// Seconds since the epoch, and the seconds east of UTC that hold from then
/// on; the first entry holds now. An unknown zone is UTC.
pub fn offsets() -> Vec<(i64, i32)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let zone = local();
    changes(i64::try_from(now).unwrap_or(0), |time| {
        zone.find_local_time_type(time).map_or(0, |found| found.ut_offset())
    })
}

/// The zone that `TZ` names (tzset(3)), else that of `/etc/localtime`.
fn local() -> TimeZone {
    let zone = match std::env::var("TZ") {
        Ok(name) if name.is_empty() => Ok(TimeZone::utc()),
        Ok(name) => TimeZone::from_posix_tz(name.strip_prefix(':').unwrap_or(&name)),
        Err(_) => TimeZone::local(),
    };
    zone.unwrap_or_else(|_| TimeZone::utc())
}

/// The changes of `offset` from `now` to the horizon, to the second.
fn changes(now: i64, offset: impl Fn(i64) -> i32) -> Vec<(i64, i32)> {
    let mut list = vec![(i64::MIN, offset(now))];
    // A zone without changes has the same offset at the farthest summer and
    // winter, too; most containers run in UTC.
    let mut before = now;
    while before < now + HORIZON {
        let after = before + STEP;
        if offset(after) != offset(before) {
            let (mut low, mut high) = (before, after);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if offset(middle) == offset(before) { low = middle } else { high = middle }
            }
            list.push((high, offset(high)));
            before = high;
        } else {
            before = after;
        }
    }
    list
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_without_changes_is_one_entry() {
        assert_eq!(changes(1_700_000_000, |_| 19_800), [(i64::MIN, 19_800)]);
    }

    #[test]
    fn every_change_of_a_zone_with_summer_time_is_found_to_the_second() {
        let zone = TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let offset = |time| zone.find_local_time_type(time).map_or(0, |found| found.ut_offset());
        // 2026-01-01 00:00:00 UTC
        let list = changes(1_767_225_600, offset);
        assert_eq!(list[0], (i64::MIN, 3600));
        // 2026-03-29 01:00:00 UTC and 2026-10-25 01:00:00 UTC
        assert_eq!(list[1..3], [(1_774_746_000, 7200), (1_792_890_000, 3600)]);
        assert!(list.len() > 30);
    }
}
