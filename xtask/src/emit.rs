//! `emit`: numbered lines at full speed, the load of the log benchmark; and the check that none is missing.

use crate::report::{Context, Result};
use argh::FromArgs;
use std::io::{BufRead, Write};
use std::process::ExitCode;

/// Write numbered lines of 100 bytes to standard output (what the log benchmark's container runs).
#[derive(FromArgs)]
#[argh(subcommand, name = "emit")]
pub(crate) struct Args {
    /// how many lines
    #[argh(positional)]
    lines: u64,
}

/// Bytes of one line, its newline included: the usual size of a log line.
pub(crate) const LINE: usize = 100;

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    emit(args.lines, &mut std::io::stdout().lock()).context("cannot write")?;
    Ok(ExitCode::SUCCESS)
}

/// Line 0: 16 digits, then dots.
const FIRST: [u8; LINE] = {
    let mut line = [b'.'; LINE];
    let mut digit = 0;
    while digit < DIGITS {
        line[digit] = b'0';
        digit += 1;
    }
    line[LINE - 1] = b'\n';
    line
};
const DIGITS: usize = 16;

/// Makes a line the next one. Mostly one byte changes: neither producing nor checking may be what is measured.
fn advance(line: &mut [u8; LINE]) {
    for digit in (0..DIGITS).rev() {
        if line[digit] < b'9' {
            line[digit] += 1;
            return;
        }
        line[digit] = b'0';
    }
}

/// Writes whole pipes full (64 kB), so that the producer is never what a measurement waits for.
fn emit(lines: u64, to: &mut impl Write) -> std::io::Result<()> {
    let mut chunk = Vec::with_capacity(65536 + LINE);
    let mut line = FIRST;
    for _ in 0..lines {
        chunk.extend_from_slice(&line);
        advance(&mut line);
        if chunk.len() >= 65536 {
            to.write_all(&chunk)?;
            chunk.clear();
        }
    }
    to.write_all(&chunk)?;
    to.flush()
}

/// Reads a k8s-file log and says how many whole, rightly ordered lines of `emit` it holds, joining
/// partial records; the first wrong byte is an error.
pub(crate) fn verify(mut log: impl BufRead) -> Result<u64> {
    let (mut record, mut joined, mut expected, mut number) = (Vec::new(), Vec::new(), FIRST, 0);
    loop {
        record.clear();
        if log.read_until(b'\n', &mut record).context("cannot read the log")? == 0 {
            break;
        }
        let Some((head, text)) = record
            .split_at_checked(HEAD)
            .filter(|(head, _)| head[HEAD - 10..].starts_with(b" stdout "))
        else {
            return Err(format!(
                "no log record after line {number}: {}",
                String::from_utf8_lossy(&record)
            ));
        };
        let whole = head[HEAD - 2] == b'F';
        if whole && joined.is_empty() && text == expected {
            number += 1;
            advance(&mut expected);
            continue;
        }
        joined.extend_from_slice(text);
        if !whole {
            joined.pop();
        } else if joined == expected {
            number += 1;
            advance(&mut expected);
            joined.clear();
        } else {
            return Err(format!("line {number} came out as: {}", String::from_utf8_lossy(&joined)));
        }
    }
    if joined.is_empty() { Ok(number) } else { Err(format!("line {number} has no end")) }
}

/// Bytes before the text of a record: time stamp, stream, tag, a blank after each.
const HEAD: usize = 45;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> [u8; LINE] {
        let mut line = FIRST;
        line[..DIGITS].copy_from_slice(format!("{number:0DIGITS$}").as_bytes());
        line
    }

    fn record(tag: &str, text: &[u8]) -> Vec<u8> {
        [b"2026-01-01T00:00:00.000000000+00:00 stdout ", tag.as_bytes(), b" ", text].concat()
    }

    #[test]
    fn lines_are_counted_and_partial_records_joined() {
        let mut log = record("F", &line(0));
        log.extend(record("P", b"00000000\n"));
        log.extend(record("F", &line(1)[8..]));
        assert_eq!(verify(&log[..]), Ok(2));
    }

    #[test]
    fn a_missing_line_is_found() {
        let log = [record("F", &line(0)), record("F", &line(2))].concat();
        assert!(verify(&log[..]).is_err());
    }

    #[test]
    fn a_cut_line_is_found() {
        let log = [record("F", &line(0)), record("P", b"0000\n")].concat();
        assert!(verify(&log[..]).is_err());
    }

    #[test]
    fn what_is_emitted_is_what_is_checked() {
        let mut out = Vec::new();
        emit(2000, &mut out).unwrap();
        assert_eq!(out.len(), 2000 * LINE);
        let log: Vec<u8> = out.chunks(LINE).flat_map(|line| record("F", line)).collect();
        assert_eq!(verify(&log[..]), Ok(2000));
    }
}
