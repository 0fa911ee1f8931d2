//! Signals and dead children.

use crate::hub::Hub;
use crate::life::{Event, State};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use wire::Key;
use wire::sys::{SIGINT, SIGQUIT, SIGTERM};

/// Bytes of one signalfd(2) record; the signal's number comes first.
const RECORD: usize = 128;

/// The status that engines know: the exit status, or 128 and the number of
/// the signal that killed it.
pub(crate) fn code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => status,
        (None, Some(signal)) => 128 + signal,
        (None, None) => -1,
    }
}

impl Hub {
    /// Reads the signals that have come. Whatever asks us to end is meant for
    /// the containers; we end after them.
    pub(crate) fn signalled(&mut self) {
        let mut buffer = [0u8; RECORD];
        while let Ok(RECORD) = rustix::io::read(&self.signals, &mut buffer) {
            let Some(number) = buffer.first_chunk::<4>() else {
                break;
            };
            let signal = match i32::from_ne_bytes(*number) {
                SIGTERM => Signal::TERM,
                SIGINT => Signal::INT,
                SIGQUIT => Signal::QUIT,
                _ => continue,
            };
            for (_, container) in self.tables.containers.iter() {
                if let (State::Running, Some(pid)) = (container.state, container.pid) {
                    let _ = rustix::process::kill_process(pid, signal);
                }
            }
        }
        self.reap();
    }

    /// Reaps every child that has ended.
    pub(crate) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            self.child_ended(pid, code(status));
        }
    }

    fn child_ended(&mut self, pid: Pid, status: i32) {
        let containers = &self.tables.containers;
        let dead = containers.iter().find(|(_, container)| {
            // Once it is dead, its pid may be somebody else's.
            let alive = matches!(container.state, State::Running | State::Killed);
            alive && container.pid == Some(pid)
        });
        let commanded = containers.iter().find(|(_, container)| container.command == Some(pid));
        match (dead.map(|(key, _)| key), commanded.map(|(key, _)| key)) {
            (Some(key), _) => self.died(key, status),
            (None, Some(key)) => self.step(key, Event::CommandDone),
            (None, None) => {}
        }
        // Anything else is a role, whose closed link says it already, or an
        // orphan from inside a container.
    }

    /// The container's process has ended with that status.
    pub(crate) fn died(&mut self, key: Key, status: i32) {
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        if container.state == State::Running {
            container.status = status;
        }
        if let Some(pidfd) = container.pidfd.take() {
            self.events.remove(&pidfd);
        }
        self.step(key, Event::Died);
    }
}
