//! Children that ended before anybody said what they were.

/// How many are remembered. The time between a container's death and its
/// worker's message is milliseconds; in it, so many orphans may end.
const MANY: usize = 64;

/// The last of them, by pid.
pub(super) struct Reaped {
    next: usize,
    /// Pid and status; pid 0: none.
    ends: [(i32, i32); MANY],
}

impl Reaped {
    /// None so far.
    pub(super) const fn new() -> Self {
        Reaped { next: 0, ends: [(0, 0); MANY] }
    }

    /// Remembers one; the oldest is forgotten.
    pub(super) fn put(&mut self, pid: i32, status: i32) {
        if let Some(place) = self.ends.get_mut(self.next) {
            *place = (pid, status);
        }
        self.next = (self.next + 1) % MANY;
    }

    /// The status of the last with that pid, once.
    pub(super) fn take(&mut self, pid: i32) -> Option<i32> {
        let (newer, older) = self.ends.split_at_mut_checked(self.next)?;
        let mut ends = newer.iter_mut().rev().chain(older.iter_mut().rev());
        let found = ends.find(|end| end.0 == pid && pid != 0)?;
        let (_, status) = core::mem::take(found);
        Some(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_end_of_a_pid_is_known_once() {
        let mut reaped = Reaped::new();
        reaped.put(7, 1);
        reaped.put(8, 2);
        reaped.put(7, 3);
        assert_eq!(reaped.take(7), Some(3));
        assert_eq!(reaped.take(7), Some(1));
        assert_eq!(reaped.take(7), None);
        assert_eq!(reaped.take(0), None);
        assert_eq!(reaped.take(8), Some(2));
    }

    #[test]
    fn only_the_oldest_are_forgotten() {
        let mut reaped = Reaped::new();
        for pid in 1..=MANY as i32 + 3 {
            reaped.put(pid, pid);
        }
        assert_eq!(reaped.take(3), None);
        assert_eq!(reaped.take(4), Some(4));
        // Across the seam, too, the newest comes first.
        reaped.put(6, 99);
        assert_eq!(reaped.take(6), Some(99));
        assert_eq!(reaped.take(6), Some(6));
    }
}
