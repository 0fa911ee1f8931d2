//! A control group of our own, to charge the monitor's processes and nothing else (cgroups(7)).

use crate::report::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh group that counts memory and processor time; gone when dropped.
pub(crate) struct Group {
    memory: PathBuf,
    time: PathBuf,
    /// Version 2 has one folder for both.
    unified: bool,
}

/// What the processes of a group hold, in bytes.
pub(crate) struct Charged {
    /// Memory of their own: heap, stacks, written data.
    pub(crate) anonymous: f64,
    /// Page tables, kernel stacks, slab objects.
    pub(crate) kernel: f64,
    /// Pages of memfds and shared memory.
    pub(crate) shared: f64,
}

/// One group for the monitors, and one for everything else.
pub(crate) struct Groups {
    pub(crate) monitors: Group,
    pub(crate) others: Group,
}

impl Groups {
    /// None where there are no such groups, or no permission.
    pub(crate) fn new() -> Option<Groups> {
        Some(Groups { monitors: Group::new()?, others: Group::new()? })
    }
}

/// Starts something in the monitors' group, so that all it ever allocates is charged there.
pub(crate) fn born<T>(
    groups: Option<&Groups>,
    start: impl FnOnce() -> ::tests::Result<T>,
) -> ::tests::Result<T> {
    let enter = |group: &Group| group.add(std::process::id()).map_err(::tests::Error::new);
    groups.map_or(Ok(()), |groups| enter(&groups.monitors))?;
    let started = start();
    groups.map_or(Ok(()), |groups| enter(&groups.others))?;
    started
}

impl Group {
    /// None where there is no controller for memory and time, or no permission.
    pub(crate) fn new() -> Option<Group> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("conmote-bench-{}-{number}", std::process::id());
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let (memory, time) = (mount(&mounts, "memory"), mount(&mounts, "cpuacct"));
        let group = match (memory, time) {
            (Some(memory), Some(time)) => {
                Group { memory: memory.join(&name), time: time.join(&name), unified: false }
            }
            _ => {
                let top = unified_mount(&mounts)?.join(&name);
                Group { memory: top.clone(), time: top, unified: true }
            }
        };
        for folder in group.folders() {
            fs::create_dir(folder).ok()?;
        }
        let counts =
            !group.unified || fs::exists(group.memory.join("memory.stat")).is_ok_and(|found| found);
        counts.then_some(group)
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        let second = (!self.unified).then_some(self.time.as_path());
        [self.memory.as_path()].into_iter().chain(second)
    }

    /// The files that take the pid of a process to be moved here.
    pub(crate) fn doors(&self) -> Vec<PathBuf> {
        self.folders().map(|folder| folder.join("cgroup.procs")).collect()
    }

    /// Moves a process here; what it has allocated before stays charged elsewhere.
    pub(crate) fn add(&self, pid: u32) -> Result<()> {
        self.doors().iter().try_for_each(|door| {
            fs::write(door, pid.to_string())
                .context(format!("cannot move process {pid} to {}", door.display()))
        })
    }

    /// Moves this process to the top of the hierarchy, if it is here.
    fn leave(&self) -> Result<()> {
        let me = std::process::id();
        if !self.processes().contains(&me) {
            return Ok(());
        }
        self.folders().filter_map(Path::parent).try_for_each(|top| {
            fs::write(top.join("cgroup.procs"), me.to_string()).context("cannot leave the group")
        })
    }

    /// The processes that are here now.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let list = fs::read_to_string(self.memory.join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// What these processes hold; page cache is left out.
    pub(crate) fn charged(&self) -> Result<Charged> {
        let read = |name: &str| {
            let path = self.memory.join(name);
            fs::read_to_string(&path).context(format!("cannot read {}", path.display()))
        };
        let stat = read("memory.stat")?;
        let value =
            |name: &str| field(&stat, name).context(format!("memory.stat has no line {name}"));
        Ok(match self.unified {
            true => Charged {
                anonymous: value("anon")?,
                kernel: value("kernel")?,
                shared: value("shmem")?,
            },
            false => Charged {
                anonymous: value("total_rss")?,
                kernel: read("memory.kmem.usage_in_bytes")?
                    .trim()
                    .parse()
                    .context("memory.kmem.usage_in_bytes")?,
                shared: value("total_shmem")?,
            },
        })
    }

    /// Processor time, in seconds, that processes have used while they were here.
    pub(crate) fn seconds(&self) -> Result<f64> {
        let (file, unit) = if self.unified { ("cpu.stat", 1e-6) } else { ("cpuacct.usage", 1e-9) };
        let path = self.time.join(file);
        let text = fs::read_to_string(&path).context(format!("cannot read {}", path.display()))?;
        let number =
            if self.unified { field(&text, "usage_usec") } else { text.trim().parse().ok() };
        Ok(number.context(format!("{} holds no number", path.display()))? * unit)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // This process may be in here itself.
        let _ = self.leave();
        for folder in self.folders() {
            // A process that was killed leaves its group a moment later, and there is no event for that.
            for _ in 0..200 {
                match fs::remove_dir(folder) {
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                        std::thread::sleep(std::time::Duration::from_millis(10));
                    }
                    _ => break,
                }
            }
        }
    }
}

/// The number behind a name in a file of `NAME NUMBER` lines.
fn field(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Where version 1's controller of this name is mounted.
fn mount(mounts: &str, controller: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let is_it = words.get(2) == Some(&"cgroup")
            && words.get(3)?.split(',').any(|option| option == controller);
        is_it.then(|| PathBuf::from(words[1]))
    })
}

fn unified_mount(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let folder = words.next()?;
        (words.next() == Some("cgroup2")).then(|| PathBuf::from(folder))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_found_among_the_mounts() {
        let mounts = "proc /proc proc rw 0 0\n\
                      cgroup /c/memory cgroup rw,relatime,memory 0 0\n\
                      cgroup2 /c/unified cgroup2 rw 0 0\n";
        assert_eq!(mount(mounts, "memory"), Some("/c/memory".into()));
        assert_eq!(mount(mounts, "cpuacct"), None);
        assert_eq!(unified_mount(mounts), Some("/c/unified".into()));
    }

    #[test]
    fn a_name_is_not_mistaken_for_the_beginning_of_another() {
        assert_eq!(field("total_rss_huge 5\ntotal_rss 7\n", "total_rss"), Some(7.0));
    }
}
