//! Waiting for the runtime, while serving what it needs to get on.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, WaitOptions};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

use crate::terminal::ConsoleSocket;

/// How often to look whether a talkative runtime is about to fill a pipe, in
/// ms. Nobody reads its output before it ends.
const PIPE_CHECK_MS: i64 = 20;
/// Largest pipe an unprivileged process may have (pipe(7), pipe-max-size).
const MAX_PIPE: usize = 1 << 20;

/// How the runtime ended, and what it sent.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status; 128 and the signal's number if one killed it.
    pub status: i32,
    /// Whether a signal killed it.
    pub killed: bool,
    /// The terminal, if it sent one.
    pub tty: Option<OwnedFd>,
    /// Why the terminal could not be taken.
    pub tty_error: Option<String>,
    /// The first words of a runtime that said more than a pipe holds.
    pub first_words: Vec<u8>,
}

impl Outcome {
    /// Nothing yet.
    fn new() -> Self {
        Outcome { status: -1, killed: false, tty: None, tty_error: None, first_words: Vec::new() }
    }

    /// Of a runtime that this signal has killed.
    pub fn killed_by(signal: i32) -> Self {
        Outcome { status: 128 + signal, killed: true, ..Outcome::new() }
    }
}

/// Waits until the engine lets the runtime start: for data on the start pipe, or
/// its end. Fails with the signal that asks us to end before that.
pub fn released(start_pipe: &OwnedFd, signals: &OwnedFd) -> Result<(), i32> {
    loop {
        let mut polled =
            [PollFd::new(start_pipe, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
        let _ = rustix::event::poll(&mut polled, None);
        let [pipe, _] = polled;
        while let Some(signal) = wire::sys::next_signal(signals) {
            if wire::sys::end_signal(signal).is_some() {
                return Err(signal);
            }
        }
        if !pipe.revents().is_empty() {
            let _ = rustix::io::read(start_pipe, &mut [0u8; 8192]);
            return Ok(());
        }
    }
}

/// What else there is to do while the runtime is at work.
pub trait Meanwhile {
    /// What is ready to read when there is; also when the runtime has ended.
    fn fds(&self) -> Vec<BorrowedFd<'_>>;
    /// Something may be. `runtime` has not been waited for yet.
    fn look(&mut self, runtime: Pid);
}

/// Passes signals that ask us to end on to the runtime; in this signalfd is
/// SIGCHLD, too.
pub struct PassOn<'a>(pub &'a OwnedFd);

impl Meanwhile for PassOn<'_> {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.0.as_fd()]
    }

    fn look(&mut self, runtime: Pid) {
        while let Some(signal) = wire::sys::next_signal(self.0) {
            if let Some(signal) = wire::sys::end_signal(signal) {
                let _ = rustix::process::kill_process(runtime, signal);
            }
        }
    }
}

/// Waits for the runtime to end. Meanwhile takes the terminal and keeps `pipes`
/// (errors last) from filling up. With `chatter` what is in them can only be
/// the runtime's own, and may be dropped.
pub fn runtime(
    pid: Pid,
    meanwhile: &mut dyn Meanwhile,
    console: Option<&ConsoleSocket>,
    pipes: &[&OwnedFd],
    chatter: bool,
) -> Outcome {
    let mut outcome = Outcome::new();
    loop {
        let fds = meanwhile.fds();
        let mut polled: Vec<PollFd<'_>> =
            fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let waiting = console.filter(|_| outcome.tty.is_none() && outcome.tty_error.is_none());
        if let Some(console) = waiting {
            polled.push(PollFd::new(&console.listener, PollFlags::IN));
        }
        // Pipes are not polled: with output in them they would always be
        // ready. A look now and then is enough to keep a runtime going.
        let pause = Timespec { tv_sec: 0, tv_nsec: PIPE_CHECK_MS * 1_000_000 };
        let _ = rustix::event::poll(&mut polled, Some(&pause));
        drop((polled, fds));
        meanwhile.look(pid);
        for pipe in pipes {
            let dropped = make_room(pipe, chatter);
            let errors = pipes.last().is_some_and(|last| std::ptr::eq(*last, *pipe));
            if errors && outcome.first_words.is_empty() {
                outcome.first_words = dropped;
            }
        }
        // Before its end is looked at: it sends the terminal, then it ends.
        let ended = match rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => {
                outcome.killed = status.signaled();
                Some(wire::sys::exit_code(status))
            }
            Ok(None) | Err(Errno::INTR) => None,
            Err(_) => Some(-1),
        };
        if let Some(console) = waiting {
            match console.accept() {
                Ok(tty) => outcome.tty = tty,
                Err(text) => outcome.tty_error = Some(text),
            }
        }
        if let Some(status) = ended {
            outcome.status = status;
            return outcome;
        }
    }
}

/// A pipe that is half full gets larger. At its largest, and full, it loses
/// what is in it if that is `chatter`: a runtime that writes a megabyte before
/// the container exists must not hang for ever. (A process that is running
/// already waits, and the detached runtime with it ends.) Returns what it lost.
fn make_room(pipe: &OwnedFd, chatter: bool) -> Vec<u8> {
    let (Ok(waiting), Ok(size)) =
        (rustix::io::ioctl_fionread(pipe), rustix::pipe::fcntl_getpipe_size(pipe))
    else {
        return Vec::new();
    };
    let waiting = usize::try_from(waiting).unwrap_or(0);
    if waiting * 2 < size {
        return Vec::new();
    }
    let larger = (size * 2).min(MAX_PIPE);
    if larger > size && rustix::pipe::fcntl_setpipe_size(pipe, larger).is_ok() {
        return Vec::new();
    }
    // A writer waits for whole pages, and few of a large pipe's may be full.
    let full = size >= 64 * 1024 || waiting + 512 > size;
    if !(chatter && full) {
        return Vec::new();
    }
    log::warn!("the runtime wrote more than {size} bytes before the container was there; dropped");
    let mut sink = vec![0u8; size];
    let count = rustix::io::read(pipe, &mut sink[..]).unwrap_or(0);
    sink.truncate(count);
    sink
}
