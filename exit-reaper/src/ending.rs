//! What is done when a container ends, as [`crate::life`] orders it.

use crate::hub::Hub;
use crate::life::{Action, Event, next};
use crate::oom::Moment;
use crate::{command, publish};
use rustix::process::Signal;
use wire::record::{Fields, ROOM, Tag};
use wire::sys::SIGKILL;
use wire::{Errno, Key, Message, OwnedFd, Record};

/// How long a container may take to die of SIGKILL, in ms. A frozen one never
/// does; its engine was promised an answer.
const KILL_MS: u64 = 5_000;
/// Pause before the next try to start the exit command, in ms, when there is no
/// process or memory for it.
const PUT_OFF_MS: u64 = 100;
/// How often that is tried: for a minute.
const MAX_PUT_OFF: u16 = 600;

impl Hub {
    /// An event of a container's life.
    pub(crate) fn step(&mut self, key: Key, event: Event) {
        let mut event = Some(event);
        let mut room = [0; ROOM];
        let mut record = Look { room: &mut room, record: None };
        while let Some(now) = event.take() {
            let Some(container) = self.tables.containers.get_mut(key) else {
                return;
            };
            let (state, action) = next(container.state, now);
            if action != Action::Stay {
                container.deadline = None;
            }
            container.state = state;
            event = match action {
                Action::Stay => None,
                Action::Kill => self.time_out(key),
                Action::Stop => self.kill(key),
                Action::Drain => self.drain(key),
                Action::Publish => self.publish(key, &mut record),
                Action::RunCommand => self.run_command(key, &mut record),
                Action::PutOff => self.put_off(key),
                Action::Leave => self.leave(key, &mut record),
            };
        }
    }

    /// Lets those timers of a container happen whose time has come.
    pub(crate) fn container_timers(&mut self, key: Key) {
        let now = self.now;
        let due = |at: Option<u64>| at.is_some_and(|at| at <= now);
        let Some(container) = self.tables.containers.get(key) else {
            return;
        };
        let (accept, look) = (due(container.accept_at), due(container.oom_at));
        if accept {
            self.accept_again(key);
        }
        if look {
            self.look_for_oom(key, Moment::Later);
        }
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        if due(container.kill_at) {
            container.kill_at = None;
            self.step(key, Event::TimedOut);
        }
        if self.tables.containers.get(key).is_some_and(|container| due(container.deadline)) {
            self.step(key, Event::Deadline);
        }
    }

    fn time_out(&mut self, key: Key) -> Option<Event> {
        self.kill(key);
        let container = self.tables.containers.get_mut(key)?;
        container.timed_out = true;
        container.status = -1;
        None
    }

    fn kill(&mut self, key: Key) -> Option<Event> {
        let container = self.tables.containers.get_mut(key)?;
        // What it will be, should it be frozen and not die in time.
        container.status = 128 + SIGKILL;
        container.deadline = Some(self.now + KILL_MS);
        let pid = container.pid?;
        // The group of a process that made none of its own is not ours to kill.
        let group = rustix::process::getpgid(Some(pid)).ok();
        let _ = match group.filter(|group| *group == pid) {
            Some(group) => rustix::process::kill_process_group(group, Signal::KILL),
            None => rustix::process::kill_process(pid, Signal::KILL),
        };
        None
    }

    fn publish(&mut self, key: Key, record: &mut Look<'_>) -> Option<Event> {
        // First what the engine leaked in, so that its ports are free before
        // anybody learns of the death; and clients, who then look for the status.
        self.tables.containers.get_mut(key)?.leaks = None;
        self.drop_clients_of(key);
        if self.pod.is_some() {
            // Its descriptors make room for the files, and no child that is a
            // copy of us is to have them.
            self.close_all(key);
        }
        let container = self.tables.containers.get_mut(key)?;
        let mut delay = 0;
        if let Ok(fields) = record.of(&container.record) {
            publish::exit_files(key, fields, container.status);
            publish::sync(container, fields);
            publish::unlink(fields, Tag::AttachPath);
            publish::namespaces(fields);
            delay = fields.number(Tag::ExitDelay).unwrap_or(0);
        }
        container.deadline = Some(self.now.saturating_add(delay.saturating_mul(1000)));
        if delay == 0 {
            return Some(Event::Deadline);
        }
        self.close_all(key);
        None
    }

