//! Where a log file is: a directory, looked up anew each time and then held,
//! and a name in it.

use crate::fd_path;
use core::ffi::CStr;
use core::fmt::{self, Display, Write};
use core::mem::MaybeUninit;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat};
use wire::record::{Fields, Tag};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

/// Longest path, its NUL included (PATH_MAX of limits.h).
const PATH_MAX: usize = 4096;

/// Longest name of a file, its NUL included (NAME_MAX of limits.h).
const NAME_MAX: usize = 256;

/// A name in the log's directory.
pub(crate) type Name = heapless::Vec<u8, NAME_MAX>;

/// Where a log file is.
pub(crate) struct Place<'a> {
    directory: OwnedFd,
    name: &'a [u8],
    /// Logs may be in some directories only.
    confined: bool,
}

impl<'a> Place<'a> {
    /// The place of the log whose path `tag` is. Errors: open(2) of its
    /// directory; [`Errno::XDEV`] if that is no place for logs (any more).
    pub(crate) fn find(fields: Fields<'a>, tag: Tag) -> Result<Self, Errno> {
        let path = fields.string(tag).ok_or(Errno::NOENT)?.to_bytes();
        let slash = memchr::memrchr(b'/', path).ok_or(Errno::INVAL)?;
        let (directory, name) = path.split_at_checked(slash + 1).ok_or(Errno::INVAL)?;
        let mut text = heapless::Vec::<u8, PATH_MAX>::new();
        let fits = text.extend_from_slice(directory).is_ok() && text.push(0).is_ok();
        let directory = CStr::from_bytes_until_nul(&text).ok().filter(|_| fits);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open(directory.ok_or(Errno::NAMETOOLONG)?, flags, Mode::empty())?;
        let confined = fields.strings(Tag::LogAllowed).next().is_some();
        if confined && !is_allowed(fields, directory.as_fd())? {
            return Err(Errno::XDEV);
        }
        Ok(Place { directory, name, confined })
    }

    /// The log's own name.
    pub(crate) fn name(&self) -> Result<Name, Errno> {
        self.with_end(format_args!(""))
    }

    /// The log's name with something after it.
    pub(crate) fn with_end(&self, end: fmt::Arguments<'_>) -> Result<Name, Errno> {
        let mut name = Name::new();
        name.extend_from_slice(self.name).map_err(|_| Errno::NAMETOOLONG)?;
        write!(name, "{end}\0").map_err(|_| Errno::NAMETOOLONG)?;
        Ok(name)
    }

    /// What is there under a name; statat(2).
    pub(crate) fn stat(&self, name: &Name, follow: bool) -> Result<Stat, Errno> {
        let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
        rustix::fs::statat(&self.directory, c(name)?, flags)
    }

    /// renameat(2).
    pub(crate) fn rename(&self, from: &Name, to: &Name) -> Result<(), Errno> {
        rustix::fs::renameat(&self.directory, c(from)?, &self.directory, c(to)?)
    }

    /// As [`rename`](Self::rename), if nothing has the new name.
    pub(crate) fn rename_back(&self, from: &Name, to: &Name) -> Result<(), Errno> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(&self.directory, c(from)?, &self.directory, c(to)?, flags)
    }

    /// unlinkat(2).
    pub(crate) fn unlink(&self, name: &Name) {
        if let Ok(name) = c(name) {
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
        }
    }

    /// Opens what is there under the log's name, or a new file with these permissions, for appending.
    pub(crate) fn open(&self, mode: Mode) -> Result<OwnedFd, Errno> {
        // O_NONBLOCK is for a FIFO that nobody reads. A link could lead out
        // of the directories where logs may be.
        let link = if self.confined { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK | link;
        let name = self.name()?;
        let flags = flags | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, c(&name)?, flags, mode)
    }

    /// Makes a new file for appending; nothing may have this name.
    pub(crate) fn create(&self, name: &Name, mode: Mode) -> Result<OwnedFd, Errno> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        rustix::fs::openat(&self.directory, c(name)?, flags | OFlags::CLOEXEC, mode)
    }
}

fn c(name: &Name) -> Result<&CStr, Errno> {
    CStr::from_bytes_with_nul(name).map_err(|_| Errno::INVAL)
}

/// Whether logs may be in this directory.
fn is_allowed(fields: Fields<'_>, directory: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut space = [MaybeUninit::uninit(); PATH_MAX];
    fd_path::with(directory, |link| {
        let (real, _) = rustix::fs::readlinkat_raw(CWD, link, &mut space[..])?;
        Ok(fields.strings(Tag::LogAllowed).any(|allowed| is_below(real, allowed.to_bytes())))
    })
}

/// Whether `directory` is `top` or below it; both without symbolic links.
fn is_below(directory: &[u8], top: &[u8]) -> bool {
    match directory.strip_prefix(top) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || top.ends_with(b"/"),
        None => false,
    }
}

/// Why a log cannot be started anew, in words.
pub(crate) struct Why(pub(crate) Errno);

impl Display for Why {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str(match self.0 {
            Errno::LOOP => "it is a symbolic link",
            Errno::XDEV => "its directory is not allowed for logs",
            Errno::NOENT => "its directory is gone",
            Errno::NOSPC => "no space left on device",
            Errno::ACCESS | Errno::PERM => "permission denied",
            error => return write!(text, "{error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_directory_is_not_below_one_whose_name_begins_the_same() {
        for (directory, top, below) in [
            ("/a/log", "/a/log", true),
            ("/a/log/x", "/a/log", true),
            ("/a/logs", "/a/log", false),
            ("/a/lo", "/a/log", false),
            ("/a", "/", true),
            ("/", "/", true),
        ] {
            assert_eq!(is_below(directory.as_bytes(), top.as_bytes()), below, "{directory} {top}");
        }
    }
}
