//! Memory of the whole machine and of single processes, as the kernel counts it (proc(5)).

use super::stats::median;
use crate::report::{Context, Result};
use std::fs;
use std::time::Duration;

/// How often it is looked whether the machine has become quiet; one that others use never does.
const LOOKS: usize = 12;

/// How many looks in a row must agree. The memory of hundreds of processes that have ended comes back in bursts, for
/// about a second, with pauses of 0.4 s.
const AGREE: usize = 4;

/// What may change between them, in bytes: less than any burst, more than what dropping caches moves about.
const BURST: f64 = 1048576.0;

/// How long to leave the machine alone before it is looked what is free without us.
const PAUSE: Duration = Duration::from_secs(3);

/// The machine at one moment, in bytes.
pub(crate) struct System {
    /// Free for anybody, the pages set aside for single processors included.
    pub(crate) free: f64,
}

impl System {
    /// As [`settled`](Self::settled), after a pause: what those before us have used comes back for seconds (the memory
    /// of their control groups, say), slowly.
    pub(crate) fn at_rest() -> Result<System> {
        std::thread::sleep(PAUSE);
        Self::settled()
    }

    /// Drops what can be read again from disk, waits until the machine is quiet, and gives what it then was in the middle
    /// of several looks; says so if it never is quiet.
    pub(crate) fn settled() -> Result<System> {
        // Pages that are not on disk yet cannot be dropped.
        rustix::fs::sync();
        let mut last: Vec<f64> = vec![];
        // Processes that have ended give back their last pages some time later, in the background; there is
        // no event for that.
        for _ in 0..LOOKS {
            // Not allowed without root: then the caches stay, and the numbers vary more.
            let _ = fs::write("/proc/sys/vm/drop_caches", "3");
            shrink_slabs();
            std::thread::sleep(Duration::from_millis(200));
            if last.len() == AGREE {
                last.remove(0);
            }
            last.push(Self::look()?.free);
            let agree = last.windows(2).all(|two| (two[1] - two[0]).abs() <= BURST);
            if agree && last.len() == AGREE {
                return Ok(System { free: median(last) });
            }
        }
        eprintln!("bench: the machine is not quiet; figures of its whole memory may be wrong");
        Ok(System { free: median(last) })
    }

    fn look() -> Result<System> {
        let zones = fs::read_to_string("/proc/zoneinfo").context("cannot read /proc/zoneinfo")?;
        let memory = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        let value = |name: &str| {
            kilobytes(&memory, name).context(format!("/proc/meminfo has no line {name}"))
        };
        Ok(System { free: value("MemFree:")? + set_aside(&zones) * page_size()? })
    }
}

/// Has the kernel give back what it has set aside for objects of its own, in each of its caches: else what starts first
/// after hundreds of processes have ended seems to cost nothing.
fn shrink_slabs() {
    let Ok(caches) = fs::read_dir("/sys/kernel/slab") else { return };
    // Others are links to these.
    let real = |cache: &fs::DirEntry| cache.file_type().is_ok_and(|kind| kind.is_dir());
    for cache in caches.flatten().filter(real) {
        let _ = fs::write(cache.path().join("shrink"), "1");
    }
}

/// Bytes of a page.
pub(crate) fn page_size() -> Result<f64> {
    let maps = fs::read_to_string("/proc/self/smaps").context("cannot read /proc/self/smaps")?;
    kilobytes(&maps, "KernelPageSize:").context("/proc/self/smaps does not tell the page size")
}

/// The value of a `Name:   123 kB` line, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// Pages on the free lists of single processors: free, but not counted in MemFree.
fn set_aside(zones: &str) -> f64 {
    zones
        .lines()
        .filter_map(|line| line.trim().strip_prefix("count:")?.trim().parse::<f64>().ok())
        .sum()
}

/// A process's share of what it has mapped, and its page tables, in bytes; 0 when it has gone.
pub(crate) fn share(pid: u32) -> f64 {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let pages = kilobytes(&read("smaps_rollup"), "Pss:").unwrap_or(0.0);
    pages + kilobytes(&read("status"), "VmPTE:").unwrap_or(0.0)
}

/// Memory in kB that a process has written to and shares with nobody.
pub(crate) fn private_dirty_kb(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some((kilobytes(&rollup, "Private_Dirty:")? / 1024.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_set_aside_are_added_up_over_zones_and_processors() {
        let zones = "  pagesets\n    cpu: 0\n      count:    5\n      high: 9\n    cpu: 1\n      count: 7\n";
        assert_eq!(set_aside(zones), 12.0);
    }

    #[test]
    fn a_process_has_a_share_of_memory_and_dirty_pages() {
        assert!(share(std::process::id()) > 100.0 * 1024.0);
        assert!(private_dirty_kb(std::process::id()).is_some_and(|kb| kb > 0));
    }
}