    /// Closes what else a dead container held. Nobody waits for that, save in a
    /// pod. Not inlined, for its size: it has three callers.
    #[inline(never)]
    fn close_all(&mut self, key: Key) {
        self.close_doors(key);
        self.reopened(key, Message::NotFound);
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        let watched = [
            &mut container.stdout,
            &mut container.stderr,
            &mut container.tty,
            &mut container.stage_read,
            &mut container.listener,
            &mut container.ctl,
            &mut container.winsz,
            &mut container.notify,
        ];
        for fd in watched.into_iter().filter_map(Option::take) {
            self.events.remove(&fd);
        }
        container.stdin = None;
        container.stage_write = None;
        container.log = None;
        let forget = Message::Forget { container: key };
        if container.writer_told {
            self.writer.send(&forget, &[]);
        }
        if container.proxy_told {
            self.proxy.send(&forget, &[]);
        }
        container.accept_at = None;
        container.input_closed = true;
        container.writer_told = false;
        container.proxy_told = false;
        container.output_given = false;
        container.log_dirty = false;
        container.awaits_log = false;
        container.awaits_notifications = false;
    }

    fn run_command(&mut self, key: Key, record: &mut Look<'_>) -> Option<Event> {
        let pod = self.pod.is_some();
        let others = pod || self.tables.containers.iter().any(|(other, _)| other != key);
        let container = self.tables.containers.get_mut(key)?;
        container.sync = None;
        if !others {
            // What the exit command leaves running is not for us to wait for.
            let _ = rustix::process::set_child_subreaper(None);
        }
        let started = record
            .of(&container.record)
            .and_then(|fields| command::start(fields, self.environment, !others));
        if !pod {
            self.close_all(key);
        }
        let container = self.tables.containers.get_mut(key)?;
        match started {
            // A pod has no end of its own to put off for it.
            Ok(Some(_)) if pod => Some(Event::CommandDone),
            Ok(Some(pid)) => {
                container.command = Some(pid);
                None
            }
            Ok(None) => Some(Event::CommandDone),
            // Without it the engine never cleans up.
            Err(Errno::AGAIN | Errno::NOMEM) if container.put_off < MAX_PUT_OFF => {
                container.put_off += 1;
                Some(Event::CommandPutOff)
            }
            Err(error) => {
                wire::error!(crate::NAME, "cannot start the exit command: {error}");
                Some(Event::CommandDone)
            }
        }
    }

    fn put_off(&mut self, key: Key) -> Option<Event> {
        let container = self.tables.containers.get_mut(key)?;
        container.deadline = Some(self.now + PUT_OFF_MS);
        None
    }

    fn leave(&mut self, key: Key, record: &mut Look<'_>) -> Option<Event> {
        let container = self.tables.containers.remove(key)?;
        if let Ok(fields) = record.of(&container.record) {
            publish::unlink(fields, Tag::SocketLink);
        }
        self.status = container.status;
        None
    }
}

/// A look at a container's record, if there is to be one; then at the same for
/// as long as this lives.
struct Look<'a> {
    room: &'a mut [u8],
    record: Option<Record<'a>>,
}

impl Look<'_> {
    /// Not inlined, for its size: it has three callers.
    #[inline(never)]
    fn of(&mut self, fd: &OwnedFd) -> Result<Fields<'_>, Errno> {
        if self.record.is_none() {
            self.record = Some(Record::read(fd, core::mem::take(&mut self.room))?);
        }
        self.record.as_ref().map(Record::fields).ok_or(Errno::INVAL)
    }
}
