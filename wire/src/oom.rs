//! How often a control group ran out of memory, as the kernel counts it.

use crate::Errno;
use core::ffi::CStr;
use rustix::fs::{Mode, OFlags};

/// Bytes of a counter file that are read. `memory.events` has under 200, of
/// which the lines we want are among the first 100.
const LEN: usize = 512;

/// The counts of `memory.events` (cgroup v2, hierarchy included) or of
/// `memory.oom_control` (cgroup v1, the group alone); see the kernel's
/// admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// `oom`: how often an allocation was about to fail. v2 only.
    pub ooms: Option<u64>,
    /// `oom_kill`: how many processes were killed.
    pub kills: u64,
}

impl Counts {
    /// From the text of such a file. Total: lines that are not understood do
    /// not count. `None` if none says how many were killed.
    pub fn parse(text: &[u8]) -> Option<Counts> {
        let (mut ooms, mut kills) = (None, None);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            // Without its newline, a number may be cut off.
            let Some(line) = line.strip_suffix(b"\n") else { break };
            if let Some(digits) = line.strip_prefix(b"oom ") {
                ooms = ooms.or(number(digits));
            } else if let Some(digits) = line.strip_prefix(b"oom_kill ") {
                kills = kills.or(number(digits));
            }
        }
        Some(Counts { ooms, kills: kills? })
    }

    /// From the file at `path`. Fails with [`Errno::NOENT`] or
    /// [`Errno::NODEV`] when the group is gone, with [`Errno::NOTSUP`] when
    /// the kernel does not count.
    pub fn read(path: &CStr) -> Result<Counts, Errno> {
        let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = [0u8; LEN];
        // One read: the kernel gives such a file as a whole.
        let len = rustix::io::read(&file, &mut text)?;
        Counts::parse(text.get(..len).unwrap_or(&[])).ok_or(Errno::NOTSUP)
    }

    /// Whether memory has run out since it was `before`: a count that has
    /// changed and is not zero.
    pub fn ran_out_since(self, before: Counts) -> bool {
        let changed = |now: u64, before: u64| now != 0 && now != before;
        changed(self.kills, before.kills)
            || changed(self.ooms.unwrap_or(0), before.ooms.unwrap_or(0))
    }
}

/// A decimal number, nothing else. `None` if it does not fit.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(ooms: impl Into<Option<u64>>, kills: u64) -> Counts {
        Counts { ooms: ooms.into(), kills }
    }

    #[test]
    fn both_kinds_of_file_are_understood() {
        let v1 = b"oom_kill_disable 1\nunder_oom 1\noom_kill 3\n";
        assert_eq!(Counts::parse(v1), Some(counts(None, 3)));
        let v2 = b"low 9\nhigh 8\nmax 7\noom 2\noom_kill 1\noom_group_kill 5\n";
        assert_eq!(Counts::parse(v2), Some(counts(2, 1)));
    }

    #[test]
    fn a_file_without_the_count_of_kills_says_nothing() {
        for text in ["", "oom_kill_disable 0\nunder_oom 0\n", "oom_kill 4", "oom_kill -1\n"] {
            assert_eq!(Counts::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Counts::parse(b"oom_kill 99999999999999999999\n"), None);
    }

    #[test]
    fn only_a_count_that_changed_since_then_is_news() {
        assert!(!counts(0, 0).ran_out_since(counts(0, 0)));
        assert!(!counts(4, 2).ran_out_since(counts(4, 2)));
        assert!(counts(4, 3).ran_out_since(counts(4, 2)));
        assert!(counts(5, 2).ran_out_since(counts(4, 2)));
        assert!(counts(None, 1).ran_out_since(counts(None, 0)));
        // A group that was made anew counts from the start.
        assert!(!counts(0, 0).ran_out_since(counts(4, 2)));
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Counts::parse(&text);
        }

        #[test]
        fn whatever_stands_around_them_the_counts_are_found(
            ooms: u64, kills: u64, before in "([a-z_]{1,9} [0-9]{0,9}\n){0,4}"
        ) {
            prop_assume!(!before.contains("oom"));
            let text = format!("{before}oom {ooms}\noom_kill {kills}\nmax 1\noom");
            prop_assert_eq!(Counts::parse(text.as_bytes()), Some(counts(ooms, kills)));
        }
    }
}
