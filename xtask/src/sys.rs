//! The few things that std has no safe name for; the only unsafe code of this crate.
#![allow(unsafe_code, reason = "thin wrappers around libc calls, each explained")]

use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// True when this process may do everything.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Our standard input, for calls about terminals.
pub(crate) fn stdin() -> rustix::fd::BorrowedFd<'static> {
    // SAFETY: std keeps the first three fds open in every program, and nothing here closes them.
    unsafe { rustix::stdio::stdin() }
}

/// Signals that `run` passes on to the container instead of dying of them.
const PASSED_ON: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// Has the program die of signals as programs do, even if we are to ignore them, as nohup(1) and shells have it for what
/// runs in the background: containers would ignore them, too.
pub(crate) fn mind_signals(command: &mut Command) {
    let mind = || {
        for signal in PASSED_ON {
            // SAFETY: the default is no code of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        Ok(())
    };
    // SAFETY: signal(2) may be called in a child of a process with threads; nothing is allocated.
    unsafe { command.pre_exec(mind) };
}

/// Signals that wait until somebody asks for them; made before any thread, so that all threads leave them alone.
/// Programs started by std get a clean signal mask, so they are not affected.
pub(crate) struct Signals(libc::sigset_t);

impl Signals {
    /// Blocks the signals of `PASSED_ON`.
    pub(crate) fn block() -> Result<Signals> {
        // SAFETY: zeroed memory is a place to put a set into, and sigemptyset makes it a valid one.
        let mut set = unsafe { std::mem::zeroed() };
        // SAFETY: `set` outlives the calls.
        unsafe {
            libc::sigemptyset(&mut set);
            for signal in PASSED_ON {
                libc::sigaddset(&mut set, signal);
            }
        }
        // SAFETY: a valid set; the old mask is not asked for.
        match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) } {
            0 => Ok(Signals(set)),
            error => Err(Error::from_raw_os_error(error)),
        }
    }

    /// Waits for the next of these signals; None if that is not possible.
    pub(crate) fn next(&self) -> Option<i32> {
        let mut signal = 0;
        // SAFETY: a valid set, and a place for a number.
        (unsafe { libc::sigwait(&self.0, &mut signal) } == 0).then_some(signal)
    }
}

/// Processor time, user and system, of this process.
pub(crate) fn own_seconds() -> Result<f64> {
    seconds_of(libc::RUSAGE_SELF)
}

/// Processor time, user and system, of all children that have been waited for, and of all that these have waited for
/// (getrusage(2)).
pub(crate) fn childrens_seconds() -> Result<f64> {
    seconds_of(libc::RUSAGE_CHILDREN)
}

fn seconds_of(whom: libc::c_int) -> Result<f64> {
    // SAFETY: zeroed memory is a place to put numbers into.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` outlives the call.
    match unsafe { libc::getrusage(whom, &mut usage) } {
        0 => Ok(seconds(usage.ru_utime) + seconds(usage.ru_stime)),
        _ => Err(Error::last_os_error()),
    }
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_minds_signals_does_not_ignore_what_we_do() {
        let mut command = Command::new("grep");
        command.args(["SigIgn", "/proc/self/status"]);
        let ignore = || {
            // SAFETY: to ignore a signal is no code of ours.
            unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
            Ok(())
        };
        // SAFETY: as in `mind_signals`.
        unsafe { command.pre_exec(ignore) };
        mind_signals(&mut command);
        let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let ignored = told.trim().strip_prefix("SigIgn:\t").unwrap();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        assert_eq!(ignored & 1 << (libc::SIGINT - 1), 0);
    }
}
