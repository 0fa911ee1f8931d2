//! The log driver `json-file`, which the original does not have: Docker's format, to the byte.

use std::fs;

use tests::journal::Journal;
use tests::json_log::parse;
use tests::k8s_log::{Record, content, seconds_between, summary};
use tests::{Call, Container, Context, Result, Scratch, Session, ours_only, sys, wait};

/// The log of this session.
fn log(session: &Session) -> Result<Vec<Record>> {
    parse(&fs::read(&session.paths.log).context("cannot read the log")?)
}

fn logged(script: &str) -> Result<Vec<Record>> {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh(script))?.log_driver("json-file");
    let session = call.running()?;
    session.exit_code()?;
    log(&session)
}

#[test]
fn a_line_is_an_object_as_docker_writes_it() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = r#"printf 'a "b" <c>\t\033\\ \303\251\n\000\r\n\n'; sleep 0.05; printf end >&2"#;
    let call = Call::create(&scratch, &Container::sh(script))?.log_driver("json-file");
    let session = call.env("TZ", "TST-05:45").running()?;
    session.exit_code()?;
    let log = fs::read_to_string(&session.paths.log).unwrap();
    // Times are checked below; UTC, whatever the monitor's time zone.
    let lines: Vec<_> = log.lines().map(|line| line.split(",\"time\":").next().unwrap()).collect();
    let expected = [
        r#"{"log":"a \"b\" \u003cc\u003e\u0009\u001b\\ é\n","stream":"stdout""#,
        r#"{"log":"\u0000\r\n","stream":"stdout""#,
        r#"{"log":"\n","stream":"stdout""#,
        r#"{"log":"end","stream":"stderr""#,
    ];
    assert_eq!(lines, expected);
    assert_eq!(parse(log.as_bytes())?.len(), 4);
    Ok(())
}

#[test]
fn time_is_the_clocks_in_utc() -> Result {
    ours_only!();
    let log = logged("date -u +%Y-%m-%dT%H:%M:%S; date -u +%Y-%m-%dT%H:%M:%S")?;
    let said = String::from_utf8(log[0].content.clone()).unwrap();
    let late = seconds_between(&said, &log[0].time);
    assert!(late <= 5, "{said} was logged at {}", log[0].time);
    Ok(())
}

#[test]
fn a_character_written_in_two_halves_is_one() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let go = scratch.join("go");
    sys::make_fifo(&go).unwrap();
    let script = format!("printf 'caf\\303'; read x < {}; printf '\\251\\n'", go.display());
    let call = Call::create(&scratch, &Container::sh(script))?.log_driver("json-file");
    let session = call.running()?;
    wait::for_file(&session.paths.log, "the first half", |log| (!log?.is_empty()).then_some(()))?;
    fs::write(&go, "\n").unwrap();
    session.exit_code()?;
    assert_eq!(summary(&log(&session)?), ["stdout P caf", "stdout F é"]);
    Ok(())
}

#[test]
fn no_process_waits_for_the_rest_of_a_character() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("printf 'caf\\303'; exec sleep 1000"))?;
    let session = call.log_driver("json-file").running()?;
    wait::for_file(&session.paths.log, "the end of the character", |bytes| {
        let log = parse(bytes?).ok()?;
        (content(&log, "stdout") == "caf\u{fffd}".as_bytes()).then_some(())
    })?;
    scratch.idle()?;
    session.kill("KILL")?;
    session.exit_code()?;
    assert_eq!(content(&log(&session)?, "stdout"), "caf\u{fffd}".as_bytes());
    Ok(())
}

