//! Names for containers and clients that outlive the slot they sit in.

/// Names an entry of a [`Slots`] table. The low 16 bits are the slot, the
/// high 16 count how often tables have handed slots out, so that a message
/// about an entry that is gone cannot hit its successor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Key(pub u32);

impl Key {
    /// The slot this key points to; not yet checked against any table.
    pub fn slot(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// A table of at most `N` (≤ 65536) entries named by [`Key`]. Memory of slots
/// never used is never touched, so it costs nothing in `.bss`.
// What every use touches comes first, beside the first slots: one page.
#[repr(C)]
pub struct Slots<T, const N: usize> {
    turn: u16,
    entries: heapless::Vec<Option<(Key, T)>, N>,
}

impl<T, const N: usize> Slots<T, N> {
    /// An empty table.
    pub const fn new() -> Self {
        Slots { turn: 0, entries: heapless::Vec::new() }
    }

    /// Puts `value` into a free slot. A full table gives it back.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        let free = self.entries.iter().position(Option::is_none);
        self.turn = self.turn.wrapping_add(1);
        let slot = free.unwrap_or(self.entries.len());
        let key = Key((u32::from(self.turn) << 16) | (slot as u32 & 0xffff));
        match self.entries.get_mut(slot) {
            Some(entry) => *entry = Some((key, value)),
            None => {
                if let Err(back) = self.entries.push(Some((key, value))) {
                    return back.map_or(Ok(key), |(_, value)| Err(value));
                }
            }
        }
        Ok(key)
    }

    /// Puts `value` into the table under a key that another process chose.
    /// Slots a peer leaves out stay empty. An entry of the same slot is
    /// replaced (it was gone at the peer). Fails when the slot is beyond `N`.
    pub fn insert_at(&mut self, key: Key, value: T) -> Result<(), T> {
        while self.entries.len() <= key.slot() {
            if self.entries.push(None).is_err() {
                return Err(value);
            }
        }
        match self.entries.get_mut(key.slot()) {
            Some(entry) => *entry = Some((key, value)),
            None => return Err(value),
        }
        Ok(())
    }

    /// The entry of that name, if it is still here.
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.entries.get(key.slot())? {
            Some((own, value)) if *own == key => Some(value),
            _ => None,
        }
    }

    /// The entry of that name, if it is still here.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.slot())? {
            Some((own, value)) if *own == key => Some(value),
            _ => None,
        }
    }

    /// Takes the entry of that name out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.slot())?;
        if entry.as_ref().is_some_and(|(own, _)| *own == key) {
            return entry.take().map(|(_, value)| value);
        }
        None
    }

    /// The first key at or after slot `from`: lets a caller walk the table
    /// while it changes entries. Start with 0, go on with `key.slot() + 1`.
    pub fn next_key(&self, from: usize) -> Option<Key> {
        self.entries.get(from..)?.iter().flatten().map(|(key, _)| *key).next()
    }

    /// All entries with their names.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.entries.iter().flatten().map(|(key, value)| (*key, value))
    }

    /// All entries with their names.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.entries.iter_mut().flatten().map(|(key, value)| (*key, value))
    }

    /// Whether no entry is left.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(Option::is_none)
    }

    /// Whether the next [`insert`](Self::insert) would fail.
    pub fn is_full(&self) -> bool {
        self.entries.is_full() && self.entries.iter().all(Option::is_some)
    }
}

impl<T, const N: usize> Default for Slots<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_removed_entry_never_finds_its_successor() {
        let mut slots = Slots::<u8, 2>::new();
        let first = slots.insert(1).unwrap();
        assert_eq!(slots.remove(first), Some(1));
        let second = slots.insert(2).unwrap();
        assert_eq!(first.slot(), second.slot());
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&2));
    }

    #[test]
    fn a_full_table_gives_the_value_back() {
        let mut slots = Slots::<u8, 1>::new();
        let key = slots.insert(1).unwrap();
        assert!(slots.is_full());
        assert_eq!(slots.insert(2), Err(2));
        assert_eq!(slots.insert_at(Key(5), 3), Err(3));
        slots.remove(key);
        assert!(slots.is_empty());
        assert!(slots.insert(4).is_ok());
    }

    #[test]
    fn the_table_can_be_walked_while_entries_go() {
        let mut slots = Slots::<u8, 4>::new();
        for value in 0..4 {
            slots.insert(value).unwrap();
        }
        let (mut from, mut seen) = (0, 0);
        while let Some(key) = slots.next_key(from) {
            from = key.slot() + 1;
            slots.remove(key);
            seen += 1;
        }
        assert_eq!(seen, 4);
    }
}
