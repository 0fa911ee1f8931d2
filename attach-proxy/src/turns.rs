//! Who delivers when: turns of the clients, container by container, and
//! packets that were stuck.

use crate::input::{Client, Delivery, Turn};
use crate::ports::Ports;
use crate::serve::Proxy;
use wire::{Key, Message};

impl Proxy {
    /// The container may have room for the packet that is in the way.
    pub(crate) fn resume(&mut self, own: Key, ports: &Ports) {
        let Some(stuck) = self.containers.get(own).and_then(|c| c.stuck) else {
            return;
        };
        let turn = self.serve_client(own, stuck.client, ports, |delivery, key, client| {
            delivery.resume(key, client)
        });
        if turn != Some(Turn::Blocked)
            && let Some(container) = self.containers.get_mut(own)
        {
            container.stuck = None;
            container.due = true;
        }
    }

    /// A turn for every client that may have something, container by container.
    pub(crate) fn give_turns(&mut self, ports: &Ports) {
        let mut from = 0;
        while let Some(own) = self.containers.next_key(from) {
            from = own.slot() + 1;
            let Some(container) = self.containers.get_mut(own) else {
                continue;
            };
            if container.due && container.stuck.is_none() {
                container.due = false;
                let first = container.turn;
                // Round the table once, beginning where it stopped last time.
                if !self.give_turns_from(own, first..usize::MAX, ports) {
                    self.give_turns_from(own, 0..first, ports);
                }
            }
        }
    }

    /// Turns for the container's clients in these slots. True when the
    /// container takes no more.
    fn give_turns_from(&mut self, own: Key, slots: core::ops::Range<usize>, ports: &Ports) -> bool {
        let mut from = slots.start;
        while let Some(key) = self.clients.next_key(from).filter(|k| k.slot() < slots.end) {
            from = key.slot() + 1;
            let mine = |client: &Client| client.container == own && client.ready;
            if !self.clients.get(key).is_some_and(mine) {
                continue;
            }
            let turn = self
                .serve_client(own, key, ports, |delivery, key, client| delivery.turn(key, client));
            if turn == Some(Turn::Blocked) {
                return true;
            }
        }
        false
    }

    /// Lets a client deliver, and draws the consequences.
    fn serve_client(
        &mut self,
        own: Key,
        key: Key,
        ports: &Ports,
        deliver: impl FnOnce(&mut Delivery<'_>, Key, &Client) -> Turn,
    ) -> Option<Turn> {
        let (containers, clients, buffer) = self.parts();
        let container = containers.get_mut(own)?;
        let client = clients.get_mut(key)?;
        let mut delivery = Delivery { container: &mut *container, own, buffer, ports };
        let turn = deliver(&mut delivery, key, client);
        client.ready = turn != Turn::Drained;
        match turn {
            Turn::Drained if !client.leaving => {}
            // The next turn is somebody else's.
            Turn::Blocked => container.turn = key.slot() + 1,
            Turn::More => container.due = true,
            Turn::Drained | Turn::Ended => {
                let closes = (container.close_at_end || client.closes) && !client.behind;
                if !client.leaving {
                    let client = client.name;
                    ports.tell(Message::InputDone { container: own, client });
                }
                if closes {
                    container.close_input(own, ports);
                }
                self.drop_client(key, ports);
            }
        }
        Some(turn)
    }
}
