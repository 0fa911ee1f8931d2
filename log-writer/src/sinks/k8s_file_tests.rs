//! Records to the byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::log_file::Form;
use super::memory_log::Log;
use crate::stream::CHUNK;
use proptest::prelude::*;
use wire::message::Stream;

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
        let mut log = Log::new(Form::K8s, 42);
        for chunk in chunks {
            log.whole(Stream::Stdout, chunk.as_bytes());
        }
        let expected: String =
            records.iter().map(|record| format!("{STAMP} stdout {record}\n")).collect();
        assert_eq!(String::from_utf8(log.bytes()).unwrap(), expected);
    }
}

#[test]
fn bytes_of_any_kind_are_logged_as_they_are() {
    let mut log = Log::new(Form::K8s, 42);
    log.whole(Stream::Stderr, b"\0\xff\r\x1b\n");
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
        let mut log = Log::new(Form::K8s, 42);
        log.whole(Stream::Stdout, &chunk);
        let bytes = log.bytes();
        assert!(crate::tests::printed(&bytes, "stdout") == chunk);
        let longest = bytes.split(|byte| *byte == b'\n').map(<[u8]>::len).max();
        assert!(longest <= Some(super::k8s_file::PART + STAMP.len() + " stdout P ".len()));
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
        let mut log = Log::new(Form::K8s, 42);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for (is_out, chunk) in chunks {
            let stream = if is_out { Stream::Stdout } else { Stream::Stderr };
            log.whole(stream, &chunk);
            if is_out { &mut out } else { &mut err }.extend_from_slice(&chunk);
        }
        let bytes = log.bytes();
        prop_assert_eq!(crate::tests::printed(&bytes, "stdout"), out);
        prop_assert_eq!(crate::tests::printed(&bytes, "stderr"), err);
    }
}
