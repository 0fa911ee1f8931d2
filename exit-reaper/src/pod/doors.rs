//! Attach sockets beside the one that a container may come with.

use crate::adopt::{ACCEPT_PAUSE_MS, accept_one};
use crate::container::Client;
use crate::hub::{Hub, Source};
use wire::event::EventFlags;
use wire::{Errno, Key, OwnedFd};

/// A listening attach socket.
pub(super) struct Door {
    container: Key,
    socket: OwnedFd,
    /// The end of a client's input is the end of the container's.
    closes: bool,
    /// When to accept clients again, after descriptors ran out.
    pub(super) accept_at: Option<u64>,
}

impl Hub {
    /// Accepts clients at this socket, too. Fails when there are too many.
    pub(super) fn open_door(
        &mut self,
        container: Key,
        socket: OwnedFd,
        closes: bool,
    ) -> Result<(), Errno> {
        let pod = self.pod.as_mut().ok_or(Errno::INVAL)?;
        let door = Door { container, socket, closes, accept_at: None };
        let key = pod.tables.doors.insert(door).map_err(|_| Errno::NFILE)?;
        let watched = self.watch_door(key);
        if watched.is_err()
            && let Some(pod) = &mut self.pod
        {
            pod.tables.doors.remove(key);
        }
        watched
    }

    fn watch_door(&self, key: Key) -> Result<(), Errno> {
        let door = self.pod.as_ref().and_then(|pod| pod.tables.doors.get(key));
        let door = door.ok_or(Errno::NOENT)?;
        self.events.add(&door.socket, Source::Door(key).token(), EventFlags::IN)
    }

    /// Accepts every client that waits at a door. Out of descriptors, memory
    /// or table space, it leaves them waiting and looks again later.
    pub(crate) fn accept_door(&mut self, key: Key) {
        loop {
            let Some(pod) = &mut self.pod else { return };
            let Some(door) = pod.tables.doors.get_mut(key) else { return };
            let own = door.container;
            let Some(container) = self.tables.containers.get(own) else { return };
            match accept_one(&door.socket, self.tables.clients.is_full()) {
                Ok(socket) => {
                    let client = Client {
                        closes: door.closes,
                        ..Client::new(own, container, socket, false)
                    };
                    self.greet(own, client);
                }
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.events.remove(&door.socket);
                    door.accept_at = Some(self.now + ACCEPT_PAUSE_MS);
                    return;
                }
            }
        }
    }

    /// Accepts who waits at any door of a container.
    pub(crate) fn accept_doors(&mut self, own: Key) {
        self.each_door(|hub, key, door| {
            if door == own {
                hub.accept_door(key);
            }
        });
    }

    /// Closes the doors of a container that is gone.
    pub(crate) fn close_doors(&mut self, own: Key) {
        self.each_door(|hub, key, door| {
            if door == own
                && let Some(pod) = &mut hub.pod
                && let Some(door) = pod.tables.doors.remove(key)
            {
                hub.events.remove(&door.socket);
            }
        });
    }

    pub(super) fn door_timers(&mut self) {
        let now = self.now;
        self.each_door(|hub, key, _| {
            let Some(pod) = &mut hub.pod else { return };
            let Some(door) = pod.tables.doors.get_mut(key) else { return };
            if door.accept_at.take_if(|at| *at <= now).is_some() {
                if hub.watch_door(key).is_err()
                    && let Some(door) =
                        hub.pod.as_mut().and_then(|pod| pod.tables.doors.get_mut(key))
                {
                    door.accept_at = Some(now + ACCEPT_PAUSE_MS);
                }
                hub.accept_door(key);
            }
        });
    }

    /// For every door, with the container it leads to.
    fn each_door(&mut self, mut each: impl FnMut(&mut Hub, Key, Key)) {
        let mut from = 0;
        while let Some(pod) = &self.pod
            && let Some(key) = pod.tables.doors.next_key(from)
        {
            from = key.slot() + 1;
            if let Some(container) = pod.tables.doors.get(key).map(|door| door.container) {
                each(self, key, container);
            }
        }
    }
}
