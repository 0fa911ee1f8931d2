//! Records to the byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::Space;
use super::log_file::{Done, Form, LogFile};
use crate::stream::CHUNK;
use crate::untold::NONE;
use proptest::prelude::*;
use rustix::fs::MemfdFlags;
use rustix::time::Timespec;
use wire::message::Stream;
use wire::record::{Encoder, seal};
use wire::{AsFd, OwnedFd};

/// A log in memory.
struct Log {
    file: OwnedFd,
    record: OwnedFd,
    log: LogFile,
    space: Box<Space>,
}

impl Log {
    fn new() -> Self {
        let mut bytes = Vec::new();
        Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece)).zone(i64::MIN, 7200);
        let record = seal(&bytes).unwrap();
        let file = rustix::fs::memfd_create(c"log", MemfdFlags::CLOEXEC).unwrap();
        let copy = rustix::io::dup(&file).unwrap();
        let log = LogFile::new(Form::K8s, copy, record.as_fd(), true, NONE);
        let space = Box::new(Space::new());
        Log { file, record, log, space }
    }

    fn chunk(&mut self, stream: Stream, chunk: &[u8]) {
        self.space.input(chunk.len()).copy_from_slice(chunk);
        let (chunk, mut buffer) = self.space.split(chunk.len());
        let now = Timespec { tv_sec: 1_700_000_000, tv_nsec: 42 };
        let done = self.log.write(self.record.as_fd(), &mut buffer, now, stream, chunk, true);
        assert_eq!(done, Done { taken: chunk.len(), kept: 0, renewed: false });
    }

    fn bytes(&self) -> Vec<u8> {
        let len = rustix::fs::fstat(&self.file).unwrap().st_size as usize;
        let mut bytes = vec![0; len];
        let mut read = 0;
        while read < len {
            read += rustix::io::pread(&self.file, &mut bytes[read..], read as u64).unwrap();
        }
        bytes
    }
}

const STAMP: &str = "2023-11-15T00:13:20.000000042+02:00";

#[test]
fn lines_and_parts_of_lines_are_told_apart() {
    let cases: [(&[&str], &[&str]); 7] = [
        (&["a\n"], &["F a"]),
        (&["a"], &["P a"]),
        (&["a\nb"], &["F a", "P b"]),
        (&["a", "\n"], &["P a", "F "]),
        (&["\n\n"], &["F ", "F "]),
        (&["a\n", "b\n"], &["F a", "F b"]),
        (&[""], &[]),
    ];
    for (chunks, records) in cases {
        let mut log = Log::new();
        for chunk in chunks {
            log.chunk(Stream::Stdout, chunk.as_bytes());
        }
        let expected: String =
            records.iter().map(|record| format!("{STAMP} stdout {record}\n")).collect();
        assert_eq!(String::from_utf8(log.bytes()).unwrap(), expected);
    }
}

#[test]
fn bytes_of_any_kind_are_logged_as_they_are() {
    let mut log = Log::new();
    log.chunk(Stream::Stderr, b"\0\xff\r\x1b\n");
    let expected = [STAMP.as_bytes(), b" stderr F \0\xff\r\x1b\n"].concat();
    assert_eq!(log.bytes(), expected);
}

#[test]
fn the_longest_chunks_are_logged_whole() {
    for chunk in [
        vec![b'\n'; CHUNK],
        vec![b'x'; CHUNK],
        [vec![b'x'; CHUNK - 1], vec![b'\n']].concat(),
        b"x\n".repeat(CHUNK / 2),
    ] {
        let mut log = Log::new();
        log.chunk(Stream::Stdout, &chunk);
        assert!(crate::tests::printed(&log.bytes(), "stdout") == chunk);
    }
}

/// Chunks made of few different bytes, so that newlines are frequent.
fn chunks() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let byte = prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()];
    let chunk = proptest::collection::vec(byte, 1..40);
    proptest::collection::vec((any::<bool>(), chunk), 0..8)
}

proptest! {
    #[test]
    fn what_was_printed_can_be_read_back(chunks in chunks()) {
        let mut log = Log::new();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for (is_out, chunk) in chunks {
            let stream = if is_out { Stream::Stdout } else { Stream::Stderr };
            log.chunk(stream, &chunk);
            if is_out { &mut out } else { &mut err }.extend_from_slice(&chunk);
        }
        let bytes = log.bytes();
        prop_assert_eq!(crate::tests::printed(&bytes, "stdout"), out);
        prop_assert_eq!(crate::tests::printed(&bytes, "stderr"), err);
    }
}
