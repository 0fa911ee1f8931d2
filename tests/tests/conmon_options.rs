//! The command line: how words become options, and which mistakes end the call at once with status 1 and one line.

use std::fs;

use tests::session::Finished;
use tests::{Call, Container, Result, Scratch, note, ours_only, under_test};

/// Where the message went: older originals print mistakes in options on stdout.
fn said(finished: &Finished) -> Result<String> {
    match under_test::is_original()? {
        true => Ok(format!("{}{}", finished.stdout, finished.stderr)),
        false => Ok(finished.stderr.clone()),
    }
}

/// A whole and valid call, except that the runtime fails at once: its note shows what it was called with.
fn valid(scratch: &Scratch) -> Result<Call> {
    let call = Call::create(scratch, &Container::sh("true"))?;
    Ok(call
        .no_exit_command()
        .without("--runtime-arg")
        .flag("--sync")
        .env("SMALL_RUNTIME_TRACE", scratch.join("trace"))
        .env("SMALL_RUNTIME_EXIT", "1"))
}

/// What the runtime was called with.
fn runtime_arguments(scratch: &Scratch, call: Call) -> Result<Vec<String>> {
    let finished = call.finish()?;
    assert_eq!(said(&finished)?, "", "the call was meant to be valid");
    let note = note::read(&scratch.join("trace"))?.remove(0);
    fs::remove_file(scratch.join("trace")).unwrap();
    Ok(note.args.into_iter().skip(1).collect())
}

/// The words in place of `-c CID`, and the id that the runtime got to see.
fn id_from(words: &[&str]) -> Result<String> {
    let scratch = Scratch::new()?;
    let call = valid(&scratch)?.without("-c").args(words.iter().copied());
    Ok(runtime_arguments(&scratch, call)?.pop().unwrap())
}

#[test]
fn a_value_follows_its_option_or_an_equals_sign() -> Result {
    assert_eq!(id_from(&["--cid", "one"])?, "one");
    assert_eq!(id_from(&["--cid=two"])?, "two");
    assert_eq!(id_from(&["-c", "three"])?, "three");
    assert_eq!(id_from(&["--cid=a=b"])?, "a=b");
    Ok(())
}

#[test]
fn a_value_may_be_empty_or_look_like_an_option() -> Result {
    assert_eq!(id_from(&["--cid", ""])?, "");
    assert_eq!(id_from(&["--cid="])?, "");
    assert_eq!(id_from(&["--cid", "--bundle"])?, "--bundle");
    assert_eq!(id_from(&["--cid", "--version"])?, "--version");
    assert_eq!(id_from(&["-c", "--"])?, "--");
    assert_eq!(id_from(&["-c", "-x"])?, "-x");
    Ok(())
}

#[test]
fn the_last_of_several_values_counts() -> Result {
    assert_eq!(id_from(&["-c", "one", "--cid=two", "-c", "three"])?, "three");
    Ok(())
}

#[test]
fn short_options_cluster_and_one_of_them_may_take_the_next_word() -> Result {
    assert_eq!(id_from(&["-isc", "one"])?, "one");
    assert_eq!(id_from(&["-ics", "one"])?, "one");
    assert_eq!(id_from(&["-ci", "one"])?, "one");
    Ok(())
}

#[test]
fn words_that_are_no_options_are_ignored() -> Result {
    assert_eq!(id_from(&["word", "-c", "one", "-", "another"])?, "one");
    assert_eq!(id_from(&["-c", "one", "--", "-c", "two", "--bogus"])?, "one");
    Ok(())
}

#[test]
fn a_flag_is_on_whatever_follows_an_equals_sign() -> Result {
    let scratch = Scratch::new()?;
    for word in ["--systemd-cgroup", "--systemd-cgroup=false", "--systemd-cgroup=", "-s"] {
        let arguments = runtime_arguments(&scratch, valid(&scratch)?.flag(word))?;
        assert_eq!(arguments[0], "--systemd-cgroup", "with {word}");
    }
    let arguments = runtime_arguments(&scratch, valid(&scratch)?)?;
    assert_eq!(arguments[0], "create", "with none of them");
    Ok(())
}

#[test]
fn numbers_may_be_decimal_hexadecimal_or_octal() -> Result {
    for number in ["5", "0x10", "010", " 5", "+5", "-5", "2147483647", "-2147483648"] {
        let scratch = Scratch::new()?;
        let call = valid(&scratch)?.set("--timeout", number).set("--log-size-max", number);
        runtime_arguments(&scratch, call)?;
    }
    Ok(())
}

#[test]
fn repeated_runtime_arguments_are_kept_in_order_and_empty_ones_too() -> Result {
    let scratch = Scratch::new()?;
    let call = valid(&scratch)?
        .add("--runtime-arg", "--root")
        .args(["--runtime-arg=/r", "--runtime-arg", "--debug"])
        .add("--runtime-opt", "--one")
        .args(["--runtime-opt="])
        .add("--runtime-opt", "--two=2");
    let arguments = runtime_arguments(&scratch, call)?;
    assert_eq!(arguments[..4], ["--root", "/r", "--debug", "create"]);
    let opts = arguments.iter().position(|argument| argument == "--one").unwrap();
    assert_eq!(arguments[opts..opts + 3], ["--one", "", "--two=2"]);
    Ok(())
}

