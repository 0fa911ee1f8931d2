//! Sealed memfds: bytes that any program can map and nobody can change any
//! more (memfd_create(2), fcntl(2) F_ADD_SEALS).

use crate::{AsFd, Errno, OwnedFd};
use core::ffi::c_void;
use rustix::fs::{MemfdFlags, SealFlags, Timespec, Timestamps};
use rustix::mm::{MapFlags, ProtFlags};

/// Puts bytes into a new sealed memfd. Its file offset (their number at first)
/// and its modification time (0 at first), which all who hold it share, stay
/// free for counts.
pub fn seal(bytes: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Some nodes refuse memfds that could be executed (vm.memfd_noexec);
    // kernels before 6.3 do not know the flag.
    let fd = match rustix::fs::memfd_create(c"conmote", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => rustix::fs::memfd_create(c"conmote", flags)?,
        other => other?,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&fd, rest)?;
        rest = rest.get(written..).unwrap_or(&[]);
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&fd, seals)?;
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::fs::futimens(&fd, &Timestamps { last_access: zero, last_modification: zero })?;
    Ok(fd)
}

/// A mapped sealed memfd.
pub struct Sealed {
    start: *mut c_void,
    len: usize,
}

impl Sealed {
    /// Maps what is in `fd`. Refuses ([`Errno::INVAL`]) what is not sealed, is
    /// empty, or has more than `max` bytes.
    pub fn map(fd: impl AsFd, max: usize) -> Result<Sealed, Errno> {
        let needed = SealFlags::SHRINK | SealFlags::WRITE;
        if !rustix::fs::fcntl_get_seals(&fd)?.contains(needed) {
            return Err(Errno::INVAL);
        }
        let len = usize::try_from(rustix::fs::fstat(&fd)?.st_size).map_err(|_| Errno::INVAL)?;
        if !(1..=max).contains(&len) {
            return Err(Errno::INVAL);
        }
        // Whoever maps it reads it: without the page faults of that.
        // SAFETY: a new mapping at an address the kernel chooses overlaps
        // nothing. The seals guarantee that its bytes neither change nor go.
        let start = unsafe {
            rustix::mm::mmap(
                core::ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::PRIVATE | MapFlags::POPULATE,
                &fd,
                0,
            )?
        };
        Ok(Sealed { start, len })
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start` and `len` are a live mapping of this object, sealed
        // against change (see `map`); it is unmapped in `drop` only.
        unsafe { core::slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no slice of it outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.start, self.len) };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_read_back_and_cannot_be_written() {
        let fd = seal(b"READY=1").unwrap();
        assert_eq!(Sealed::map(&fd, 7).unwrap().bytes(), b"READY=1");
        assert_eq!(rustix::io::write(&fd, b"x"), Err(Errno::PERM));
    }

    #[test]
    fn what_is_too_long_or_empty_or_could_still_change_is_refused() {
        assert_eq!(Sealed::map(seal(b"12345678").unwrap(), 7).err(), Some(Errno::INVAL));
        assert_eq!(Sealed::map(seal(b"").unwrap(), 7).err(), Some(Errno::INVAL));
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create(c"open", flags).unwrap();
        rustix::io::write(&fd, b"1234").unwrap();
        assert_eq!(Sealed::map(&fd, 7).err(), Some(Errno::INVAL));
    }
}
