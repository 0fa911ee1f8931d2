#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

type Outcome = Result<Command, Bad>;

fn outcomes(source: Source, pieces: &[&[u8]]) -> std::vec::Vec<Outcome> {
    let mut lines = Lines::new();
    let mut all = std::vec::Vec::new();
    for piece in pieces {
        lines.feed(source, piece, |outcome, _| all.push(outcome));
    }
    all
}

fn control(text: &str) -> std::vec::Vec<Outcome> {
    outcomes(Source::Control, &[text.as_bytes()])
}

fn resize(rows: u16, columns: u16) -> Outcome {
    Ok(Command::Resize { rows, columns })
}

#[test]
fn good_lines_are_obeyed() {
    assert_eq!(control("1 24 80\n"), [resize(24, 80)]);
    assert_eq!(control("1 0010 0020\n"), [resize(10, 20)]);
    assert_eq!(control("1 1000 1000\n"), [resize(1000, 1000)]);
    assert_eq!(control("1 0 0\n"), [resize(0, 0)]);
    assert_eq!(control("1 2 2 3\n"), [resize(2, 2)]);
    assert_eq!(control("1 2 2 and more\n"), [resize(2, 2)]);
    assert_eq!(control(" \t1  +24\t 80 \r\n"), [resize(24, 80)]);
    assert_eq!(control("2 0 0\n"), [Ok(Command::Reopen)]);
    let mut long = String::from("1 2 2 ");
    long.extend(std::iter::repeat_n('#', MAX_LINE - long.len()));
    assert_eq!(control(&format!("{long}\n")), [resize(2, 2)]);
}

#[test]
fn a_line_that_is_no_command_is_ignored_with_a_reason() {
    for line in [
        "",
        " ",
        "foo",
        "1",
        "1 2",
        "2 0",
        "999",
        "1 10.5 20.3",
        "1 0x10 0x20",
        "1 a0 20",
        "1 2 0x20",
        "1 2 2.5",
        "1,2,3",
        "- - -",
        "1 + 2",
        "1 2 \u{0}",
        "1 -- 2",
    ] {
        assert_eq!(control(&format!("{line}\n")), [Err(Bad::NotNumbers)], "{line:?}");
    }
    for line in [
        "1 -1 -1",
        "1 1001 1000",
        "1 1000 1001",
        "1 24 -1",
        "2 0 1001",
        "2 -1 0",
        "1 4294967320 80",
        "1 99999999999999999999999999 80",
    ] {
        assert_eq!(control(&format!("{line}\n")), [Err(Bad::OutOfRange)], "{line:?}");
    }
    for line in ["999 2 2", "0 2 2", "-1 2 2", "3 2 2", "4294967297 2 2"] {
        assert_eq!(control(&format!("{line}\n")), [Err(Bad::UnknownType)], "{line:?}");
    }
}

#[test]
fn a_line_too_long_is_dropped_to_its_end_and_reported_once() {
    let long = format!("1 2 2 {}", "#".repeat(65535));
    assert_eq!(control(&format!("{long}\n")), [Err(Bad::TooLong)]);
    assert_eq!(control(&long), [Err(Bad::TooLong)]);
    assert_eq!(control(&format!("{long}\n1 24 80\n")), [Err(Bad::TooLong), resize(24, 80)]);
    let digits = format!("1 {}24 80\n", "0".repeat(MAX_LINE));
    assert_eq!(control(&digits), [Err(Bad::TooLong)]);
}

#[test]
fn a_bad_line_does_not_spoil_the_others() {
    assert_eq!(
        control("9 9 9\n1 24 80\nx\n1 25 81\n"),
        [Err(Bad::UnknownType), resize(24, 80), Err(Bad::NotNumbers), resize(25, 81)]
    );
    // The original sets 21 × 24 here.
    assert_eq!(
        outcomes(Source::Control, &[b"1 2", b"x\n", b"1 24 80\n"]),
        [Err(Bad::NotNumbers), resize(24, 80)]
    );
}

#[test]
fn winsz_lines_have_no_type() {
    let window = |text: &str| outcomes(Source::WindowSize, &[text.as_bytes()]);
    assert_eq!(window("24 80\n"), [resize(24, 80)]);
    assert_eq!(window("24 80 9\n"), [resize(24, 80)]);
    assert_eq!(window("24\n"), [Err(Bad::NotNumbers)]);
    assert_eq!(window("1001 80\n"), [Err(Bad::OutOfRange)]);
}

#[test]
fn an_unfinished_line_waits_for_its_end() {
    let mut lines = Lines::new();
    assert!(!lines.in_a_line());
    lines.feed(Source::Control, b"1 2", |_, _| panic!("not a line yet"));
    assert!(lines.in_a_line());
    let mut got = None;
    lines.feed(Source::Control, b"4 80\n", |outcome, _| got = Some(outcome));
    assert_eq!(got, Some(resize(24, 80)));
    assert!(!lines.in_a_line());
    lines.feed(Source::Control, &[b'1'; MAX_LINE + 1], |_, _| {});
    assert!(lines.in_a_line());
}

/// Bytes that often come near a command.
fn near_commands() -> impl Strategy<Value = std::vec::Vec<u8>> {
    let token = prop_oneof![
        4 => "[0-9]{1,4}".prop_map(String::into_bytes),
        4 => Just(b" ".to_vec()),
        3 => Just(b"\n".to_vec()),
        1 => "1 [0-9]{1,4} [0-9]{1,4}\n".prop_map(String::into_bytes),
        1 => Just(vec![b'#'; MAX_LINE - 3]),
        1 => proptest::collection::vec(any::<u8>(), 0..5),
    ];
    proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn how_the_bytes_are_split_makes_no_difference(
        bytes in near_commands(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8),
    ) {
        let mut cuts: std::vec::Vec<usize> =
            cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort();
        let pieces: std::vec::Vec<&[u8]> =
            cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        for source in [Source::Control, Source::WindowSize] {
            prop_assert_eq!(outcomes(source, &pieces), outcomes(source, &[&bytes]));
        }
    }

    #[test]
    fn every_size_in_range_is_obeyed_and_no_other(rows in -5i64..1100, columns in -5i64..1100) {
        let fits = |size: i64| (0..=1000).contains(&size);
        let expected = if fits(rows) && fits(columns) {
            resize(rows as u16, columns as u16)
        } else {
            Err(Bad::OutOfRange)
        };
        prop_assert_eq!(control(&format!("1 {rows} {columns}\n")), [expected]);
    }
}
