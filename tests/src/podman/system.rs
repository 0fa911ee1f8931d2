//! The few system calls that std has no name for, each behind a safe function.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::ptr::null_mut;

/// Sends a signal to one process, named by its pid; kill(2).
pub(super) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill touches no memory of ours.
    succeed(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Waits until a child is stopped, without taking its later exit status from whoever waits for that; waitid(2).
pub(super) fn wait_until_stopped(child: &Child) -> io::Result<()> {
    // SAFETY: a siginfo_t of zeroes is a valid one.
    let mut info = unsafe { std::mem::zeroed() };
    // SAFETY: `info` outlives the call that fills it.
    succeed(unsafe {
        libc::waitid(libc::P_PID, child.id(), &raw mut info, libc::WSTOPPED | libc::WNOWAIT)
    })
    .map(drop)
}

/// A descriptor that becomes readable when the child has exited; pidfd_open(2).
pub(super) fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let fd = succeed(i32::try_from(fd).unwrap_or(-1))?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the process ends in time.
pub(super) fn ends_within(pidfd: &OwnedFd, milliseconds: i32) -> bool {
    let mut wanted = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `wanted` is one valid pollfd for the length of the call.
    unsafe { libc::poll(&raw mut wanted, 1, milliseconds) != 0 }
}

/// Kills through a pidfd, which can never hit another process that got the same pid; pidfd_send_signal(2).
pub(super) fn kill_by_pidfd(pidfd: &OwnedFd) {
    let nothing: *const libc::siginfo_t = std::ptr::null();
    // SAFETY: no signal information is passed, so the kernel reads no memory of ours.
    unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, nothing, 0)
    };
}

/// Both ends of a new terminal, ours first; openpty(3).
pub(super) fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mut ours, mut theirs) = (-1, -1);
    // SAFETY: both integers outlive the call; the null pointers ask for no name and for the usual settings.
    succeed(unsafe {
        libc::openpty(&raw mut ours, &raw mut theirs, null_mut(), null_mut(), null_mut())
    })?;
    for fd in [ours, theirs] {
        // SAFETY: F_SETFD touches no memory of ours.
        succeed(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    // SAFETY: openpty has just given us both descriptors and nobody else knows them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) })
}

/// Sets a terminal's size, and so sends SIGWINCH to its foreground process; ioctl_tty(2).
pub(super) fn set_size(terminal: &OwnedFd, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a valid winsize for the length of the call.
    succeed(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
        .map(drop)
}

/// How many bytes typed on the terminal `ours` has not been read yet; ioctl_tty(2), TIOCGPTPEER and FIONREAD.
pub(super) fn unread_keys(ours: &OwnedFd) -> io::Result<i32> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER touches no memory of ours.
    let fd = succeed(unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the kernel has just given us this descriptor and nobody else knows it.
    let theirs = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut count = 0;
    // SAFETY: `count` outlives the call that fills it.
    succeed(unsafe { libc::ioctl(theirs.as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
    Ok(count)
}

/// Makes the command start in a session of its own that its standard input controls.
pub(super) fn controls_terminal(command: &mut Command) {
    let become_leader = || {
        // SAFETY: neither call touches memory of ours.
        unsafe {
            succeed(libc::setsid())?;
            succeed(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only two system calls are made, and nothing is allocated.
    unsafe { command.pre_exec(become_leader) };
}

fn succeed(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
