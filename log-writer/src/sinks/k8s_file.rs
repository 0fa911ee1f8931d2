//! The `k8s-file` log: `STAMP STREAM TAG CONTENT\n`, where TAG is `F` for a
//! line that ended and `P` for a part of one.
//!
//! Lines are split chunk by chunk and never joined: a chunk that ends in the
//! middle of a line gives a `P` record, the rest of the line a new one; so does
//! a line longer than [`PART`]. All records of a chunk have the same stamp.

use super::log_file::{LogFile, Way};
use crate::stamp::{self, Stamp};
use crate::stream::USUAL;
use wire::message::Stream;

/// Bytes of a record before its content: stamp, ` stdout `, tag and blank.
const HEAD: usize = stamp::LEN + 10;

/// Most bytes of a record's content.
pub(super) const PART: usize = USUAL;

/// Logs a chunk of output; how many bytes of it the log has room for.
pub(super) fn log(log: &mut LogFile, way: &mut Way<'_, '_>, chunk: &[u8]) -> usize {
    let full = head(&way.stamp, way.stream, b'F');
    let mut rest = chunk;
    while !rest.is_empty() && !log.is_full() {
        let (part, _) = rest.split_at_checked(PART).unwrap_or((rest, &[]));
        let end = memchr::memchr(b'\n', part);
        let (line, more) =
            rest.split_at_checked(end.map_or(part.len(), |at| at + 1)).unwrap_or((rest, &[]));
        rest = more;
        let len = HEAD + line.len() + usize::from(end.is_none());
        if log.is_over(len) {
            log.turn_over(way);
        }
        log.count(len);
        if end.is_some() {
            if !way.buffer.push(&full, line, b"") {
                log.flush(way);
                way.buffer.push(&full, line, b"");
            }
        } else {
            let part = head(&way.stamp, way.stream, b'P');
            if !way.buffer.push(&part, line, b"\n") {
                log.flush(way);
                way.buffer.push(&part, line, b"\n");
            }
        }
    }
    chunk.len() - rest.len()
}

/// What stands before the content of a record.
pub(super) fn head(stamp: &Stamp, stream: Stream, tag: u8) -> [u8; HEAD] {
    let name: &[u8; 8] = match stream {
        Stream::Stdout => b" stdout ",
        Stream::Stderr => b" stderr ",
    };
    let mut head = [b' '; HEAD];
    let parts = stamp.iter().chain(name).chain(core::iter::once(&tag));
    for (to, from) in head.iter_mut().zip(parts) {
        *to = *from;
    }
    head
}

/// Whether `line` is a record, or the beginning of one.
pub(super) fn begins(line: &[u8]) -> bool {
    let form = b"dddd-dd-ddTdd:dd:dd.ddddddddd+dd:dd std";
    form.iter().zip(line).all(|(form, byte)| match (form, byte) {
        (b'd', byte) if byte.is_ascii_digit() => true,
        (b'+', b'-') => true,
        (form, byte) => form == byte,
    })
}
