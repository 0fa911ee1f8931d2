//! The lines of the control FIFOs: `TYPE A B` on `ctl`, `ROWS COLUMNS` on
//! `winsz`. Total: whatever bytes come, in whatever pieces, each line is
//! judged by itself and a bad one does not spoil the next.

use heapless::Vec;

/// Longest line in bytes, without the newline. conmon's buffer has this size;
/// no command comes near it.
pub(crate) const MAX_LINE: usize = 199;

/// Most rows, and most columns, that a line may ask for.
const MAX_SIZE: u32 = 1000;

/// Most bytes of a bad line that its warning repeats.
const SHOWN: usize = 40;

/// Which FIFO a line came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// `ctl`.
    Control,
    /// `winsz`.
    WindowSize,
}

impl Source {
    /// The FIFO's name in the bundle.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Source::Control => "ctl",
            Source::WindowSize => "winsz",
        }
    }
}

/// What a line asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    /// Give the terminal this size.
    Resize {
        /// In characters, 0 to 1000.
        rows: u16,
        /// In characters, 0 to 1000.
        columns: u16,
    },
    /// Open the log anew.
    Reopen,
}

/// Why a line is ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bad {
    /// More than [`MAX_LINE`] bytes.
    TooLong,
    /// Not as many whole decimal numbers as it takes.
    NotNumbers,
    /// A size below 0 or above 1000.
    OutOfRange,
    /// A first number that is not 1 or 2.
    UnknownType,
}

impl Bad {
    /// For the end of a warning.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Bad::TooLong => "it has more than 199 bytes",
            Bad::NotNumbers => "it is not decimal numbers with blanks between",
            Bad::OutOfRange => "sizes go from 0 to 1000",
            Bad::UnknownType => "types are 1 (resize) and 2 (reopen the log)",
        }
    }
}

/// The lines of one FIFO; keeps what has come of an unfinished one.
pub(crate) struct Lines {
    line: Vec<u8, MAX_LINE>,
    too_long: bool,
}

impl Lines {
    /// At the start of a line.
    pub(crate) const fn new() -> Self {
        Lines { line: Vec::new(), too_long: false }
    }

    /// Whether part of a line has come and its end has not.
    pub(crate) fn in_a_line(&self) -> bool {
        self.too_long || !self.line.is_empty()
    }

    /// Takes the next bytes. Calls `each` for every line that ends in them,
    /// and for one that has become too long at once (then not at its end);
    /// with the line's beginning, for a warning.
    pub(crate) fn feed(
        &mut self,
        source: Source,
        bytes: &[u8],
        mut each: impl FnMut(Result<Command, Bad>, &[u8]),
    ) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n");
            if !self.too_long && self.line.extend_from_slice(text.unwrap_or(piece)).is_err() {
                self.too_long = true;
                let shown = if self.line.is_empty() { piece } else { &self.line };
                each(Err(Bad::TooLong), beginning(shown));
            }
            if text.is_some() {
                if !self.too_long {
                    each(parse(source, &self.line), beginning(&self.line));
                }
                self.line.clear();
                self.too_long = false;
            }
        }
    }
}

fn beginning(line: &[u8]) -> &[u8] {
    line.get(..SHOWN).unwrap_or(line)
}

/// What one line, without its newline, asks for.
fn parse(source: Source, line: &[u8]) -> Result<Command, Bad> {
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c))
        .filter(|word| !word.is_empty());
    let mut number = || words.next().and_then(decimal).ok_or(Bad::NotNumbers);
    let kind = match source {
        Source::Control => number()?,
        Source::WindowSize => Number::Is(1),
    };
    let (rows, columns) = (number()?, number()?);
    if !matches!(kind, Number::Is(1 | 2)) {
        return Err(Bad::UnknownType);
    }
    let (rows, columns) = (rows.size()?, columns.size()?);
    Ok(match kind {
        Number::Is(1) => Command::Resize { rows, columns },
        _ => Command::Reopen,
    })
}

/// A whole number as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Number {
    /// This one.
    Is(u32),
    /// One below zero.
    Negative,
}

impl Number {
    fn size(self) -> Result<u16, Bad> {
        match self {
            Number::Is(value @ ..=MAX_SIZE) => Ok(value as u16),
            _ => Err(Bad::OutOfRange),
        }
    }
}

/// Decimal digits with an optional sign. Leading zeros do not mean octal; too
/// many digits are as good as the largest number.
fn decimal(word: &[u8]) -> Option<Number> {
    let (negative, digits) = match word {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, word),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0u32, |sum, digit| {
        let digit = u32::from(digit - b'0');
        sum.saturating_mul(10).saturating_add(digit)
    });
    Some(match (negative, value) {
        (true, 1..) => Number::Negative,
        _ => Number::Is(value),
    })
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
