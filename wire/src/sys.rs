//! The system calls that no library of ours has, typed. Everything else goes
//! through rustix.

use crate::{AsFd, BorrowedFd, Errno, OwnedFd};
use core::ffi::{CStr, c_char};
use rustix::fd::{FromRawFd, RawFd};
use rustix::process::{Pid, Signal};
use rustix::thread::UnshareFlags;
use syscalls::{Sysno, syscall};

/// Signal numbers (signal(7)), as [`Mask`]s take them.
pub use libc::{
    CLOCK_MONOTONIC, CLOCK_REALTIME, SIGCHLD, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1,
};

/// Bytes of the kernel's signal set.
const SIGSET_LEN: usize = 8;

fn errno(error: syscalls::Errno) -> Errno {
    Errno::from_raw_os_error(error.into_raw())
}

/// A set of signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mask(pub u64);

impl Mask {
    /// The set of these signals.
    pub const fn of(signals: &[i32]) -> Mask {
        let mut bits = 0;
        let mut rest = signals;
        while let [first, more @ ..] = rest {
            bits |= 1 << (*first - 1);
            rest = more;
        }
        Mask(bits)
    }
}

/// Replaces the set of blocked signals (sigprocmask(2), SIG_SETMASK).
pub fn block_only(mask: Mask) -> Result<(), Errno> {
    let null: *const u64 = core::ptr::null();
    // SAFETY: the kernel reads SIGSET_LEN bytes at a live address.
    let done = unsafe {
        syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, &raw const mask.0, null, SIGSET_LEN)
    };
    done.map(drop).map_err(errno)
}

/// A non-blocking, close-on-exec signalfd(2) for these signals, which must be
/// blocked. Reads give 128-byte records that begin with the signal's number.
pub fn signalfd(mask: Mask) -> Result<OwnedFd, Errno> {
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    // SAFETY: the kernel reads SIGSET_LEN bytes at a live address.
    let fd = unsafe {
        syscall!(Sysno::signalfd4, -1isize, &raw const mask.0, SIGSET_LEN, flags as usize)
    }
    .map_err(errno)?;
    // SAFETY: the kernel has just made this fd for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Bytes of one signalfd(2) record; the signal's number comes first.
const SIGNAL_RECORD: usize = 128;

/// The next of the signals that wait in a signalfd, by its number.
pub fn next_signal(signals: impl AsFd) -> Option<i32> {
    let mut record = [0u8; SIGNAL_RECORD];
    match rustix::io::read(signals, &mut record) {
        Ok(SIGNAL_RECORD) => record.first_chunk().map(|number| i32::from_ne_bytes(*number)),
        _ => None,
    }
}

/// The signal of that number, if it is one that asks a monitor to end: no other
/// is meant for a container.
pub fn end_signal(number: i32) -> Option<Signal> {
    match number {
        SIGTERM => Some(Signal::TERM),
        SIGINT => Some(Signal::INT),
        SIGQUIT => Some(Signal::QUIT),
        _ => None,
    }
}

/// The status that engines know: the exit status, or 128 and the number of
/// the signal that killed the process; -1 for anything else.
pub fn exit_code(status: rustix::process::WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => status,
        (None, Some(signal)) => 128 + signal,
        (None, None) => -1,
    }
}

/// What happens when a signal arrives (sigaction(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disposition {
    /// SIG_DFL.
    Default = 0,
    /// SIG_IGN.
    Ignore = 1,
}

/// Sets a signal's disposition. Handlers are not offered: we read signalfds.
pub fn on_signal(signal: i32, disposition: Disposition) -> Result<(), Errno> {
    // The kernel's struct sigaction begins with the handler on every
    // architecture we build for; the rest may be zero. It is at most 32 bytes.
    let action: [usize; 8] = [disposition as usize, 0, 0, 0, 0, 0, 0, 0];
    let null: *const usize = core::ptr::null();
    // SAFETY: the kernel reads one struct sigaction at a live address of
    // sufficient size, and writes nothing.
    let done = unsafe { syscall!(Sysno::rt_sigaction, signal, action.as_ptr(), null, SIGSET_LEN) };
    done.map(drop).map_err(errno)
}

/// Which side of a [`fork`] this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old one; the child's pid.
    Parent(Pid),
}

