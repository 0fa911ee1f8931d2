//! Who has sent which descriptor.

use std::collections::BTreeMap;

use wire::OwnedFd;

/// Names a connection, for as long as the server runs.
pub(super) type Connection = u64;

/// Descriptors by their slots.
#[derive(Debug)]
pub(super) struct Slots {
    next: u64,
    held: BTreeMap<u64, (Connection, OwnedFd)>,
}

impl Slots {
    /// For a server that is the `turn`th, from 0 on: it has the slots from
    /// there to the next one's, so that none is ever used twice.
    pub(super) fn new(turn: u32) -> Self {
        Slots { next: (u64::from(turn) << 32) + 1, held: BTreeMap::new() }
    }

    /// Keeps what a connection has sent; gives its slot.
    pub(super) fn keep(&mut self, connection: Connection, fd: OwnedFd) -> u64 {
        let slot = self.next;
        self.next += 1;
        self.held.insert(slot, (connection, fd));
        slot
    }

    /// Gives out what is in a slot.
    pub(super) fn take(&mut self, slot: u64) -> Option<OwnedFd> {
        self.held.remove(&slot).map(|(_, fd)| fd)
    }

    /// Closes what a connection has sent.
    pub(super) fn close_all(&mut self, connection: Connection) {
        self.held.retain(|_, (sender, _)| *sender != connection);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pipe() -> (OwnedFd, OwnedFd) {
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
    }

    fn is_closed(read: &OwnedFd) -> bool {
        crate::fds::do_not_block(read).unwrap();
        rustix::io::read(read, &mut [0u8; 1]) == Ok(0)
    }

    #[test]
    fn slots_count_up_from_one_and_are_emptied_once() {
        let mut slots = Slots::new(0);
        let [(mine, to_mine), (other, to_other), (late, to_late)] = [pipe(), pipe(), pipe()];
        assert_eq!(slots.keep(7, to_mine), 1);
        assert_eq!(slots.keep(8, to_other), 2);
        let taken = slots.take(2).unwrap();
        assert!(slots.take(2).is_none());
        assert!(!is_closed(&other));
        drop(taken);
        assert!(is_closed(&other));
        assert_eq!(slots.keep(8, to_late), 3);
        slots.close_all(7);
        assert!(is_closed(&mine) && !is_closed(&late));
        assert!(slots.take(1).is_none());
        assert_eq!(Slots::new(1).keep(7, slots.take(3).unwrap()), (1 << 32) + 1);
    }
}
