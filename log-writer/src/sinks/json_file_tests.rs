//! Objects to the byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::log_file::Form;
use super::memory_log::Log;
use crate::stream::CHUNK;
use crate::tests::unquoted;
use proptest::prelude::*;
use wire::message::Stream;

/// What stands between `{"log":"` and the next quotation mark.
fn escaped(content: &[u8]) -> String {
    let mut log = Log::new(Form::Json, 123_456_789);
    log.chunk(Stream::Stdout, content, false);
    let text = log.text();
    let end = r#"","stream":"stdout","time":"2023-11-14T22:13:20.123456789Z"}"#;
    let one = text.strip_suffix('\n').and_then(|text| text.strip_suffix(end));
    one.and_then(|text| text.strip_prefix(r#"{"log":""#)).unwrap_or_else(|| panic!("{text}")).into()
}

#[test]
fn a_line_is_an_object_with_its_newline_its_stream_and_the_time_in_utc() {
    let mut log = Log::new(Form::Json, 123_456_789);
    log.chunk(Stream::Stdout, b"hello\n", true);
    log.chunk(Stream::Stderr, b"\npart", true);
    let expected = [
        r#"{"log":"hello\n","stream":"stdout","time":"2023-11-14T22:13:20.123456789Z"}"#,
        r#"{"log":"\n","stream":"stderr","time":"2023-11-14T22:13:20.123456789Z"}"#,
        r#"{"log":"part","stream":"stderr","time":"2023-11-14T22:13:20.123456789Z"}"#,
        "",
    ];
    assert_eq!(log.text(), expected.join("\n"));
}

#[test]
fn the_fraction_of_a_second_has_no_zeros_at_its_end() {
    for (nanoseconds, time) in [
        (0, "2023-11-14T22:13:20Z"),
        (1, "2023-11-14T22:13:20.000000001Z"),
        (500_000_000, "2023-11-14T22:13:20.5Z"),
        (120_000, "2023-11-14T22:13:20.00012Z"),
    ] {
        let mut log = Log::new(Form::Json, 123_456_789);
        log.now.tv_nsec = nanoseconds;
        log.chunk(Stream::Stdout, b"x\n", true);
        let end = format!("\"time\":\"{time}\"}}\n");
        assert!(log.text().ends_with(&end), "{}", log.text());
    }
}

#[test]
fn what_json_html_or_javascript_would_stumble_over_is_escaped_as_docker_does_it() {
    for (content, expected) in [
        (&b"a\"b\\c"[..], r#"a\"b\\c"#),
        (b"\r\n", r"\r\n"),
        (b"\t\0\x1b[0m", r"\u0009\u0000\u001b[0m"),
        (b"\x08\x0c\x7f", "\\u0008\\u000c\x7f"),
        (b"<a & b>", r"\u003ca \u0026 b\u003e"),
        ("\u{2028}\u{2029}\u{202a}“é🚀".as_bytes(), "\\u2028\\u2029\u{202a}“é🚀"),
        // One for each byte that belongs to no character.
        (b"\xff\xaf", r"\ufffd\ufffd"),
        (b"\xe2\x82x\xf0\x90\x80", r"\ufffd\ufffdx\ufffd\ufffd\ufffd"),
        (b"\xed\xa0\x80\xc0\x80", r"\ufffd\ufffd\ufffd\ufffd\ufffd"),
    ] {
        assert_eq!(escaped(content), expected, "{content:?}");
    }
}

#[test]
fn a_character_that_has_not_come_whole_is_left_for_the_next_chunk() {
    for (chunk, kept) in [
        (&b"ab\xe2\x82"[..], 2),
        (b"ab\xf0\x9f\x9a", 3),
        (b"\xc3", 1),
        (b"ab\xff", 0),
        (b"ab\x80", 0),
        (b"\xc3\n", 0),
        ("ab€".as_bytes(), 0),
    ] {
        let mut log = Log::new(Form::Json, 123_456_789);
        let done = log.chunk(Stream::Stdout, chunk, true);
        assert_eq!((done.taken, done.kept), (chunk.len() - kept, kept), "{chunk:?}");
        assert_eq!(log.bytes().is_empty(), kept == chunk.len());
        let done = Log::new(Form::Json, 123_456_789).chunk(Stream::Stdout, chunk, false);
        assert_eq!((done.taken, done.kept), (chunk.len(), 0));
    }
}

#[test]
fn long_lines_are_objects_of_16_kb_cut_between_characters() {
    let mut log = Log::new(Form::Json, 123_456_789);
    let line = ["x".repeat(16_383), "é".repeat(10_000), "\n".to_owned()].concat();
    log.chunk(Stream::Stdout, line.as_bytes(), true);
    let bytes = log.bytes();
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let lens: Vec<_> = lines.map(|line| unquoted(line, "stdout").len()).collect();
    assert_eq!(lens, [16_383, 16_384, 3617]);
    // The newline is no reason for another one.
    let mut log = Log::new(Form::Json, 123_456_789);
    log.chunk(Stream::Stdout, &[vec![b'x'; 16_384], vec![b'\n']].concat(), true);
    assert_eq!(log.text().lines().count(), 1);
}

#[test]
fn the_longest_chunks_are_logged_whole() {
    for chunk in [
        vec![b'\n'; CHUNK],
        vec![0; CHUNK],
        [vec![1; CHUNK - 1], b"\n".to_vec()].concat(),
        b"\x1b\n".repeat(CHUNK / 2),
    ] {
        let mut log = Log::new(Form::Json, 123_456_789);
        assert_eq!(log.chunk(Stream::Stdout, &chunk, true).taken, CHUNK);
        assert!(unquoted(&log.bytes(), "stdout") == chunk);
    }
}

proptest! {
    /// Whatever is printed in whatever pieces reads back as the text it is.
    #[test]
    fn what_was_printed_can_be_read_back(
        text in proptest::collection::vec(prop_oneof![Just('\n'), Just('"'), Just('€'), any::<char>()], 0..60),
        cuts in proptest::collection::vec(1..6usize, 0..60),
    ) {
        let text: String = text.into_iter().collect();
        let mut log = Log::new(Form::Json, 123_456_789);
        let mut rest = text.as_bytes();
        let mut kept = Vec::new();
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            rest = later;
            let chunk = [kept, now.to_vec()].concat();
            let done = log.chunk(Stream::Stdout, &chunk, true);
            prop_assert_eq!(done.taken + done.kept, chunk.len());
            kept = chunk[done.taken..].to_vec();
        }
        prop_assert!(kept.is_empty());
        prop_assert_eq!(unquoted(&log.bytes(), "stdout"), text.into_bytes());
    }

    #[test]
    fn any_bytes_are_text_afterwards(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut log = Log::new(Form::Json, 123_456_789);
        log.chunk(Stream::Stdout, &bytes, false);
        // Go, too, replaces each byte that belongs to no character.
        let expected: String = bytes.utf8_chunks().map(|part| {
            [part.valid(), &"\u{fffd}".repeat(part.invalid().len())].concat()
        }).collect();
        prop_assert_eq!(unquoted(&log.bytes(), "stdout"), expected.into_bytes());
    }
}
