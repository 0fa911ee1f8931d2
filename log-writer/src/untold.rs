//! How many lines were dropped that no log says yet: a count that has to
//! outlive this process, as the disk may be full for longer.
//!
//! It is kept where every log-writer finds it and nobody else looks: in the
//! modification time of the container's record, which is sealed, so that
//! nothing else changes it. Seconds are two counts of 31 bits (k8s-file and
//! json-file), nanoseconds are one for the journal; the low 8 bits of each are
//! the error number of the first loss. A count that does not fit is the largest
//! that does.

use rustix::fs::{Timespec, Timestamps};
use wire::{BorrowedFd, Errno};

/// Bits of a count of a file with its error number.
const FILE: u32 = 31;

/// Bits of the journal's; its largest is less than a thousand million.
const JOURNAL: u32 = 29;

/// Bits of an error number.
const ERROR: u32 = 8;

/// Lines dropped from one log and not told yet, and why the first of them was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Loss {
    pub(crate) lines: u64,
    pub(crate) why: Errno,
}

/// No loss.
pub(crate) const NONE: Loss = Loss { lines: 0, why: Errno::NOSPC };

/// What was lost from each of a container's logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Untold {
    pub(crate) k8s: Loss,
    pub(crate) json: Loss,
    pub(crate) journal: Loss,
}

impl Untold {
    /// In the form in which it is kept.
    pub(crate) fn pack(&self) -> Packed {
        let files = pack(self.k8s, FILE) << FILE | pack(self.json, FILE);
        Packed { files, journal: pack(self.journal, JOURNAL) }
    }
}

/// An [`Untold`] in the form in which it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packed {
    files: u64,
    journal: u64,
}

impl Packed {
    /// What earlier log-writers have left untold.
    pub(crate) fn load(record: BorrowedFd<'_>) -> Self {
        let stat = rustix::fs::fstat(record);
        let (files, journal) =
            stat.map_or((0, 0), |stat| (stat.st_mtime as u64, stat.st_mtime_nsec));
        Packed { files, journal }
    }

    /// Leaves it for the next one.
    pub(crate) fn save(&self, record: BorrowedFd<'_>) {
        let time = Timespec { tv_sec: self.files as _, tv_nsec: self.journal as _ };
        let times = Timestamps { last_access: time, last_modification: time };
        let _ = rustix::fs::futimens(record, &times);
    }

    /// What that means.
    pub(crate) fn unpack(&self) -> Untold {
        Untold {
            k8s: unpack(self.files >> FILE & mask(FILE)),
            json: unpack(self.files & mask(FILE)),
            journal: unpack(self.journal & mask(JOURNAL)),
        }
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

fn pack(loss: Loss, bits: u32) -> u64 {
    if loss.lines == 0 {
        return 0;
    }
    let error = loss.why.raw_os_error().unsigned_abs() as u64 & mask(ERROR);
    loss.lines.min(mask(bits - ERROR)) << ERROR | error
}

fn unpack(packed: u64) -> Loss {
    let why = match (packed & mask(ERROR)) as i32 {
        0 => NONE.why,
        error => Errno::from_raw_os_error(error),
    };
    Loss { lines: packed >> ERROR, why }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use wire::AsFd;
    use wire::record::{MAGIC, seal};

    fn loss(lines: u64, why: Errno) -> Loss {
        Loss { lines, why }
    }

    #[test]
    fn what_was_saved_is_there_for_all_who_hold_the_record() {
        let record = seal(&MAGIC).unwrap();
        let other = rustix::io::dup(&record).unwrap();
        let none = Untold { k8s: NONE, json: NONE, journal: NONE };
        let load = || Packed::load(other.as_fd()).unpack();
        assert_eq!(load(), none);
        for untold in [
            Untold { k8s: loss(1, Errno::NOSPC), ..none },
            Untold { json: loss(8_388_607, Errno::DQUOT), ..none },
            Untold { journal: loss(2_097_151, Errno::AGAIN), ..none },
            Untold {
                k8s: loss(3, Errno::PIPE),
                json: loss(4, Errno::IO),
                journal: loss(5, Errno::CONNREFUSED),
            },
            none,
        ] {
            untold.pack().save(record.as_fd());
            assert_eq!(load(), untold);
        }
    }

    #[test]
    fn a_count_that_is_too_large_is_the_largest() {
        let record = seal(&MAGIC).unwrap();
        let much = loss(u64::MAX, Errno::AGAIN);
        Untold { k8s: much, json: much, journal: much }.pack().save(record.as_fd());
        let untold = Packed::load(record.as_fd()).unpack();
        assert_eq!(untold.k8s, loss(8_388_607, Errno::AGAIN));
        assert_eq!(untold.json, untold.k8s);
        assert_eq!(untold.journal, loss(2_097_151, Errno::AGAIN));
    }
}
