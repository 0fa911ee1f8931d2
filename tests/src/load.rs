//! Output that can be told from any other to the byte: what a container writes when its log is measured, and what must
//! be in the log then. Without std: the program that writes it has none.

/// What kind of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines of 100 bytes, the usual size of a log line.
    Lines,
    /// Lines of 4096 bytes.
    Long,
    /// All bytes but the newline.
    Binary,
}

impl Kind {
    /// All kinds, in the order of their tables.
    pub const ALL: [Kind; 3] = [Kind::Lines, Kind::Long, Kind::Binary];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Lines => "lines",
            Kind::Long => "long",
            Kind::Binary => "binary",
        }
    }

    /// Bytes of one block, newline included: output is a whole number of blocks.
    pub fn block(self) -> usize {
        match self {
            Kind::Lines => 100,
            Kind::Long | Kind::Binary => LARGEST,
        }
    }
}

/// Bytes of the largest block.
pub const LARGEST: usize = 4096;

/// A block begins with its number, in so many digits.
const DIGITS: usize = 16;

/// The blocks of one output, one after the other.
#[derive(Clone, Debug)]
pub struct Blocks {
    bytes: [u8; LARGEST],
    size: usize,
}

impl Blocks {
    /// Begins with block 0.
    pub fn new(kind: Kind) -> Blocks {
        let mut bytes = [b'.'; LARGEST];
        let size = kind.block();
        let (number, rest) = bytes.split_at_mut(DIGITS);
        number.fill(b'0');
        match kind {
            Kind::Lines | Kind::Long => rest[size - DIGITS - 1] = b'\n',
            Kind::Binary => scatter(rest),
        }
        Blocks { bytes, size }
    }

    /// The block that it is at.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    /// Goes on to the next one. Mostly one byte changes: neither writing nor checking may be what is measured.
    pub fn advance(&mut self) {
        for digit in self.bytes[..DIGITS].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }
}

/// Fills with bytes in no order, none of them a newline (a linear congruential generator, Knuth's MMIX).
fn scatter(bytes: &mut [u8]) {
    let mut state = 1u64;
    for byte in bytes {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *byte = (state >> 56) as u8;
        if *byte == b'\n' {
            *byte = 0;
        }
    }
}
