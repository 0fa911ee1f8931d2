//! The `json-file` log, to the byte as Docker writes it: one object a line,
//! `{"log":"CONTENT\n","stream":"stdout","time":"2026-11-22T04:20:34.5Z"}`.
//!
//! A part of a line is an object whose content does not end with a newline. A
//! part ends where a chunk of output does, or after [`PIECE`] bytes, but never
//! within a character: its first bytes come again with the next chunk. Time is
//! UTC, its fraction without zeros at the end (Go's `RFC3339Nano`).
//!
//! JSON is text: a byte that is no UTF-8 becomes U+FFFD.

use super::log_file::{LogFile, Way};
use crate::stamp::Stamp;
use wire::message::Stream;

/// Bytes of output in one object at most, the newline not counted. As Docker;
/// escaped, which may take six bytes for one, it fits the buffer.
const PIECE: usize = 16_384;

/// What stands before the content.
pub(super) const HEAD: &[u8] = b"{\"log\":\"";

/// Bytes that stand after the content at most.
const END: usize = 64;

/// Digits of `\u00XX`.
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Logs a chunk of output; how many bytes of it the log has room for, and how
/// many after them are to come again.
pub(super) fn log(
    log: &mut LogFile,
    way: &mut Way<'_, '_>,
    chunk: &[u8],
    hold: bool,
) -> (usize, usize) {
    let end = end(&way.stamp, way.stream);
    let mut rest = chunk;
    while !rest.is_empty() && !log.is_full() {
        let len = first_piece(rest, hold);
        if len == 0 {
            return (chunk.len() - rest.len(), rest.len());
        }
        let (piece, more) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        rest = more;
        let mut object = encode(way.buffer.spare(), piece, &end);
        let over = object.is_some_and(|len| log.is_over(len));
        if object.is_none() || over {
            log.flush(way);
            object = encode(way.buffer.spare(), piece, &end);
            if object.is_some_and(|len| log.is_over(len)) {
                log.turn_over(way);
                // Its room was scratch memory meanwhile.
                object = encode(way.buffer.spare(), piece, &end);
            }
        }
        let len = object.unwrap_or(0);
        log.count(len);
        way.buffer.commit(len);
    }
    (chunk.len() - rest.len(), 0)
}

/// How many bytes the first object of some output has; 0: more has to come.
fn first_piece(output: &[u8], hold: bool) -> usize {
    // One byte more, for the newline.
    let start = output.get(..=PIECE).unwrap_or(output);
    if let Some(at) = memchr::memchr(b'\n', start) {
        return at + 1;
    }
    let start = start.get(..PIECE).unwrap_or(start);
    if hold || output.len() > start.len() { start.len() - unfinished(start) } else { start.len() }
}

/// How many bytes at the end are the beginning of a character.
fn unfinished(text: &[u8]) -> usize {
    let lead = text.iter().rev().take(3).position(|byte| *byte & 0xc0 != 0x80);
    let tail = lead.and_then(|at| text.get(text.len() - at - 1..)).unwrap_or(&[]);
    match core::str::from_utf8(tail) {
        Err(error) if error.error_len().is_none() => tail.len() - error.valid_up_to(),
        _ => 0,
    }
}

/// What stands after the content.
pub(super) fn end(stamp: &Stamp, stream: Stream) -> heapless::Vec<u8, END> {
    let stream: &[u8] = match stream {
        Stream::Stdout => b"\",\"stream\":\"stdout\",\"time\":\"",
        Stream::Stderr => b"\",\"stream\":\"stderr\",\"time\":\"",
    };
    // Without the distance from UTC.
    let time = stamp.first_chunk::<29>().map_or(&[][..], |time| time);
    let digits = time.iter().rposition(|byte| *byte != b'0').unwrap_or(0);
    let second = time.get(digits) == Some(&b'.');
    let time = time.get(..digits + usize::from(!second)).unwrap_or(&[]);
    let mut end = heapless::Vec::new();
    for part in [stream, time, b"Z\"}\n"] {
        let _ = end.extend_from_slice(part);
    }
    end
}

/// The object with this content at the beginning of `room`; its length. `None`
/// if there is no room.
fn encode(room: &mut [u8], content: &[u8], end: &[u8]) -> Option<usize> {
    let mut object = Object { len: 0, room };
    object.put(HEAD)?;
    for part in content.utf8_chunks() {
        object.escape(part.valid().as_bytes())?;
        for _ in part.invalid() {
            object.put(b"\\ufffd")?;
        }
    }
    object.put(end)?;
    Some(object.len)
}

/// An object in the making.
struct Object<'a> {
    len: usize,
    room: &'a mut [u8],
}

impl Object<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.room.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// Puts text, with what JSON, HTML and JavaScript would stumble over
    /// escaped as Go does it.
    fn escape(&mut self, text: &[u8]) -> Option<()> {
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| is_special(*byte)) {
            self.put(rest.get(..at)?)?;
            rest = rest.get(at..)?;
            let mut len = 1;
            match rest {
                [byte @ (b'"' | b'\\'), ..] => self.put(&[b'\\', *byte])?,
                [b'\n', ..] => self.put(b"\\n")?,
                [b'\r', ..] => self.put(b"\\r")?,
                // U+2028 and U+2029 end lines in JavaScript.
                [0xe2, 0x80, last @ (0xa8 | 0xa9), ..] => {
                    self.put(&[b'\\', b'u', b'2', b'0', b'2', last - 0xa8 + b'8'])?;
                    len = 3;
                }
                [0xe2, ..] => self.put(&[0xe2])?,
                [byte, ..] => {
                    let digit = |bits: u8| HEX.get(usize::from(bits)).copied().unwrap_or(b'0');
                    self.put(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)])?;
                }
                [] => {}
            }
            rest = rest.get(len..)?;
        }
        self.put(rest)
    }
}

/// Whether a byte of UTF-8 may have to be escaped.
#[inline]
fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'&' | b'<' | b'>' | b'\\' | 0xe2)
}

/// Whether `line` is a record, or the beginning of one.
pub(super) fn begins(line: &[u8]) -> bool {
    HEAD.iter().zip(line).all(|(form, byte)| form == byte)
}
