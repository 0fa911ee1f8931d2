use super::*;

/// A command line that passes all checks; tests add to it.
const GOOD: &str = "-c id -u uuid -r /bin/sh -l none";

fn options(args: &str) -> Options {
    let args: Vec<&str> = args.split_whitespace().collect();
    Options::parse(&args).expect("should be well-formed")
}

fn check(args: &str) -> Result<Config, String> {
    let options = options(args);
    identity(&options).map_err(|stop| format!("{stop:?}"))?;
    let level = log_level(&options)?;
    config(options, level)
}

fn good(more: &str) -> Config {
    check(&format!("{GOOD} {more}")).expect("should be accepted")
}

fn refused(args: &str) -> String {
    check(args).expect_err("should be refused")
}

#[path = "validate_log_tests.rs"]
mod log_files;
#[path = "validate_config_tests.rs"]
mod settings;

#[test]
fn version_is_answered_before_anything_is_checked() {
    let commit = env!("CARGO_PKG_VERSION");
    assert_eq!(
        identity(&options("--version --log-max-files -1")),
        Err(Stop::Answer(format!("conmon version 2.2.1\ncommit: conmote {commit}")))
    );
}

#[test]
fn the_number_of_backups_is_checked_before_the_id() {
    for (args, text) in [
        ("--log-max-files -1", "log-max-files must be non-negative, got -1"),
        (
            "--log-max-files 0 --log-rotate",
            "log-max-files must be at least 1 when log-rotate is enabled, got 0",
        ),
        ("--log-max-files 0", "Container ID not provided. Use --cid"),
    ] {
        assert_eq!(identity(&options(args)), Err(Stop::Usage(text.to_owned())), "{args}");
    }
}

#[test]
fn an_empty_id_is_an_id() {
    assert_eq!(identity(&options("--cid=")), Ok(String::new()));
}

#[test]
fn syslog_shows_id_and_tag() {
    assert_eq!(identity(&options("-c id --log-tag tag")), Ok("id: tag".to_owned()));
}

#[test]
fn log_levels_have_several_names_in_any_case() {
    assert_eq!(log_level(&options("")), Ok(LevelFilter::Warn));
    for (names, expected) in [
        ("error fatal panic ERROR", LevelFilter::Error),
        ("warn warning Warning", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("trace", LevelFilter::Trace),
    ] {
        for name in names.split(' ') {
            assert_eq!(log_level(&options(&format!("--log-level {name}"))), Ok(expected), "{name}");
        }
    }
}

#[test]
fn each_check_has_its_words_and_its_turn() {
    // Each line also makes some of the mistakes that come after its own.
    for (args, text) in [
        ("--log-level Loud -e --restore /r --exec-attach", "No such log level Loud"),
        ("-e --restore /r --exec-attach", "Cannot use 'exec' and 'restore' at the same time"),
        ("--exec-attach", "Attach can only be specified with exec"),
        ("-e --exec-attach", "Attach can only be specified for a non-legacy exec session"),
        ("-e --exec-attach --api-version", "Container UUID not provided. Use --cuuid"),
        ("-r /no", "Container UUID not provided. Use --cuuid"),
        ("-e", "Runtime path not provided. Use --runtime"),
        ("-u u -e -r /no", "Runtime path /no is not valid No such file or directory"),
        ("-e -r /etc/passwd", "Runtime path /etc/passwd is not valid Permission denied"),
        (
            "-e -r /tmp --exit-delay -1",
            "Exec process spec path not provided. Use --exec-process-spec",
        ),
        (
            "-u u -r /tmp --exit-delay -1",
            "Delay before invoking exit command must be greater than or equal to 0",
        ),
        (
            "-u u -r /tmp --sdnotify-socket @",
            "--sdnotify-socket is empty; name the host's notification socket",
        ),
        ("-u u -r /tmp", "Log driver not provided. Use --log-path"),
        ("-u u -r /tmp -l foo: --log-tag t", "No such log driver foo"),
        (
            "-u u -r /tmp -l /no/log --log-tag t",
            "Failed to open log file /no/log: No such file or directory",
        ),
    ] {
        assert_eq!(refused(&format!("-c id {args}")), text, "{args}");
    }
}

#[test]
fn a_mark_left_out_of_a_journal_that_is_not_there_is_worth_a_warning() {
    assert_eq!(warning(&options("")), None);
    assert_eq!(
        warning(&options("--no-container-partial-message")),
        Some("--no-container-partial-message has no effect without journald log driver")
    );
}
