use super::*;

const fn entry(long: &'static str, short: u8, kind: Kind) -> Entry {
    Entry { long, short: if short == 0 { None } else { Some(short) }, kind }
}

const TABLE: &[Entry] = &[
    entry("api-version", 0, Kind::Flag),
    entry("stdin", b'i', Kind::Flag),
    entry("terminal", b't', Kind::Flag),
    entry("cid", b'c', Kind::Text),
    entry("cuuid", b'u', Kind::Text),
    entry("exit-command-arg", 0, Kind::Text),
    entry("timeout", b'T', Kind::Int32),
    entry("log-size-max", 0, Kind::Int64),
    entry("persist-dir", b'0', Kind::Text),
];

/// The options found, written `name` or `name=value`.
fn options(args: &[&str]) -> Vec<String> {
    match parse(TABLE, args) {
        Ok(Parsed::Options(found)) => found
            .into_iter()
            .map(|(name, value)| match value {
                Value::On => name.to_owned(),
                Value::Number(number) => format!("{name}={number}"),
                Value::Text(text) => format!("{name}={}", String::from_utf8_lossy(&text)),
            })
            .collect(),
        other => panic!("{args:?} gave {other:?}"),
    }
}

fn error(args: &[&str]) -> String {
    parse(TABLE, args).expect_err("should be refused").to_string()
}

#[test]
fn a_long_option_takes_its_value_after_a_blank_or_an_equals_sign() {
    assert_eq!(options(&["--cid", "x", "--cid=y"]), ["cid=x", "cid=y"]);
    assert_eq!(options(&["--cid=a=b"]), ["cid=a=b"]);
    assert_eq!(options(&["--cid="]), ["cid="]);
    assert_eq!(error(&["--timeout="]), "Cannot parse integer value “” for --timeout");
    assert_eq!(error(&["--log-size-max="]), "Cannot parse integer value “” for --log-size-max");
}

#[test]
fn long_names_must_be_complete_and_exact() {
    for name in ["--term", "--Terminal", "--api_version", "--terminals", "---terminal", "--=x"] {
        assert_eq!(error(&[name]), format!("Unknown option {name}"));
    }
}

#[test]
fn short_options_never_take_an_attached_value() {
    assert_eq!(error(&["-cfoo", "x"]), "Unknown option -cfoo");
    assert_eq!(error(&["-c=foo", "x"]), "Unknown option -c=foo");
    assert_eq!(error(&["-T5", "x"]), "Cannot parse integer value “x” for -T");
    assert_eq!(error(&["-T5", "6"]), "Unknown option -T5");
    assert_eq!(error(&["-cu", "x"]), "Error parsing option -u");
}

#[test]
fn a_cluster_may_hold_one_value_letter_anywhere() {
    assert_eq!(options(&["-it"]), ["stdin", "terminal"]);
    for cluster in ["-itc", "-cti", "-ict"] {
        let mut found = options(&[cluster, "x"]);
        found.sort();
        assert_eq!(found, ["cid=x", "stdin", "terminal"], "{cluster}");
    }
    assert_eq!(options(&["-0", "/p"]), ["persist-dir=/p"]);
    assert_eq!(error(&["-cT", "y"]), "Error parsing option -T");
}

#[test]
fn one_unknown_letter_condemns_the_whole_cluster() {
    assert_eq!(error(&["-cx", "z"]), "Unknown option -cx");
    assert_eq!(error(&["-iZ"]), "Unknown option -iZ");
}

#[test]
fn letters_before_the_unknown_one_complain_first() {
    assert_eq!(error(&["-cZ"]), "Missing argument for -c");
    assert_eq!(error(&["-TZ", "abc"]), "Cannot parse integer value “abc” for -T");
}

#[test]
fn a_value_is_whatever_comes_next() {
    assert_eq!(
        options(&[
            "--exit-command-arg",
            "--rm",
            "--exit-command-arg",
            "--",
            "--exit-command-arg",
            "",
            "-T",
            "-5"
        ]),
        ["exit-command-arg=--rm", "exit-command-arg=--", "exit-command-arg=", "timeout=-5"]
    );
    assert_eq!(options(&["-c", "--help", "--cid", "-i"]), ["cid=--help", "cid=-i"]);
}

#[test]
fn a_flag_with_any_value_is_on() {
    for flag in ["--terminal=foo", "--terminal=false", "--terminal=", "--terminal"] {
        assert_eq!(options(&[flag]), ["terminal"]);
    }
    assert_eq!(options(&["--api-version=0"]), ["api-version"]);
    assert_eq!(error(&["--help=foo"]), "Unknown option --help=foo");
}

#[test]
fn positional_arguments_are_ignored_and_two_dashes_end_the_options() {
    assert_eq!(options(&["--api-version", "1", "-", "", "create", "-i"]), ["api-version", "stdin"]);
    assert_eq!(options(&["-i", "--", "-c", "x", "--bogus"]), ["stdin"]);
}

#[test]
fn numbers_may_have_a_base_blanks_and_a_sign() {
    assert_eq!(
        options(&["-T", " 0x10", "--timeout=-010", "--log-size-max", "+9223372036854775807"]),
        ["timeout=16", "timeout=-8", "log-size-max=9223372036854775807"]
    );
    assert_eq!(error(&["-T", "5 "]), "Cannot parse integer value “5 ” for -T");
}

#[test]
fn each_mistake_has_glib_s_words() {
    assert_eq!(error(&["--bogus"]), "Unknown option --bogus");
    assert_eq!(error(&["-Z"]), "Unknown option -Z");
    assert_eq!(error(&["--cid"]), "Missing argument for --cid");
    assert_eq!(error(&["-c"]), "Missing argument for -c");
    assert_eq!(error(&["-cu", "x"]), "Error parsing option -u");
    assert_eq!(error(&["--timeout", "abc"]), "Cannot parse integer value “abc” for --timeout");
    assert_eq!(
        error(&["--timeout", "99999999999"]),
        "Integer value “99999999999” for --timeout out of range"
    );
    assert_eq!(
        error(&["--log-size-max", "99999999999999999999"]),
        "Integer value “99999999999999999999” for --log-size-max out of range"
    );
}

#[test]
fn help_is_given_only_when_it_comes_before_the_mistake() {
    for help in ["--help", "--help-all", "-h", "-?", "-ih"] {
        assert_eq!(parse(TABLE, &[help, "--bogus"]), Ok(Parsed::Help), "{help}");
    }
    assert_eq!(error(&["--bogus", "--help"]), "Unknown option --bogus");
    assert_eq!(error(&["-Zh"]), "Unknown option -Zh");
    assert_eq!(error(&["--help-foo"]), "Unknown option --help-foo");
}

#[test]
fn values_and_names_need_not_be_utf8() {
    assert_eq!(
        parse(TABLE, &[b"-c".as_slice(), b"\xff\x80"]),
        Ok(Parsed::Options(vec![("cid", Value::Text(b"\xff\x80".to_vec()))]))
    );
    assert_eq!(parse(TABLE, &[b"--\xff".as_slice()]), Err(Error::Unknown(b"--\xff".to_vec())));
    assert_eq!(parse(TABLE, &[b"-\xff".as_slice()]), Err(Error::Unknown(b"-\xff".to_vec())));
}