#[test]
fn k8s_file_json_file_and_journal_all_get_everything() -> Result {
    ours_only!();
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let call = journal.call("seq 1 200; echo bad >&2")?;
    let k8s = call.paths().log.clone();
    let json = journal.scratch.join("json");
    let call = call.add("-l", format!("json-file:{}", json.display()));
    let call = call.add("-l", format!("k8s-file:{}", k8s.display())).set("--log-tag", "t");
    let session = call.running()?;
    let (mut out, mut err) = (String::new(), String::new());
    for _ in 0..201 {
        let (priority, text, part) = journal.line()?;
        assert!(!part);
        *if priority == "3" { &mut err } else { &mut out } += &text;
    }
    assert_eq!(session.exit_code()?, 0);
    let expected: String = (1..=200).map(|number| format!("{number}\n")).collect();
    assert!(out == expected && err == "bad\n");
    for log in [session.log()?, parse(&fs::read(&json).unwrap())?] {
        assert!(content(&log, "stdout") == expected.as_bytes());
        assert_eq!(content(&log, "stderr"), b"bad\n");
    }
    session.monitor_gone()
}

#[test]
fn the_last_of_several_json_files_counts() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo hello"))?;
    let path = format!("json-file:{}", call.paths().log.display());
    let other = scratch.join("other.log");
    let call = call.without("-l").add("-l", format!("json-file:{}", other.display()));
    let session = call.add("-l", path).running()?;
    session.exit_code()?;
    assert_eq!(summary(&log(&session)?), ["stdout F hello"]);
    assert!(!other.exists());
    Ok(())
}

#[test]
fn json_file_without_a_colon_is_a_file_of_that_name() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo hello"))?.directory(scratch.path());
    let session = call.set("-l", "json-file").running()?;
    session.exit_code()?;
    let log = tests::k8s_log::parse(&fs::read(scratch.join("json-file")).unwrap())?;
    assert_eq!(summary(&log), ["stdout F hello"]);
    Ok(())
}

#[test]
fn an_existing_json_log_is_continued_and_reopened_on_request() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let go = scratch.join("go");
    sys::make_fifo(&go).unwrap();
    let script = format!("printf one; read x < {}; echo two", go.display());
    let call = Call::create(&scratch, &Container::sh(script))?.log_driver("json-file");
    let old = "{\"log\":\"old\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}\n";
    fs::write(&call.paths().log, old).unwrap();
    let session = call.running()?;
    let renamed = scratch.join("old.log");
    wait::for_file(&session.paths.log, "one", |log| (log?.len() > old.len()).then_some(()))?;
    fs::rename(&session.paths.log, &renamed).unwrap();
    session.write_fifo("ctl", b"2 0 0\n")?;
    wait::for_file(&session.paths.log, "a new log", |content| content.map(drop))?;
    fs::write(&go, "\n").unwrap();
    session.exit_code()?;
    // Reopened in the middle of a line.
    assert_eq!(summary(&log(&session)?), ["stdout F two"]);
    let renamed = parse(&fs::read(&renamed).unwrap())?;
    assert_eq!(summary(&renamed), ["stdout F old", "stdout P one"]);
    Ok(())
}

#[test]
fn the_log_writer_may_be_killed_under_full_load() -> Result {
    ours_only!();
    const LINES: u32 = 200_000;
    let scratch = Scratch::new()?;
    let script = format!("seq -f %07g 1 {LINES}; exit 5");
    let call = Call::create(&scratch, &Container::sh(script))?.log_driver("json-file");
    let session = call.running()?;
    let kills = wait::killing(|| scratch.kill_role("log-writer"), || session.exit_file().exists())?;
    assert!(kills > 0, "it was never there to be killed");
    assert_eq!(session.exit_code()?, 5);
    // Every byte belongs to an object: what a kill has torn was taken away.
    let (mut found, mut begun) = (std::collections::BTreeSet::new(), Vec::new());
    for record in log(&session)? {
        let joined = [&begun[..], &record.content].concat();
        begun = match (record.partial, joined.len()) {
            (true, ..7) => joined.clone(),
            (true, _) => record.content.clone(),
            (false, _) => Vec::new(),
        };
        found.extend([joined, record.content]);
    }
    let lost = (1..=LINES).filter(|line| !found.contains(format!("{line:07}").as_bytes())).count();
    assert_eq!(lost, 0, "of {LINES} lines, after {kills} kills");
    Ok(())
}