/// fork(2). In a process with several threads the child may make system calls
/// only, until it executes a program: the other threads are missing there, with
/// their locks held.
pub fn fork() -> Result<Forked, Errno> {
    // SAFETY: without CLONE_VM the child has its own copy of everything, and
    // may go on running this program; by this function's contract without
    // what another thread may hold. All pointer arguments are null, so their
    // order (it differs) does not matter.
    let pid = unsafe { syscall!(Sysno::clone, SIGCHLD, 0, 0, 0, 0) }.map_err(errno)?;
    Ok(match Pid::from_raw(pid as i32) {
        None => Forked::Child,
        Some(pid) => Forked::Parent(pid),
    })
}

/// Puts this process (its next children, for a PID namespace) into new
/// namespaces (unshare(2)).
///
/// # Errors
/// Those of unshare(2); [`Errno::INVAL`] for what is not a namespace.
pub fn unshare(namespaces: UnshareFlags) -> Result<(), Errno> {
    if namespaces.intersects(UnshareFlags::FILES | UnshareFlags::FS | UnshareFlags::SYSVSEM) {
        return Err(Errno::INVAL);
    }
    // SAFETY: the table of descriptors stays as it is: FILES was refused.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}

/// Unmounts whatever is mounted on a file, once or more often (umount2(2),
/// MNT_DETACH): it stays for those who use it.
pub fn unmount_all(path: &CStr) {
    use rustix::mount::{UnmountFlags, unmount};
    // It need not be mounted: then it fails, as it does in the end.
    while unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).is_ok() {}
}

/// A NULL-terminated list of strings as execve(2) takes it.
#[derive(Clone, Copy)]
pub struct Strings<'a>(
    pub(crate) *const *const c_char,
    pub(crate) core::marker::PhantomData<&'a CStr>,
);

/// Strings of the form `NAME=value`.
pub type Environment<'a> = Strings<'a>;

impl<'a> Strings<'a> {
    /// These strings. `room` takes a pointer for each and one for the end;
    /// `None` if that is too much for it.
    pub fn new(
        room: &'a mut [*const c_char],
        strings: impl IntoIterator<Item = &'a CStr>,
    ) -> Option<Self> {
        let mut places = room.iter_mut();
        for string in strings {
            *places.next()? = string.as_ptr();
        }
        *places.next()? = core::ptr::null();
        Some(Strings(room.as_ptr(), core::marker::PhantomData))
    }

    /// None.
    pub const fn none() -> Strings<'static> {
        struct End(*const c_char);
        // SAFETY: it is null, and nobody changes it.
        unsafe impl Sync for End {}
        static END: End = End(core::ptr::null());
        Strings(&raw const END.0, core::marker::PhantomData)
    }
}

/// Replaces this process by the program open as `file`, or, if that is `None`,
/// by the one at `path` (execveat(2)). Returns only to say why it did not.
pub fn exec(
    file: Option<BorrowedFd<'_>>,
    path: &CStr,
    arguments: Strings<'_>,
    environment: Environment<'_>,
) -> Errno {
    use rustix::fd::AsRawFd;
    let (fd, path, flags) = match file {
        Some(file) => (file.as_raw_fd(), c"", libc::AT_EMPTY_PATH),
        None => (libc::AT_FDCWD, path, 0),
    };
    // SAFETY: path, arguments and environment are NULL-terminated, as their
    // types guarantee, and live; a successful call does not return.
    let result = unsafe {
        syscall!(
            Sysno::execveat,
            fd as isize,
            path.as_ptr(),
            arguments.0,
            environment.0,
            flags as usize
        )
    };
    result.map_or_else(errno, |_| Errno::NOSYS)
}

/// Ends this process at once (exit_group(2)); nothing is flushed or dropped.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: takes no pointers and does not return.
        let _ = unsafe { syscall!(Sysno::exit_group, status as isize) };
    }
}

