//! Time stamps of log records: `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn±HH:MM`, local
//! time with its distance from UTC (RFC 3339).

use rustix::time::Timespec;
use wire::Record;
use wire::{AsFd, BorrowedFd};

/// Bytes of a stamp.
pub(crate) const LEN: usize = 35;

/// A stamp.
pub(crate) type Stamp = [u8; LEN];

/// The time now. By system call: the faster way, through the vDSO, is two
/// kilobytes of code, for one call a chunk.
pub(crate) fn now() -> Timespec {
    let (seconds, nanoseconds) = wire::sys::clock(wire::sys::CLOCK_REALTIME);
    Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() }
}

/// What local time is, as far as it has been looked up.
pub(crate) struct Zone {
    /// Seconds east of UTC.
    offset: i32,
    /// From when (seconds since the epoch) that has to be looked up again.
    until: i64,
}

impl Zone {
    /// Nothing looked up yet.
    pub(crate) const fn new() -> Self {
        Zone { offset: 0, until: i64::MIN }
    }

    /// The stamp for `now`, by the time zone in the container's record.
    pub(crate) fn stamp(&mut self, now: Timespec, record: BorrowedFd<'_>) -> Stamp {
        if now.tv_sec >= self.until {
            (self.offset, self.until) = match Record::map(record.as_fd()) {
                Ok(record) => record.fields().zone(now.tv_sec),
                // Without a record local time is UTC.
                Err(_) => (0, i64::MAX),
            };
        }
        format(now, self.offset)
    }
}

/// The stamp for `now` (since the epoch) at `offset` seconds east of UTC.
/// Years after 9999 lose their first digits.
pub(crate) fn format(now: Timespec, offset: i32) -> Stamp {
    let local = now.tv_sec.saturating_add(i64::from(offset));
    let (year, month, day) = date(local.div_euclid(86_400));
    let second = local.rem_euclid(86_400) as u32;
    let minutes = offset.unsigned_abs() / 60;

    let mut stamp = *b"0000-00-00T00:00:00.000000000+00:00";
    let mut put = |at: usize, width: usize, value: u32| {
        let digits = stamp.iter_mut().skip(at).take(width).rev();
        let mut rest = value;
        for digit in digits {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, second / 3600);
    put(14, 2, second / 60 % 60);
    put(17, 2, second % 60);
    put(20, 9, now.tv_nsec as u32);
    put(30, 2, minutes / 60);
    put(33, 2, minutes % 60);
    if offset < 0
        && let Some(sign) = stamp.get_mut(29)
    {
        *sign = b'-';
    }
    stamp
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian
/// calendar. Counts in eras of 400 years (146 097 days) that begin on a first
/// of March, so that the leap day is the last of its year.
fn date(days: i64) -> (u32, u32, u32) {
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    let days = days + EPOCH;
    let era = days.div_euclid(146_097);
    let day = days.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months since March; 153 days are five months, wherever one begins.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = (year + next + era * 400).rem_euclid(10_000);
    (year as u32, month as u32, day as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::record::{Encoder, seal};

    fn at(tv_sec: i64, tv_nsec: i64, offset: i32) -> String {
        let stamp = format(Timespec { tv_sec, tv_nsec }, offset);
        String::from_utf8(stamp.to_vec()).unwrap()
    }

    #[test]
    fn stamps_are_local_time_with_nanoseconds_and_offset() {
        assert_eq!(at(0, 0, 0), "1970-01-01T00:00:00.000000000+00:00");
        // Leap days, by `date -u -d @N`.
        assert_eq!(at(951_782_400, 1, 0), "2000-02-29T00:00:00.000000001+00:00");
        assert_eq!(at(1_709_251_199, 999_999_999, 0), "2024-02-29T23:59:59.999999999+00:00");
        assert_eq!(at(4_107_542_400, 0, 0), "2100-03-01T00:00:00.000000000+00:00");
        assert_eq!(at(1_735_689_599, 5, 5 * 3600 + 45 * 60), "2025-01-01T05:44:59.000000005+05:45");
        assert_eq!(at(1_735_689_600, 0, -(3 * 3600 + 1800)), "2024-12-31T20:30:00.000000000-03:30");
        assert_eq!(at(-1, 0, 0), "1969-12-31T23:59:59.000000000+00:00");
    }

    #[test]
    fn the_change_to_summer_time_is_seen_when_it_comes() {
        let mut bytes = Vec::new();
        Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece))
            .zone(i64::MIN, 3600)
            .zone(1000, 7200);
        let record = seal(&bytes).unwrap();
        let mut zone = Zone::new();
        let mut hour = |tv_sec| {
            let stamp = zone.stamp(Timespec { tv_sec, tv_nsec: 0 }, record.as_fd());
            String::from_utf8(stamp[11..].to_vec()).unwrap()
        };
        assert_eq!(hour(999), "01:16:39.000000000+01:00");
        assert_eq!(hour(1000), "02:16:40.000000000+02:00");
    }

    proptest! {
        #[test]
        fn days_follow_each_other(day in -1_000_000..2_000_000i64) {
            let (y, m, d) = date(day);
            let next = date(day + 1);
            prop_assert!((1..=12).contains(&m) && (1..=31).contains(&d));
            let first_of_month = next.2 == 1 && (next.1 == m + 1 || (m == 12 && next.1 == 1 && next.0 == (y + 1) % 10_000));
            prop_assert!(next == (y, m, d + 1) || (first_of_month && d >= 28));
        }

        #[test]
        fn no_time_panics(sec in any::<i64>(), nsec in 0..1_000_000_000i64, offset in -86_399..=86_399i32) {
            let stamp = format(Timespec { tv_sec: sec, tv_nsec: nsec }, offset);
            prop_assert!(stamp.is_ascii());
        }
    }
}
