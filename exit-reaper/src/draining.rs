//! What a container has left behind when it is dead: output that is not in the
//! log, notifications that were not passed on. The roles say when they are
//! done; its end is published then, or after a while without.

use crate::hub::Hub;
use crate::life::Event;
use crate::oom::Moment;
use crate::role::Kind;
use rustix::event::{PollFd, PollFlags, Timespec};
use wire::{Key, Message, OwnedFd};

/// How long writing out the rest of the output may take, in ms. A pipe's worth
/// takes microseconds; this is for disks that do not answer.
const DRAIN_MS: u64 = 10_000;

impl Hub {
    /// Begins to wait for what the roles have yet to do for a dead container.
    pub(crate) fn drain(&mut self, key: Key) -> Option<Event> {
        // Now, while its control group is still there.
        self.look_for_oom(key, Moment::Dead);
        let container = self.tables.containers.get_mut(key)?;
        container.kill_at = None;
        container.deadline = Some(self.now + DRAIN_MS);
        self.accept(key);
        let container = self.tables.containers.get_mut(key)?;
        // One that knows of it may have clients of it, too.
        container.awaits_log = container.writer_told
            || container.output_given
            || container.log_dirty
            || container.outputs().any(|(_, fd)| readable(fd));
        container.awaits_notifications =
            container.notify.as_ref().is_some_and(|fd| container.proxy_told || readable(fd));
        for kind in [Kind::Writer, Kind::Proxy] {
            if self.awaits(key, kind) {
                self.ask_to_finish(key, kind);
            }
        }
        let container = self.tables.containers.get(key)?;
        (!container.awaits_log && !container.awaits_notifications).then_some(Event::Drained)
    }

    /// Whether a dead container waits for that role to say that it is done.
    pub(crate) fn awaits(&self, key: Key, kind: Kind) -> bool {
        self.tables.containers.get(key).is_some_and(|container| match kind {
            Kind::Writer => container.awaits_log,
            Kind::Proxy => container.awaits_notifications,
        })
    }

    /// Asks it to; anew if an earlier one was lost.
    pub(crate) fn ask_to_finish(&mut self, key: Key, kind: Kind) {
        match kind {
            Kind::Writer => self.ask_to_drain(key),
            Kind::Proxy => self.ask_for_notifications(key),
        }
    }

    /// That role has done its part for a dead container.
    pub(crate) fn drained(&mut self, key: Key, kind: Kind) {
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        match kind {
            Kind::Writer => {
                container.log_dirty = false;
                container.awaits_log = false;
            }
            Kind::Proxy => container.awaits_notifications = false,
        }
        if !container.awaits_log && !container.awaits_notifications {
            self.step(key, Event::Drained);
        }
    }

    /// Has the log-writer write out everything. If none can be started, the
    /// next try comes with [`Hub::catch_up`], the end with the deadline.
    pub(crate) fn ask_to_drain(&mut self, key: Key) {
        self.give_output(key);
        if self.tell_writer(key) {
            self.writer.send(&Message::Drain { container: key }, &[]);
        }
    }
}

/// Whether there is something in it that nobody has read yet.
fn readable(fd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let found = rustix::event::poll(&mut polled, Some(&now));
    found.is_ok() && polled.iter().any(|fd| fd.revents().contains(PollFlags::IN))
}
