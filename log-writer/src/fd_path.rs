//! The name of an open file in proc(5).

use core::ffi::CStr;
use core::fmt::Write;
use rustix::fd::AsRawFd;
use wire::{BorrowedFd, Errno};

/// Does something with the path `/proc/self/fd/N` of a descriptor: opening it
/// opens the file anew, the link says where the file is. Errors: those of `act`.
pub(crate) fn with<T>(
    fd: BorrowedFd<'_>,
    act: impl FnOnce(&CStr) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let mut path = heapless::String::<32>::new();
    write!(path, "/proc/self/fd/{}\0", fd.as_raw_fd()).map_err(|_| Errno::INVAL)?;
    act(CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::INVAL)?)
}
