//! The table of attached clients. Few is the usual number, and so few share a
//! page with the first container; the room for many costs nothing until then.

use crate::container::Client;
use wire::Key;
use wire::key::Slots;
use wire::start::Once;

/// Clients in the first part.
const FEW: usize = 64;
/// Clients in the second part. More wait in the socket's backlog.
const MANY: usize = 4032;

type Many = Slots<Client, MANY>;

/// The room for many. Its pages are touched when the first of them comes.
static ROOM: Once<Many> = Once::new(Many::new());

/// The clients of all containers of a hub.
pub(crate) struct Clients {
    few: Slots<Client, FEW>,
    many: Option<&'static mut Many>,
}

/// Which part an entry is in, by its name there.
enum Place {
    Few(Key),
    Many(Key),
}

/// Slots of the second part are counted on from those of the first.
fn place(name: Key) -> Place {
    match name.0.checked_sub(FEW as u32) {
        Some(rest) if name.slot() >= FEW => Place::Many(Key(rest)),
        _ => Place::Few(name),
    }
}

fn name_of_many(key: Key) -> Key {
    Key(key.0.wrapping_add(FEW as u32))
}

impl Clients {
    /// None yet, and room for few.
    pub(crate) const fn new() -> Self {
        Clients { few: Slots::new(), many: None }
    }

    /// As [`Slots::insert`].
    pub(crate) fn insert(&mut self, client: Client) -> Result<Key, Client> {
        let client = match self.few.insert(client) {
            Ok(key) => return Ok(key),
            Err(client) => client,
        };
        if self.many.is_none() {
            self.many = ROOM.take();
        }
        match &mut self.many {
            Some(many) => many.insert(client).map(name_of_many),
            None => Err(client),
        }
    }

    /// As [`Slots::get`].
    pub(crate) fn get(&self, name: Key) -> Option<&Client> {
        match place(name) {
            Place::Few(key) => self.few.get(key),
            Place::Many(key) => self.many.as_ref()?.get(key),
        }
    }

    /// As [`Slots::get_mut`].
    pub(crate) fn get_mut(&mut self, name: Key) -> Option<&mut Client> {
        match place(name) {
            Place::Few(key) => self.few.get_mut(key),
            Place::Many(key) => self.many.as_mut()?.get_mut(key),
        }
    }

    /// As [`Slots::remove`].
    pub(crate) fn remove(&mut self, name: Key) -> Option<Client> {
        match place(name) {
            Place::Few(key) => self.few.remove(key),
            Place::Many(key) => self.many.as_mut()?.remove(key),
        }
    }

    /// As [`Slots::next_key`].
    pub(crate) fn next_key(&self, from: usize) -> Option<Key> {
        let many = || {
            let key = self.many.as_ref()?.next_key(from.saturating_sub(FEW))?;
            Some(name_of_many(key))
        };
        self.few.next_key(from).or_else(many)
    }

    /// As [`Slots::is_full`].
    pub(crate) fn is_full(&self) -> bool {
        self.few.is_full() && self.many.as_ref().is_some_and(|many| many.is_full())
    }

    /// As [`Slots::iter`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Client)> {
        let many = self.many.iter().flat_map(|many| many.iter());
        self.few.iter().chain(many.map(|(key, client)| (name_of_many(key), client)))
    }

    /// As [`Slots::iter_mut`].
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut Client)> {
        let many = self.many.iter_mut().flat_map(|many| many.iter_mut());
        self.few.iter_mut().chain(many.map(|(key, client)| (name_of_many(key), client)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn client() -> Client {
        let socket = rustix::pipe::pipe().unwrap().0;
        Client {
            container: Key(1),
            socket,
            owner: false,
            input: false,
            closes: false,
            writer_told: false,
            proxy_told: false,
        }
    }

    #[test]
    fn clients_are_found_by_their_names_in_both_parts() {
        let mut clients = Clients::new();
        let names: Vec<Key> =
            (0..FEW + 10).map(|_| clients.insert(client()).ok().unwrap()).collect();
        for (at, name) in names.iter().enumerate() {
            assert_eq!(name.slot(), at);
            assert!(clients.get(*name).is_some());
            assert!(clients.get_mut(*name).is_some());
        }
        assert!(clients.iter().map(|(name, _)| name).eq(names.iter().copied()));
        assert!(clients.iter_mut().map(|(name, _)| name).eq(names.iter().copied()));
        let (mut from, mut seen) = (0, Vec::new());
        while let Some(name) = clients.next_key(from) {
            from = name.slot() + 1;
            assert!(clients.remove(name).is_some());
            assert!(clients.remove(name).is_none());
            seen.push(name);
        }
        assert_eq!(seen, names);
        // The places are free again, under other names.
        let again = clients.insert(client()).ok().unwrap();
        assert_eq!(again.slot(), 0);
        assert!(clients.get(names[0]).is_none());
        assert!(!clients.is_full());
    }
}
