//! Signals and dead children.

use crate::hub::Hub;
use crate::life::{Event, State};
use rustix::process::{Pid, WaitOptions};
use wire::Key;
use wire::sys::exit_code;

impl Hub {
    /// Reads the signals that have come. Whatever asks us to end is meant for
    /// the containers, and we end after them; unless we serve a pod, which may
    /// have none.
    pub(crate) fn signalled(&mut self) {
        while let Some(signal) = wire::sys::next_signal(&self.signals) {
            let Some(signal) = wire::sys::end_signal(signal) else { continue };
            if self.pod.is_some() {
                self.stop_pod();
                continue;
            }
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
            self.child_ended(pid, exit_code(status));
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
            (None, Some(key)) => {
                // Our own status is the container's, whatever the command's is.
                if status != 0 {
                    wire::error!(crate::NAME, "the exit command failed with status {status}");
                }
                self.step(key, Event::CommandDone);
            }
            // A role or a worker, whose closed link says it already; the exit
            // command of a pod's container, which nobody waits for; an orphan
            // from inside a container; or a container that we are told of next.
            (None, None) => {
                if let Some(pod) = &mut self.pod {
                    pod.remember(pid.as_raw_nonzero().get(), status);
                }
            }
        }
    }

    /// The container's process has ended with that status.
    pub(crate) fn died(&mut self, key: Key, status: i32) {
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        if !container.timed_out {
            container.status = status;
        }
        if let Some(pidfd) = container.pidfd.take() {
            self.events.remove(&pidfd);
        }
        self.step(key, Event::Died);
    }
}
