//! The k8s-file log, byte for byte, and the drivers that write none.

use std::fs;

use tests::k8s_log::{content, seconds_between, summary};
use tests::{Call, Container, Result, Scratch, Session, under_test};

fn logged(script: &str) -> Result<Vec<tests::k8s_log::Record>> {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh(script))?.running()?;
    session.exit_code()?;
    session.log()
}

#[test]
fn each_line_is_a_record_with_its_stream() -> Result {
    let log = logged("echo one; echo two; sleep 0.1; echo oops >&2")?;
    assert_eq!(summary(&log), ["stdout F one", "stdout F two", "stderr F oops"]);
    Ok(())
}

#[test]
fn an_empty_line_is_an_empty_record() -> Result {
    let log = logged("echo; echo; echo x")?;
    assert_eq!(summary(&log), ["stdout F ", "stdout F ", "stdout F x"]);
    Ok(())
}

#[test]
fn output_without_final_newline_is_a_partial_record() -> Result {
    let log = logged("printf 'one\\ntwo'")?;
    assert_eq!(summary(&log), ["stdout F one", "stdout P two"]);
    Ok(())
}

#[test]
fn a_line_written_in_two_halves_is_a_partial_and_a_full_record() -> Result {
    let scratch = Scratch::new()?;
    let go = scratch.join("go");
    tests::sys::make_fifo(&go).unwrap();
    let script = format!("printf one; read x < {}; echo two", go.display());
    let session = Call::create(&scratch, &Container::sh(script))?.running()?;
    session.log_until("the first half", |log| !log.is_empty())?;
    fs::write(&go, "\n").unwrap();
    session.exit_code()?;
    assert_eq!(summary(&session.log()?), ["stdout P one", "stdout F two"]);
    Ok(())
}

#[test]
fn a_silent_container_has_an_empty_log() -> Result {
    assert!(logged("true")?.is_empty());
    Ok(())
}

#[test]
fn any_byte_is_kept() -> Result {
    let scratch = Scratch::new()?;
    // Every byte but the newline, which would end the record, and twice over.
    let bytes: Vec<u8> = (0..=255u8).cycle().take(512).filter(|byte| *byte != b'\n').collect();
    fs::write(scratch.join("bytes"), &bytes).unwrap();
    let script = format!("cat {}; echo", scratch.join("bytes").display());
    let session = Call::create(&scratch, &Container::sh(script))?.running()?;
    session.exit_code()?;
    let mut expected = bytes;
    expected.push(b'\n');
    assert_eq!(content(&session.log()?, "stdout"), expected);
    Ok(())
}

#[test]
fn a_line_of_a_megabyte_is_whole_once_its_parts_are_joined() -> Result {
    let log = logged("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end")?;
    let mut expected = vec![b'x'; 1_000_000];
    expected.extend(b"\nend\n");
    assert!(content(&log, "stdout") == expected);
    assert!(log.len() > 2 && log[0].partial);
    assert!(log.iter().all(|record| record.content.len() <= 65536));
    Ok(())
}

#[test]
fn no_line_of_a_fast_writer_is_lost() -> Result {
    let log = logged("seq 1 200000")?;
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(content(&log, "stdout") == expected.as_bytes());
    Ok(())
}

#[test]
fn both_streams_are_complete_when_written_at_once() -> Result {
    let log = logged("seq 1 50000 & seq 50001 100000 >&2; wait")?;
    let numbers = |from: u32, to: u32| -> String {
        (from..=to).map(|number| format!("{number}\n")).collect()
    };
    assert!(content(&log, "stdout") == numbers(1, 50000).as_bytes());
    assert!(content(&log, "stderr") == numbers(50001, 100_000).as_bytes());
    Ok(())
}

#[test]
fn time_stamps_are_local_and_in_order() -> Result {
    let scratch = Scratch::new()?;
    for (zone, offset) in [("UTC", "+00:00"), ("TST-05:45", "+05:45"), ("TST+03:30", "-03:30")] {
        let call = Call::create(&scratch, &Container::sh("echo one; sleep 0.02; echo two"))?
            .env("TZ", zone);
        let session = call.running()?;
        session.exit_code()?;
        let log = session.log()?;
        assert!(log.iter().all(|record| record.time.ends_with(offset)), "{zone}: {log:?}");
        assert!(log[0].time < log[1].time, "{log:?}");
    }
    Ok(())
}

