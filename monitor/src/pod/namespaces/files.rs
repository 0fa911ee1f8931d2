//! The files of a pod's namespaces.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, Stat};
use rustix::thread::UnshareFlags;
use wire::record::{Encoder, Tag};
use wire::{Errno, OwnedFd};

use super::Failure;
use crate::fds::c_path;
use crate::inherited::text;
use crate::pod::types::Namespace;

/// A kind of namespace.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// As clients ask for it.
    pub namespace: Namespace,
    /// As the kernel calls it, in /proc/PID/ns.
    pub name: &'static str,
    /// As unshare(2) takes it.
    pub flag: UnshareFlags,
}

/// All kinds, in the order in which clients are told of them.
pub(super) const KINDS: [Kind; 5] = [
    Kind { namespace: Namespace::Ipc, name: "ipc", flag: UnshareFlags::NEWIPC },
    Kind { namespace: Namespace::Pid, name: "pid", flag: UnshareFlags::NEWPID },
    Kind { namespace: Namespace::Net, name: "net", flag: UnshareFlags::NEWNET },
    Kind { namespace: Namespace::User, name: "user", flag: UnshareFlags::NEWUSER },
    Kind { namespace: Namespace::Uts, name: "uts", flag: UnshareFlags::NEWUTS },
];

/// How often a pid file may vanish while we open it.
const TRIES: usize = 100;

/// Where the files of a pod are.
#[derive(Clone, Debug)]
pub struct Files {
    base: PathBuf,
    pod_id: String,
}

impl Files {
    /// Below this folder.
    ///
    /// # Errors
    /// The id cannot be the name of a file.
    pub fn new(base: &Path, pod_id: &str) -> Result<Self, String> {
        if pod_id.is_empty() {
            return Err("no pod ID provided".into());
        }
        if pod_id.contains(['/', '\0']) || [".", ".."].contains(&pod_id) {
            return Err(format!("pod ID '{}' cannot name a file", pod_id.replace('\0', "\\0")));
        }
        if base.as_os_str().as_bytes().contains(&0) {
            return Err("the base path has a NUL byte in it".into());
        }
        Ok(Files { base: base.to_owned(), pod_id: pod_id.to_owned() })
    }

    /// The file with the pid of the pause process. As long as that lives, it
    /// has a lock on it.
    pub fn pid_file(&self) -> PathBuf {
        self.base.join("conmonrs").join(format!("{}.pid", self.pod_id))
    }

    /// The files that the namespaces are bound to, in the order of [`KINDS`].
    pub fn bound(&self) -> [(Kind, PathBuf); 5] {
        KINDS.map(|kind| (kind, self.base.join(format!("{}ns", kind.name)).join(&self.pod_id)))
    }

    /// What the hub has to know to remove them.
    pub fn record(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        record.string(Tag::PausePidFile, self.pid_file().as_os_str().as_bytes());
        for (_, path) in self.bound() {
            record.string(Tag::NamespaceFile, path.as_os_str().as_bytes());
        }
        bytes
    }

