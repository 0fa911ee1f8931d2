//! What is known of a container.

use crate::held::Held;
use crate::sinks::{Entries, Files};
use crate::stream::Stream;
use crate::untold::{self, Packed, Untold};
use wire::message::Stream as Which;
use wire::{AsFd, Key, OwnedFd};

/// How far a container is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Its output is logged as it comes.
    Running,
    /// It is dead; the last of its output is being logged.
    Draining,
    /// All is logged and the hub knows it. What is left is owed to clients.
    Drained,
}

/// A container. The hub calls it `name`; our own tables use keys of our own,
/// because what is owed to clients outlives the hub's names.
pub(crate) struct Container {
    /// The hub's name for it.
    pub(crate) name: Key,
    /// Its record.
    pub(crate) record: OwnedFd,
    /// Its log files, if it has any.
    pub(crate) files: Files,
    /// Its entries in the journal, if it has any.
    pub(crate) journal: Option<Entries>,
    /// What its record says is untold of what was dropped.
    pub(crate) untold: Packed,
    /// Standard output, or everything of a terminal.
    pub(crate) stdout: Option<Stream>,
    /// Standard error.
    pub(crate) stderr: Option<Stream>,
    /// How many clients are attached to it.
    pub(crate) clients: u16,
    /// How far it is.
    pub(crate) life: Life,
}

impl Container {
    /// Notes in the record what was dropped, if there is news of that.
    pub(crate) fn save_untold(&mut self) {
        let (k8s, json) = self.files.untold();
        let journal = self.journal.as_ref().map_or(untold::NONE, Entries::untold);
        let untold = Untold { k8s, json, journal }.pack();
        if untold != self.untold {
            untold.save(self.record.as_fd());
            self.untold = untold;
        }
    }

    /// The slot of one of its streams.
    pub(crate) fn slot(&mut self, which: Which) -> &mut Option<Stream> {
        match which {
            Which::Stdout => &mut self.stdout,
            Which::Stderr => &mut self.stderr,
        }
    }

    /// One of its streams, if it is open.
    pub(crate) fn stream(&mut self, which: Which) -> Option<&mut Stream> {
        self.slot(which).as_mut()
    }

    /// What of a stream is held back.
    pub(crate) fn held(&self, which: Which) -> Held {
        let stream = match which {
            Which::Stdout => &self.stdout,
            Which::Stderr => &self.stderr,
        };
        stream.as_ref().map_or(Held::default(), |stream| stream.held)
    }

    /// Bytes of a stream that are logged, but must stay: a client has not got
    /// them, or they are held back.
    pub(crate) fn owed(&self, which: Which) -> usize {
        let stream = match which {
            Which::Stdout => &self.stdout,
            Which::Stderr => &self.stderr,
        };
        stream.as_ref().map_or(0, |stream| stream.logged)
    }
}