/// Each call, with these words added, must fail at once: status 1, one line that begins and ends like this.
fn refused(words: &[&str], begins: &str, ends: &str) -> Result {
    let scratch = Scratch::new()?;
    let finished = Call::bare(&scratch)?.args(words.iter().copied()).finish()?;
    let said = said(&finished)?;
    assert_eq!(finished.status, 1, "{words:?} said {said:?}");
    let line =
        said.strip_suffix('\n').unwrap_or_else(|| panic!("{words:?} said {said:?}, not a line"));
    assert!(
        line.starts_with(begins) && line.ends_with(ends) && !line.contains('\n'),
        "{words:?} said {line:?}"
    );
    assert!(scratch.monitors().is_empty(), "{words:?} left {:?}", scratch.monitors());
    Ok(())
}

const PARSING: &str = "conmon: option parsing failed: ";

#[test]
fn an_unknown_option_is_named() -> Result {
    for (words, name) in [
        (&["--bogus"][..], "--bogus"),
        (&["--bogus=1"], "--bogus=1"),
        (&["--cid", "x", "-Z"], "-Z"),
        (&["--term"], "--term"),
        (&["--CID", "x"], "--CID"),
        (&["--log_path", "x"], "--log_path"),
        (&["-cx", "y"], "-cx"),
        (&["-cfoo", "x"], "-cfoo"),
        (&["-T5", "7"], "-T5"),
        (&["--version", "--bogus"], "--bogus"),
        (&["--help=foo"], "--help=foo"),
    ] {
        refused(words, PARSING, &format!("Unknown option {name}"))?;
    }
    Ok(())
}

#[test]
fn options_that_conmon_has_given_up_are_unknown() -> Result {
    ours_only!("Gone after 2.2.1.");
    for name in ["--seccomp-notify-socket", "--seccomp-notify-plugins"] {
        refused(&[name, "/x"], PARSING, &format!("Unknown option {name}"))?;
    }
    Ok(())
}

#[test]
fn a_missing_value_is_named() -> Result {
    refused(&["--cid"], PARSING, "Missing argument for --cid")?;
    refused(&["-i", "-c"], PARSING, "Missing argument for -c")?;
    refused(&["-cfoo"], PARSING, "Missing argument for -c")?;
    refused(&["--runtime-arg"], PARSING, "Missing argument for --runtime-arg")
}

#[test]
fn two_options_with_values_do_not_cluster() -> Result {
    refused(&["-cu", "x", "y"], PARSING, "Error parsing option -u")
}

#[test]
fn a_number_that_is_none_is_named() -> Result {
    let integer = format!("{PARSING}Cannot parse integer value ");
    for word in ["abc", "5x", "5 ", "", "1.5", "--", "09"] {
        refused(&["--timeout", word], &integer, " for --timeout")?;
    }
    refused(&["--log-size-max=junk"], &integer, " for --log-size-max")?;
    refused(&["-T", "junk"], &integer, " for -T")
}

#[test]
fn a_number_out_of_range_is_named() -> Result {
    let integer = format!("{PARSING}Integer value ");
    refused(&["--timeout", "2147483648"], &integer, " for --timeout out of range")?;
    refused(&["--exit-delay", "-2147483649"], &integer, " for --exit-delay out of range")?;
    refused(
        &["--log-size-max", "9223372036854775808"],
        &integer,
        " for --log-size-max out of range",
    )?;
    ours_only!("The option is there since 2.2.0.");
    let files = " for --log-max-files out of range";
    refused(&["--log-max-files", "2147483648"], &integer, files)?;
    refused(&["--log-max-files=-2147483649"], &integer, files)
}

#[test]
fn version_is_what_engines_parse() -> Result {
    let version = under_test::version()?;
    let lines: Vec<_> = version.lines().collect();
    let number = lines[0].strip_prefix("conmon version ").unwrap();
    let parts: Vec<u32> = number.split('.').map(|part| part.parse().unwrap()).collect();
    assert!(parts >= vec![2, 0, 24], "podman refuses {number}");
    assert!(lines[1].starts_with("commit: "));
    assert_eq!(lines.len(), 2);
    if !under_test::is_original()? {
        assert_eq!(number, "2.2.1");
    }
    Ok(())
}

#[test]
fn help_goes_to_stdout_and_beats_later_mistakes() -> Result {
    for words in [&["--help"][..], &["-h"], &["-?"], &["--help-all"], &["--help", "--bogus"]] {
        let scratch = Scratch::new()?;
        let finished = Call::bare(&scratch)?.args(words.iter().copied()).finish()?;
        assert_eq!(finished.status, 0, "{words:?}");
        assert_eq!(finished.stderr, "");
        for option in ["--cid", "--exit-command", "--log-path", "--full-attach"] {
            assert!(finished.stdout.contains(option), "{words:?} does not mention {option}");
        }
    }
    Ok(())
}

#[test]
fn every_log_level_is_known_in_any_case() -> Result {
    for level in ["error", "fatal", "panic", "warn", "warning", "WARNING", "info", "Info"] {
        let scratch = Scratch::new()?;
        runtime_arguments(&scratch, valid(&scratch)?.set("--log-level", level))?;
    }
    for level in ["debug", "trace"] {
        let scratch = Scratch::new()?;
        let finished = valid(&scratch)?.set("--log-level", level).finish()?;
        assert!(!finished.stderr.contains("No such log level"), "{}", finished.stderr);
    }
    Ok(())
}
