//! Much output, and the certainty that all of it arrived: numbered blocks of lines of many lengths.

use std::io::{self, Write};

use crate::error::{Error, Result};

/// Bytes of a block.
pub const BLOCK: usize = 1 << 20;

/// What a block begins with; six digits and a newline follow.
const HEAD: &[u8] = b"block ";

/// One block of output.
#[derive(Debug)]
struct Block(Vec<u8>);

impl Block {
    fn new() -> Block {
        let mut bytes = [HEAD, b"000000\n"].concat();
        // Escapes of every kind, and a line much longer than any buffer, of characters that no buffer ends with.
        bytes.extend_from_slice("\t\"quoted\\\" <a&b> \u{2028} caf\u{e9}\r\n\n".as_bytes());
        bytes.extend("\u{20ac}".repeat(70_000).into_bytes());
        let mut length = 0;
        while bytes.len() < BLOCK {
            bytes.push(b'\n');
            length = (length + 1237) % 2001;
            let letter = b'a' + u8::try_from(length % 26).unwrap_or(0);
            bytes.resize((bytes.len() + length).min(BLOCK), letter);
        }
        bytes.truncate(BLOCK - 1);
        bytes.push(b'\n');
        Block(bytes)
    }

    fn numbered(&mut self, number: usize) -> &[u8] {
        let digits = format!("{number:06}");
        if let Some(place) = self.0.get_mut(HEAD.len()..HEAD.len() + 6) {
            place.copy_from_slice(digits.as_bytes());
        }
        &self.0
    }
}

/// Writes that many blocks.
///
/// # Errors
/// Those of writing.
pub fn write(blocks: usize, mut out: impl Write) -> io::Result<()> {
    let mut block = Block::new();
    (0..blocks).try_for_each(|number| out.write_all(block.numbered(number)))
}

/// Compares what arrives, in pieces of any size, with what was written.
#[derive(Debug)]
pub struct Check {
    block: Block,
    number: usize,
    pending: Vec<u8>,
}

impl Check {
    /// Nothing has arrived yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Check {
        Check { block: Block::new(), number: 0, pending: Vec::with_capacity(2 * BLOCK) }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// They are not what should come; says where that was noticed.
    pub fn push(&mut self, bytes: &[u8]) -> Result {
        self.pending.extend_from_slice(bytes);
        while let Some(block) = self.pending.get(..BLOCK) {
            let expected = self.block.numbered(self.number);
            if block != expected {
                let at = block.iter().zip(expected).position(|(one, other)| one != other);
                let number = self.number;
                return Err(Error::new(format!("block {number} is wrong from byte {at:?} on")));
            }
            self.pending.drain(..BLOCK);
            self.number += 1;
        }
        Ok(())
    }

    /// Whether that many blocks have arrived.
    pub fn has(&self, blocks: usize) -> bool {
        self.number >= blocks
    }

    /// Makes sure that exactly that many blocks have arrived.
    ///
    /// # Errors
    /// It was less or more.
    pub fn finish(self, blocks: usize) -> Result {
        if self.number == blocks && self.pending.is_empty() {
            return Ok(());
        }
        let (number, rest) = (self.number, self.pending.len());
        Err(Error::new(format!("{number} blocks and {rest} bytes came, not {blocks} blocks")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_and_anything_else_is_not() -> Result {
        let mut output = Vec::new();
        write(3, &mut output).unwrap();
        let mut check = Check::new();
        for piece in output.chunks(70_001) {
            check.push(piece)?;
        }
        check.finish(3)?;
        assert!(std::str::from_utf8(&output).is_ok());

        output.swap(BLOCK + 8, 2 * BLOCK + 8);
        output.remove(100_000);
        assert!(Check::new().push(&output).is_err());
        Ok(())
    }
}