#[test]
fn the_clock_is_that_of_the_machine() -> Result {
    let log = {
        let scratch = Scratch::new()?;
        let script = "date -u +%Y-%m-%dT%H:%M:%S; date -u +%Y-%m-%dT%H:%M:%S";
        let session = Call::create(&scratch, &Container::sh(script))?.env("TZ", "UTC").running()?;
        session.exit_code()?;
        session.log()?
    };
    let said = String::from_utf8(log[0].content.clone()).unwrap();
    // The container looked at its clock at most a few seconds before.
    let late = seconds_between(&said, &log[0].time);
    assert!(late <= 5, "{said} was logged at {}", log[0].time);
    Ok(())
}

#[test]
fn an_existing_log_is_continued() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo new"))?;
    let old = "2026-01-01T00:00:00.000000000+00:00 stdout F old\n";
    fs::write(&call.paths().log, old).unwrap();
    let session = call.running()?;
    session.exit_code()?;
    assert_eq!(summary(&session.log()?), ["stdout F old", "stdout F new"]);
    Ok(())
}

#[test]
fn the_log_may_be_given_in_several_ways() -> Result {
    for form in ["{}", "k8s-file:{}", ":{}"] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh("echo hello"))?;
        let path = call.paths().log.to_string_lossy().into_owned();
        let session = call.set("-l", form.replace("{}", &path)).running()?;
        session.exit_code()?;
        assert_eq!(summary(&session.log()?), ["stdout F hello"], "with {form}");
    }
    Ok(())
}

#[test]
fn the_last_of_several_log_files_counts() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo hello"))?;
    let path = call.paths().log.clone();
    let other = scratch.join("other.log");
    let session = call.without("-l").add("-l", &other).add("--log-path", &path).running()?;
    session.exit_code()?;
    assert_eq!(summary(&session.log()?), ["stdout F hello"]);
    assert!(!other.exists());
    Ok(())
}

#[test]
fn a_container_may_have_no_log() -> Result {
    for driver in ["none", "off", "null", "none:"] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh("seq 1 100000; exit 5"))?;
        let session = call.set("-l", driver).running()?;
        assert_eq!(session.exit_code()?, 5);
        assert!(!session.paths.log.exists());
    }
    Ok(())
}

#[test]
fn a_log_on_a_full_disk_does_not_stop_the_container() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("seq 1 100000; exit 5"))?;
    let session = call.set("-l", "k8s-file:/dev/full").running()?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

/// Runs a container whose stdio is the monitor's own.
fn passthrough(
    scratch: &Scratch,
    script: &str,
    change: impl FnOnce(Call) -> Call,
) -> Result<Session> {
    let input = scratch.join("in");
    fs::write(&input, "typed\n").unwrap();
    let call = Call::create(scratch, &Container::sh(script))?.set("-l", "passthrough");
    let out = fs::File::create(scratch.join("out")).unwrap();
    let err = fs::File::create(scratch.join("err")).unwrap();
    let call = call.stdio(0, fs::File::open(&input).unwrap()).stdio(1, out).stdio(2, err);
    let mut session = change(call).spawn()?;
    session.release()?;
    session.foreground()?;
    Ok(session)
}

#[test]
fn passthrough_gives_the_container_the_monitors_own_stdio() -> Result {
    let scratch = Scratch::new()?;
    let mut session =
        passthrough(&scratch, "read x; echo \"got $x\"; echo oops >&2; exit 5", |call| call)?;
    session.pid()?;
    session.start()?;
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(fs::read(scratch.join("out")).unwrap(), b"got typed\n");
    assert_eq!(fs::read(scratch.join("err")).unwrap(), b"oops\n");
    for name in ["attach", "ctl", "winsz"] {
        assert!(!session.paths.bundle.join(name).exists(), "{name} makes no sense here");
    }
    session.monitor_gone()
}

#[test]
fn with_passthrough_the_runtimes_words_go_to_stderr() -> Result {
    let scratch = Scratch::new()?;
    let fail =
        |call: Call| call.env("SMALL_RUNTIME_STDERR", "no luck").env("SMALL_RUNTIME_EXIT", "1");
    let mut session = passthrough(&scratch, "true", fail)?;
    if under_test::is_ours()? {
        // Always told since 2.2.0.
        assert_eq!(session.message()?.unwrap().raw, b"{\"data\": -1}\n");
    }
    session.monitor_gone()?;
    assert_eq!(fs::read(scratch.join("err")).unwrap(), b"no luck");
    Ok(())
}
