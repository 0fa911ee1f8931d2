//! Where the kernel counts a container's out-of-memory kills, and how to be
//! woken by them. The hub does the watching; failing to set it up costs
//! nothing but that knowledge.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::event::EventfdFlags;
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use wire::oom::Counts;
use wire::record::{Encoder, Tag};
use wire::{Errno, OwnedFd};

use crate::fds::c_path;
use crate::inherited::text;

/// Where the hierarchies are mounted (cgroups(7)).
const ROOT: &str = "/sys/fs/cgroup";

/// Type of a cgroup v2 file system (statfs(2), CGROUP2_SUPER_MAGIC).
const CGROUP2: u64 = 0x6367_7270;

/// What the hub needs to notice that a container ran out of memory.
#[derive(Debug)]
pub struct Watch {
    /// Wakes whoever polls it; see [`wire::FdSet::OOM`].
    pub fd: OwnedFd,
    /// The file with the count.
    pub counter: PathBuf,
    /// The count before the container has done anything: a group that is used
    /// again keeps the kills of those before.
    pub before: Counts,
}

impl Watch {
    /// Tells the hub what to look at.
    pub fn encode(&self, record: &mut Encoder<impl FnMut(&[u8])>) {
        record.string(Tag::OomCounter, self.counter.as_os_str().as_bytes());
        record.number(Tag::OomKillsBefore, self.before.kills);
        if let Some(ooms) = self.before.ooms {
            record.number(Tag::OomsBefore, ooms);
        }
    }
}

/// For the memory control group of process `pid`. `None` where there is none
/// that we can watch (the reason is a debug message), or where it isn't the
/// container's alone: then others may be killed in it.
pub fn watch(pid: i32) -> Option<Watch> {
    let v2 = rustix::fs::statfs(ROOT).is_ok_and(|stat| stat.f_type as u64 == CGROUP2);
    let groups = |who: &str| {
        let path = format!("/proc/{who}/cgroup");
        fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"))
    };
    let found = groups(&pid.to_string()).and_then(|theirs| {
        let ours = groups("self")?;
        let group = memory_group(&theirs, v2).ok_or("container has no memory cgroup")?;
        if memory_group(&ours, v2) == Some(group) {
            return Err(format!("memory cgroup {group} is not the container's alone"));
        }
        let relative = below(group).ok_or(format!("memory cgroup {group} is out of sight"))?;
        let root = Path::new(ROOT);
        if v2 { unified(&root.join(relative)) } else { legacy(&root.join("memory").join(relative)) }
    });
    found.map_err(|text| log::debug!("not watching for out-of-memory kills: {text}")).ok()
}

/// The path of the group that accounts for memory, from `/proc/PID/cgroup`:
/// with v2 the line `0::PATH`; otherwise the one whose controllers have
/// `memory` among them.
fn memory_group(groups: &str, v2: bool) -> Option<&str> {
    groups.lines().find_map(|line| {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let wanted = if v2 {
            hierarchy == "0" && controllers.is_empty()
        } else {
            controllers.split(',').any(|controller| controller == "memory")
        };
        wanted.then_some(path)
    })
}

/// The path below the mount point. `None` for the root, in which the whole
/// machine's kills would count, and for groups above our namespace's root.
fn below(group: &str) -> Option<&str> {
    let relative = group.strip_prefix('/')?;
    let inside = relative.split('/').all(|part| !part.is_empty() && part != ".." && part != ".");
    inside.then_some(relative)
}

/// cgroup v2: the file with the counts wakes whoever polls it.
fn unified(group: &Path) -> Result<Watch, String> {
    let counter = group.join("memory.events");
    let fd = match open(&counter, OFlags::RDONLY) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => {
            let counter = counter.display();
            return Err(format!("memory.events file does not exist at {counter}"));
        }
        Err(error) => return Err(format!("cannot open {}: {}", counter.display(), text(error))),
    };
    let before = count(&counter)?;
    Ok(Watch { fd, counter, before })
}

/// cgroup v1: an eventfd, registered for the group (the kernel's
/// admin-guide/cgroup-v1/memory.rst, section 10).
fn legacy(group: &Path) -> Result<Watch, String> {
    let counter = group.join("memory.oom_control");
    let named = |path: &Path, error| format!("cannot open {}: {}", path.display(), text(error));
    let control = open(&counter, OFlags::RDONLY).map_err(|error| named(&counter, error))?;
    let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|error| format!("cannot make an eventfd: {}", text(error)))?;
    let door = group.join("cgroup.event_control");
    let line = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
    open(&door, OFlags::WRONLY)
        .and_then(|door| rustix::io::write(&door, line.as_bytes()))
        .map_err(|error| format!("cannot register at {}: {}", door.display(), text(error)))?;
    let before = count(&counter)?;
    Ok(Watch { fd, counter, before })
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(c_path(path)?.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty())
}

fn count(counter: &Path) -> Result<Counts, String> {
    let path: CString = c_path(counter).map_err(text)?;
    Counts::read(&path).map_err(|error| match error {
        Errno::NOENT | Errno::NODEV => {
            format!("no {}: Cgroup appears to have been removed", counter.display())
        }
        error => format!("cannot read {}: {}", counter.display(), text(error)),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HYBRID: &str =
        "9:name=systemd:/x\n4:cpu,memory:/pod/ctr:1\n1:cpuset:/\n0::/unified/ctr\n";

    #[test]
    fn the_memory_group_is_found_among_all_groups() {
        assert_eq!(memory_group(HYBRID, false), Some("/pod/ctr:1"));
        assert_eq!(memory_group(HYBRID, true), Some("/unified/ctr"));
        assert_eq!(memory_group("0::/a\n", false), None);
        assert_eq!(memory_group("3:name=memory:/a\n5:memory_x:/b\n", false), None);
        assert_eq!(memory_group("4:memory:/a\n", true), None);
        assert_eq!(memory_group("junk\n\n:\n", true), None);
    }

    #[test]
    fn the_root_and_groups_outside_our_view_are_left_alone() {
        assert_eq!(below("/pod/ctr"), Some("pod/ctr"));
        for path in ["/", "", "pod", "/../other", "/a/../..", "//"] {
            assert_eq!(below(path), None, "{path:?}");
        }
    }

    #[test]
    fn with_v2_the_count_at_the_start_is_remembered() {
        let dir = std::env::temp_dir().join(format!("conmote-oom-watch-{}", std::process::id()));
        let missing = unified(&dir).unwrap_err();
        assert_eq!(
            missing,
            format!("memory.events file does not exist at {}/memory.events", dir.display())
        );
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("memory.events"), "max 1\noom 3\noom_kill 2\n").unwrap();
        let watch = unified(&dir);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(watch.unwrap().before, Counts { ooms: Some(3), kills: 2 });
    }

    #[test]
    fn a_process_in_our_own_group_is_not_watched() {
        assert!(watch(i32::try_from(std::process::id()).unwrap()).is_none());
    }
}
