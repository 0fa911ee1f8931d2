//! Entries, field by field.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use super::journald::{HELD, PART};
use super::{Entries, Journal};
use crate::tests::Scratch;
use crate::tests::journal::{FIELDS, Listener};
use crate::untold::NONE;
use proptest::prelude::*;
use std::time::{Duration, Instant};
use wire::message::Stream;
use wire::record::{Encoder, Tag, seal};
use wire::{AsFd, OwnedFd, Record};

/// A container that logs to the journal, and journald.
struct Log {
    listener: Option<Listener>,
    journal: Journal,
    record: OwnedFd,
    entries: Entries,
    /// What was left out the last time.
    held: Vec<u8>,
    scratch: Scratch,
}

fn record(fields: &[u8], unmarked: bool) -> OwnedFd {
    let mut bytes = Vec::new();
    Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece))
        .bytes(Tag::Journal, fields)
        .number(Tag::JournalUnmarked, unmarked.into());
    seal(&bytes).unwrap()
}

impl Log {
    fn new() -> Self {
        Log::with(FIELDS, false)
    }

    fn with(fields: &[u8], unmarked: bool) -> Self {
        let scratch = Scratch::new();
        let listener = Listener::new(&scratch);
        let record = record(fields, unmarked);
        let entries = Entries::new(Record::map(&record).unwrap().fields(), NONE).unwrap();
        let journal = listener.journal();
        Log { listener: Some(listener), journal, record, entries, held: Vec::new(), scratch }
    }

    fn listener(&self) -> &Listener {
        self.listener.as_ref().unwrap()
    }

    /// The container prints this, and it is read at once.
    fn print(&mut self, stream: Stream, bytes: &[u8]) {
        let chunk = [&self.held[..], bytes].concat();
        let record = self.record.as_fd();
        let held = self.entries.write(&mut self.journal, record, stream, &chunk, true);
        self.held = chunk[chunk.len() - held..].to_vec();
    }

    fn out(&mut self, bytes: impl AsRef<[u8]>) {
        self.print(Stream::Stdout, bytes.as_ref());
    }

    /// The end of the output.
    fn flush(&mut self) {
        let record = self.record.as_fd();
        self.entries.write(&mut self.journal, record, Stream::Stdout, &self.held, false);
        self.held.clear();
    }

    /// Everything that has come so far.
    fn lines(&self) -> Vec<(char, String, bool)> {
        let all = std::iter::from_fn(|| self.listener().try_next());
        all.map(|entry| crate::tests::journal::line(&entry)).collect()
    }
}

fn entry(priority: char, text: &str, part: bool) -> (char, String, bool) {
    (priority, text.to_owned(), part)
}

#[test]
fn an_entry_is_a_line_with_its_newline_and_the_fields_of_the_container() {
    let mut log = Log::new();
    log.out("hello\n");
    let entry = log.listener().next();
    let fields: Vec<_> = entry.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
    let expected: [(&str, &[u8]); 4] = [
        ("CONTAINER_ID", b"abc"),
        ("CONTAINER_NAME", b"some_name"),
        ("MESSAGE", b"hello\n"),
        ("PRIORITY", b"6"),
    ];
    assert_eq!(fields, expected);
}

#[test]
fn each_line_is_an_entry_and_an_empty_line_is_too() {
    let mut log = Log::new();
    log.out("a\n\nb\n");
    let expected = ["a\n", "\n", "b\n"].map(|text| entry('6', text, false));
    assert_eq!(log.lines(), expected);
}

#[test]
fn standard_error_is_an_error_and_standard_output_informs() {
    let mut log = Log::new();
    log.print(Stream::Stderr, b"bad\n");
    log.out("good\n");
    assert_eq!(log.lines(), [entry('3', "bad\n", false), entry('6', "good\n", false)]);
}

#[test]
fn a_number_before_the_line_is_its_priority_and_nothing_else_is() {
    let mut log = Log::new();
    log.out("<0>a\n<7>b\n<4>\n<8>c\n<>d\n<<0>>e\n< 0>f\n");
    let expected = [
        entry('0', "a\n", false),
        entry('7', "b\n", false),
        entry('4', "\n", false),
        entry('6', "<8>c\n", false),
        entry('6', "<>d\n", false),
        entry('6', "<<0>>e\n", false),
        entry('6', "< 0>f\n", false),
    ];
    assert_eq!(log.lines(), expected);
}

#[test]
fn a_line_that_comes_in_pieces_is_one_entry_with_its_priority() {
    let mut log = Log::new();
    for piece in ["<", "2", ">o", "n", "e\n"] {
        assert_eq!(log.lines(), []);
        log.out(piece);
    }
    assert_eq!(log.lines(), [entry('2', "one\n", false)]);
}

#[test]
fn a_line_longer_than_an_entry_comes_in_parts_with_the_priority_of_its_beginning() {
    let mut log = Log::new();
    let text = "x".repeat(PART + 10);
    log.out(format!("<1>{text}\n"));
    let expected =
        [entry('1', &text[..PART], true), entry('1', &format!("{}\n", &text[PART..]), false)];
    assert_eq!(log.lines(), expected);
}