/// Takes over a descriptor that this process was started with, and makes it
/// close-on-exec. Fails with [`Errno::BADF`] if it is not open. For use at
/// process start, once per number.
pub fn take_inherited(number: RawFd) -> Result<OwnedFd, Errno> {
    if number < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is not negative; the borrow ends with the check.
    let open = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(open, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: it is open, and by this function's contract nobody else in this
    // process owns it: it came from whoever started us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes a descriptor that this process was started with: in a child, which has
/// a table of descriptors of its own, before it executes a program.
pub fn close_inherited(number: RawFd) {
    // SAFETY: takes no pointers. Whoever owns that number in the parent keeps it,
    // and in the child nobody uses it any more.
    let _ = unsafe { syscall!(Sysno::close, number as isize) };
}

/// Whether a descriptor of this number is open.
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: the number is not negative; the borrow ends with the question,
    // which changes nothing, whoever owns the descriptor.
    number >= 0 && rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).is_ok()
}

/// Makes `fd` a descriptor of this number that survives exec; whatever had
/// that number is closed. For use right before [`exec`].
pub fn place_for_exec(fd: impl AsFd, number: RawFd) -> Result<(), Errno> {
    use rustix::fd::AsRawFd;
    let raw = fd.as_fd().as_raw_fd();
    if raw == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty());
    }
    // SAFETY: plain numbers; that the old owner of `number` loses it is what
    // this function is for, and an exec follows.
    let done = unsafe { syscall!(Sysno::dup3, raw as isize, number as isize, 0) };
    done.map(drop).map_err(errno)
}

/// Seconds and nanoseconds of a clock (clock_gettime(2)), by system call: the
/// faster way through the vDSO costs two pages of code, for one call a wake-up.
pub fn clock(id: libc::clockid_t) -> (i64, u32) {
    let mut time = [0i64; 2];
    // SAFETY: the kernel writes one 64-bit struct timespec at a live address.
    let done = unsafe { syscall!(CLOCK_GETTIME, id, time.as_mut_ptr()) };
    let [seconds, nanoseconds] = if done.is_ok() { time } else { [0; 2] };
    (seconds, u32::try_from(nanoseconds).unwrap_or(0))
}

#[cfg(target_pointer_width = "64")]
const CLOCK_GETTIME: Sysno = Sysno::clock_gettime;
#[cfg(not(target_pointer_width = "64"))]
const CLOCK_GETTIME: Sysno = Sysno::clock_gettime64;

/// Gives back the stack that deeper calls have used (madvise(2),
/// MADV_DONTNEED): for a program that is about to wait for long.
///
/// Never part of its caller: in a large frame, much that is live would lie more
/// than the margin below `here`.
#[inline(never)]
pub fn release_stack() {
    /// Bytes below us that stay: the frames of the calls made from here, which
    /// are larger in unoptimised builds.
    const MARGIN: usize = 512;
    /// Bytes below that that are given back. No call of ours goes deeper.
    const DEPTH: usize = 64 * 1024;
    /// Size of a page; larger pages make the call fail, which changes nothing.
    const PAGE: usize = 4096;
    let here = 0u8;
    let end = (&raw const here as usize).saturating_sub(MARGIN) & !(PAGE - 1);
    // SAFETY: the stack grows downward, and nothing below the frame of the
    // call in progress is live; MARGIN covers that frame.
    let _ = unsafe {
        syscall!(Sysno::madvise, end.saturating_sub(DEPTH), DEPTH, libc::MADV_DONTNEED as usize)
    };
    core::hint::black_box(&here);
}

/// Standard error; whoever starts our programs keeps it open.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: 2 is not negative. If it were closed, writes would fail.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// Bytes of the largest page that kernels of this architecture use.
const LARGEST_PAGE: usize = if cfg!(target_arch = "x86_64") { 4096 } else { 65536 };

/// Gives the memory behind a buffer back to the kernel, as far as it is whole
/// pages (madvise(2), MADV_DONTNEED). What it held is lost: in `.bss` it reads
/// as zero again.
pub fn give_back(memory: &mut [u8]) {
    let before = memory.as_ptr().align_offset(LARGEST_PAGE);
    let Some(pages) = memory.get_mut(before..) else {
        return;
    };
    let len = pages.len() - pages.len() % LARGEST_PAGE;
    // SAFETY: only whole pages inside a slice that is borrowed to be changed;
    // whatever they hold afterwards is valid for bytes. A failure (locked
    // memory) changes nothing.
    let _ = unsafe {
        rustix::mm::madvise(pages.as_mut_ptr().cast(), len, rustix::mm::Advice::LinuxDontNeed)
    };
}