    /// Makes the pid file, and locks it until the last duplicate of the result
    /// is closed.
    ///
    /// # Errors
    /// [`Failure::Busy`]: somebody has it locked.
    pub fn claim(&self) -> Result<OwnedFd, Failure> {
        let path = self.pid_file();
        let failed = |error: Errno| named("make", &path, text(error));
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let c_path = c_path(&path).map_err(failed)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // For root only: everybody who may open it may lock it.
        let mode = Mode::RUSR | Mode::WUSR;
        for _ in 0..TRIES {
            let file = rustix::fs::open(c_path.as_c_str(), flags, mode).map_err(failed)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::AGAIN) => {
                    let pid = fs::read_to_string(&path).unwrap_or_default();
                    let pod = &self.pod_id;
                    let text = format!("pod {pod} has a pause process already: {pid}");
                    return Err(Failure::Busy(text));
                }
                Err(error) => return Err(failed(error)),
            }
            // Whoever had it may have removed it in the meantime.
            let inode = |found: Stat| (found.st_dev, found.st_ino);
            let found = rustix::fs::stat(c_path.as_c_str()).map(inode);
            if found.is_ok() && found == rustix::fs::fstat(&file).map(inode) {
                return Ok(file);
            }
        }
        Err(named("make", &path, "others do it, too"))
    }

    /// Writes the pid of the pause process into the pid file.
    ///
    /// # Errors
    /// The disk is full, say.
    pub fn write_pid(&self, file: &OwnedFd, pid: i32) -> Result<(), Failure> {
        let pid = pid.to_string();
        match rustix::fs::ftruncate(file, 0).and_then(|()| rustix::io::write(file, pid.as_bytes()))
        {
            Ok(count) if count == pid.len() => Ok(()),
            Ok(_) => Err(named("write", &self.pid_file(), text(Errno::NOSPC))),
            Err(error) => Err(named("write", &self.pid_file(), text(error))),
        }
    }

    /// Binds the namespaces of a process to the files. What a server that was
    /// killed has left there is replaced.
    ///
    /// # Errors
    /// Says which could not be bound.
    pub fn bind(&self, pid: i32) -> Result<(), Failure> {
        for (kind, path) in self.bound() {
            if let Some(folder) = path.parent() {
                make_folder(folder)?;
            }
            remove(&path).map_err(|error| named("replace", &path, error))?;
            let mut options = fs::OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o444).open(&path);
            drop(file.map_err(|error| named("make", &path, error))?);
            let from = PathBuf::from(format!("/proc/{pid}/ns/{}", kind.name));
            let paths = c_path(&from).and_then(|from| Ok((from, c_path(&path)?)));
            paths
                .and_then(|(from, to)| rustix::mount::mount_bind(from.as_c_str(), to.as_c_str()))
                .map_err(|error| {
                    let (from, to) = (from.display(), path.display());
                    Failure::Failed(format!("cannot bind {from} to {to}: {}", text(error)))
                })?;
        }
        Ok(())
    }

    /// Removes all of them, as far as they are there.
    pub fn remove(&self) {
        for (_, path) in self.bound() {
            let _ = remove(&path);
        }
        let _ = fs::remove_file(self.pid_file());
    }
}

/// Unmounts whatever is mounted on a file, and removes it.
fn remove(path: &Path) -> std::io::Result<()> {
    if let Ok(path) = c_path(path) {
        wire::sys::unmount_all(&path);
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
    made.map_err(|error| named("make", path, error))
}

fn named(what: &str, path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_pod_are_named_after_it_and_nothing_else() {
        let files = Files::new(Path::new("/base"), "a.b").unwrap();
        assert_eq!(files.pid_file(), Path::new("/base/conmonrs/a.b.pid"));
        let bound = files.bound().map(|(_, path)| path.to_str().unwrap().to_owned());
        let expected =
            ["ipc", "pid", "net", "user", "uts"].map(|kind| format!("/base/{kind}ns/a.b"));
        assert_eq!(bound, expected);
        for id in ["", ".", "..", "a/b", "../x", "/", "a\0b"] {
            assert!(Files::new(Path::new("/base"), id).is_err(), "{id:?}");
        }
        assert!(Files::new(Path::new("/base"), "..a").is_ok());
    }

    #[test]
    fn a_claim_is_for_one_until_it_is_dropped_even_if_the_file_goes() {
        let base = std::env::temp_dir().join(format!("conmote-claim-{}", std::process::id()));
        let files = Files::new(&base, "pod").unwrap();
        let first = files.claim().unwrap();
        files.write_pid(&first, 123).unwrap();
        let Err(Failure::Busy(text)) = files.claim() else { panic!("it is taken") };
        assert_eq!(text, "pod pod has a pause process already: 123");
        files.remove();
        let second = files.claim().unwrap();
        drop(first);
        assert!(matches!(files.claim(), Err(Failure::Busy(_))));
        drop(second);
        assert!(files.claim().is_ok());
        fs::remove_dir_all(&base).unwrap();
    }
}