#[test]
fn more_than_can_be_held_back_is_sent_and_the_rest_of_the_line_follows() {
    let mut log = Log::new();
    let text = "x".repeat(HELD - 3);
    log.out(format!("<1>{text}"));
    assert_eq!(log.lines(), []);
    log.out("y");
    assert_eq!(log.lines(), [entry('1', &format!("{text}y"), true)]);
    // In the middle of a line this is text.
    log.out("<2>z\n<2>next\n");
    assert_eq!(log.lines(), [entry('1', "<2>z\n", false), entry('2', "next\n", false)]);
}

#[test]
fn the_end_without_newline_is_a_part() {
    let mut log = Log::new();
    log.out("a\nb");
    log.flush();
    assert_eq!(log.lines(), [entry('6', "a\n", false), entry('6', "b", true)]);
}

#[test]
fn parts_are_not_marked_where_that_is_not_wanted() {
    let mut log = Log::with(FIELDS, true);
    log.out("b");
    log.flush();
    assert_eq!(log.lines(), [entry('6', "b", false)]);
}

#[test]
fn any_bytes_can_be_in_a_line() {
    let mut log = Log::new();
    log.out(b"\0\xff=\r\x1b\n");
    assert_eq!(log.listener().next()["MESSAGE"], b"\0\xff=\r\x1b\n");
}

#[test]
fn an_entry_too_long_for_a_datagram_comes_in_a_sealed_file() {
    let fields = format!("LABEL={}\n", "v".repeat(4_000_000));
    let mut log = Log::with(fields.as_bytes(), false);
    log.journal.shrink_queue();
    log.out("long\n");
    let entry = log.listener().next();
    assert_eq!((&entry["MESSAGE"][..], entry["LABEL"].len()), (&b"long\n"[..], 4_000_000));
}

#[test]
fn without_journald_output_is_dropped_and_nobody_is_told() {
    let mut log = Log::new();
    let listener = log.listener.take().unwrap();
    listener.stop();
    log.out("lost\nlost\n");
    log.listener = Some(Listener::new(&log.scratch));
    log.out("here\n");
    assert_eq!(log.lines(), [entry('6', "here\n", false)]);
}

#[test]
fn a_journald_that_was_started_anew_gets_the_very_next_line() {
    let mut log = Log::new();
    log.out("before\n");
    assert_eq!(log.lines().len(), 1);
    let listener = log.listener.take().unwrap().restart();
    log.listener = Some(listener);
    log.out("after\n");
    assert_eq!(log.lines(), [entry('6', "after\n", false)]);
}

#[test]
fn a_slow_journald_costs_whole_lines_that_are_counted_and_little_time() {
    let mut log = Log::new();
    let begin = Instant::now();
    let total = 5000;
    let text: String = (0..total).map(|number| format!("line {number}\n")).collect();
    log.out(&text);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?} for a chunk");
    let before = log.lines();
    assert!(!before.is_empty() && before.len() < total, "{} lines in its queue", before.len());
    log.out("after\n");
    let dropped = total - before.len();
    let notice = format!("[conmote: {dropped} log lines dropped: journald is too slow]\n");
    assert_eq!(log.lines(), [entry('4', &notice, false), entry('6', "after\n", false)]);
}

#[test]
fn what_was_dropped_last_is_told_at_the_end() {
    let mut log = Log::new();
    log.out("x\n".repeat(5000));
    let before = log.lines().len();
    log.entries.finish(&mut log.journal, log.record.as_fd());
    let notice = format!("[conmote: {} log lines dropped: journald is too slow]\n", 5000 - before);
    assert_eq!(log.lines(), [entry('4', &notice, false)]);
}

#[test]
fn a_journald_that_takes_a_moment_gets_everything() {
    let mut log = Log::new();
    let listener = log.listener.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut count = 0;
        while listener.next()["MESSAGE"] != b"end\n" {
            count += 1;
        }
        count
    });
    for _ in 0..20 {
        log.out("x\n".repeat(500));
    }
    log.out("end\n");
    assert_eq!(reader.join().unwrap(), 10_000);
}

#[test]
fn a_container_without_fields_is_not_for_the_journal() {
    let record = seal(&wire::record::MAGIC).unwrap();
    assert!(Entries::new(Record::map(&record).unwrap().fields(), NONE).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn however_it_is_read_the_same_lines_come(pieces in proptest::collection::vec("[ab\n<1>]{1,9}", 0..8)) {
        let (mut whole, mut parts) = (Log::new(), Log::new());
        // As many lines as a socket's queue takes.
        let text: String = pieces.concat();
        prop_assume!(text.matches('\n').count() < 10);
        for piece in &pieces {
            parts.out(piece);
        }
        whole.out(text);
        parts.flush();
        whole.flush();
        prop_assert_eq!(whole.lines(), parts.lines());
    }
}
