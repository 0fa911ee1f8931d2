//! The memory that output is read into and records are framed in.

use crate::stream::CHUNK;

/// Bytes of it: a chunk of output, and as many for records and a bit more. A
/// chunk of long lines is one write, one of short lines is two; one record of
/// any length always fits.
const LEN: usize = 2 * CHUNK + 16_384;

/// A chunk of output with its records right behind it: of short lines, both
/// are in one page, and pages never used never become resident.
pub(crate) struct Space {
    bytes: [u8; LEN],
}

impl Space {
    /// All zero, so that it costs nothing in the program file.
    pub(crate) const fn new() -> Self {
        Space { bytes: [0; LEN] }
    }

    /// Where to read up to `len` bytes of output, at most [`CHUNK`].
    pub(crate) fn input(&mut self, len: usize) -> &mut [u8] {
        self.bytes.get_mut(..len.min(CHUNK)).unwrap_or(&mut [])
    }

    /// All of it, to look at what was written before, or at a record.
    pub(crate) fn all(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `len` bytes of output read, and an empty buffer for their
    /// records.
    pub(crate) fn split(&mut self, len: usize) -> (&[u8], Buffer<'_>) {
        let (chunk, room) = self.bytes.split_at_mut(len.min(CHUNK));
        (chunk, Buffer { len: 0, room })
    }
}

/// Records on their way to a log.
pub(crate) struct Buffer<'a> {
    len: usize,
    room: &'a mut [u8],
}

impl Buffer<'_> {
    /// What is in it: whole records, each ending with a newline.
    pub(crate) fn filled(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or(&[])
    }

    /// Where a record can be made; [`commit`](Self::commit) adds it.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        self.room.get_mut(self.len..).unwrap_or(&mut [])
    }

    /// Adds the first `len` bytes of what was spare.
    pub(crate) fn commit(&mut self, len: usize) {
        self.len = self.len.saturating_add(len).min(self.room.len());
    }

    /// Forgets what is in it.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds `head`, then `body`, then `end`, or nothing when there is no room
    /// for all (`false`). The array keeps the copy of the head, whose size is
    /// known, free of a call.
    #[inline]
    pub(crate) fn push<const HEAD: usize>(
        &mut self,
        head: &[u8; HEAD],
        body: &[u8],
        end: &[u8],
    ) -> bool {
        let room = self.room.get_mut(self.len..).unwrap_or(&mut []);
        let Some((to_head, room)) = room.split_first_chunk_mut::<HEAD>() else {
            return false;
        };
        let Some((to_body, room)) = room.split_at_mut_checked(body.len()) else {
            return false;
        };
        let Some((to_end, _)) = room.split_at_mut_checked(end.len()) else {
            return false;
        };
        *to_head = *head;
        to_body.copy_from_slice(body);
        to_end.copy_from_slice(end);
        self.len += HEAD + body.len() + end.len();
        true
    }
}
