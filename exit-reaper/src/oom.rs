//! Noticing that a container ran out of memory, and telling the engine.
//!
//! `monitor` has the kernel wake us: on cgroup v1 through an eventfd, on v2
//! through the group's `memory.events` itself (kernfs files wake whoever
//! polls them). Both are watched edge-triggered and never read, so there is
//! nothing that could spin, and no buffer in the kernel. A wake-up may mean
//! anything; what counts is the counter in the file that the record names.

use crate::hub::{Hub, Source};
use crate::publish;
use wire::event::EventFlags;
use wire::oom::Counts;
use wire::record::{Fields, Tag};
use wire::{Errno, Key, Record};

/// How long after a wake-up to look again, in ms: cgroup v1 wakes us just
/// before it kills.
const AGAIN_MS: u64 = 200;

/// Why we look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// The kernel has woken us.
    Woken,
    /// Some time after that.
    Later,
    /// The container is dead; nothing after this is its own doing.
    Dead,
}

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Found {
    /// Memory has run out.
    RanOut,
    /// It has not.
    Nothing,
    /// It has not yet, but that may be a matter of milliseconds.
    NothingYet,
}

impl Hub {
    /// Has the kernel wake us when the container's memory runs out.
    pub(crate) fn watch_oom(&self, key: Key) {
        if let Some(fd) = self.tables.containers.get(key).and_then(|c| c.oom.as_ref()) {
            let flags = EventFlags::IN | EventFlags::PRI | EventFlags::ET;
            // Without it, we still look when the container is dead.
            let _ = self.events.add(fd, Source::Oom(key).token(), flags);
        }
    }

    /// Looks whether memory has run out, and makes the `oom` files if so. Once
    /// they are made, and when the container is dead, the watch ends.
    pub(crate) fn look_for_oom(&mut self, key: Key, moment: Moment) {
        let now = self.now;
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        let Some(fd) = &container.oom else { return };
        let woken = container.oom_at.take().is_some();
        let mut found = Found::Nothing;
        if let Ok(record) = Record::map(&container.record) {
            found = look(record.fields(), woken);
            if found == Found::RanOut {
                publish::oom_files(record.fields());
            }
        }
        if found == Found::RanOut || moment == Moment::Dead {
            self.events.remove(fd);
            container.oom = None;
        } else if found == Found::NothingYet && moment == Moment::Woken {
            container.oom_at = Some(now + AGAIN_MS);
        }
    }
}

/// Compares the counter with what it was. `woken`: it was a moment ago that
/// the kernel woke us.
fn look(fields: Fields<'_>, woken: bool) -> Found {
    let Some(path) = fields.string(Tag::OomCounter) else {
        return Found::Nothing;
    };
    let before = Counts {
        ooms: fields.number(Tag::OomsBefore),
        kills: fields.number(Tag::OomKillsBefore).unwrap_or(0),
    };
    match Counts::read(path) {
        Ok(now) if now.ran_out_since(before) => Found::RanOut,
        // v2 counts first and wakes then.
        Ok(now) if now.ooms.is_some() => Found::Nothing,
        Ok(_) => Found::NothingYet,
        // The group was removed before its count could be read. (The removal
        // wakes us, too, but then the group was gone already.)
        Err(Errno::NOENT | Errno::NODEV) if woken => Found::RanOut,
        Err(_) => Found::Nothing,
    }
}

#[cfg(test)]
#[path = "oom_tests.rs"]
mod tests;
