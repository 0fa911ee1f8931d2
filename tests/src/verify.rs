//! Whether a log holds what a container wrote with [`crate::load`]: every byte, in order, and nothing else. For logs of
//! any size.

use std::io::BufRead;

use crate::error::{Context, Error, Result};
use crate::load::{Blocks, Kind};

/// What is still to come.
#[derive(Debug)]
pub struct Expected {
    block: Blocks,
    /// Bytes of the block that have come.
    seen: usize,
    number: u64,
    blocks: u64,
}

impl Expected {
    /// So many blocks.
    pub fn new(kind: Kind, blocks: u64) -> Expected {
        Expected { block: Blocks::new(kind), seen: 0, number: 0, blocks }
    }

    /// These bytes have come.
    ///
    /// # Errors
    /// Others should have; both are quoted.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result {
        while !bytes.is_empty() {
            if self.number == self.blocks {
                return Err(Error::new(format!("more than was written: {}", quoted(bytes))));
            }
            let wanted = &self.block.bytes()[self.seen..];
            let length = wanted.len().min(bytes.len());
            if wanted[..length] != bytes[..length] {
                let (number, bytes) = (self.number, quoted(bytes));
                let text = format!("block {number}, after {} bytes, goes on: {bytes}", self.seen);
                return Err(Error::new(text));
            }
            bytes = &bytes[length..];
            self.seen += length;
            if self.seen == self.block.bytes().len() {
                self.block.advance();
                self.number += 1;
                self.seen = 0;
            }
        }
        Ok(())
    }

    /// That was all.
    ///
    /// # Errors
    /// Something is missing.
    pub fn end(self) -> Result {
        if self.number == self.blocks {
            return Ok(());
        }
        let text = format!("of {} blocks only {} are in the log", self.blocks, self.number);
        Err(Error::new(text))
    }
}

fn quoted(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(120)];
    format!("{:?}", String::from_utf8_lossy(start))
}

/// Bytes before the text of a k8s-file record: time stamp, stream, tag, a blank after each.
const HEAD: usize = 45;

/// Reads a k8s-file log to its end.
///
/// # Errors
/// The first thing that is not as it was written.
pub fn k8s_file(mut log: impl BufRead, mut expected: Expected) -> Result {
    let mut record = vec![];
    while next(&mut log, &mut record)? {
        // Content may hold anything but a newline, so a line is a record.
        let wrong = || Error::new(format!("not a record: {}", quoted(&record)));
        let whole = record.strip_suffix(b"\n").ok_or_else(wrong)?;
        let (head, text) = whole.split_at_checked(HEAD).ok_or_else(wrong)?;
        expected.take(text)?;
        match &head[HEAD - 10..] {
            b" stdout F " => expected.take(b"\n")?,
            b" stdout P " => {}
            _ => return Err(wrong()),
        }
    }
    expected.end()
}

/// Reads a json-file log to its end: one object a line, the text in `log`.
///
/// # Errors
/// The first thing that is not as it was written.
pub fn json_file(mut log: impl BufRead, mut expected: Expected) -> Result {
    let mut record = vec![];
    while next(&mut log, &mut record)? {
        let wrong = || Error::new(format!("not a record: {}", quoted(&record)));
        let object: serde_json::Value = serde_json::from_slice(&record).map_err(|_| wrong())?;
        expected.take(object["log"].as_str().ok_or_else(wrong)?.as_bytes())?;
    }
    expected.end()
}

fn next(log: &mut impl BufRead, record: &mut Vec<u8>) -> Result<bool> {
    record.clear();
    Ok(log.read_until(b'\n', record).context("cannot read the log")? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Vec<u8> {
        let mut block = Blocks::new(Kind::Lines);
        (0..number).for_each(|_| block.advance());
        block.bytes().to_vec()
    }

    fn record(tag: &str, text: &[u8]) -> Vec<u8> {
        [b"2026-01-01T00:00:00.000000000+00:00 stdout ", tag.as_bytes(), b" ", text].concat()
    }

    fn judged(records: &[Vec<u8>], blocks: u64) -> Result {
        k8s_file(&records.concat()[..], Expected::new(Kind::Lines, blocks))
    }

    #[test]
    fn partial_records_are_joined() {
        let (begin, rest) = (b"00000000\n", &line(1)[8..]);
        assert!(judged(&[record("F", &line(0)), record("P", begin), record("F", rest)], 2).is_ok());
    }

    #[test]
    fn a_missing_line_is_found() {
        assert!(judged(&[record("F", &line(0)), record("F", &line(2))], 3).is_err());
        assert!(judged(&[record("F", &line(0))], 2).is_err());
    }

    #[test]
    fn a_cut_a_repeated_and_a_foreign_line_are_found() {
        assert!(judged(&[record("F", &line(0)), record("P", b"0000\n")], 2).is_err());
        assert!(judged(&[record("F", &line(0)), record("F", &line(0))], 2).is_err());
        assert!(judged(&[record("F", &line(0)), record("F", b"hello\n")], 1).is_err());
    }

    #[test]
    fn a_json_log_is_read_as_json() {
        let text = format!("{{\"log\":{:?}}}\n", String::from_utf8(line(0)).unwrap());
        assert!(json_file(text.as_bytes(), Expected::new(Kind::Lines, 1)).is_ok());
        assert!(json_file(text.as_bytes(), Expected::new(Kind::Lines, 2)).is_err());
    }
}
