//! The limit on the size of a log, and opening it again on request.

use std::fs;
use std::path::Path;

use tests::k8s_log::{parse, summary};
use tests::{Call, Container, Result, Scratch, ours_only, wait};

/// The log of a container that wrote the numbers 1 to `last`, 5 digits each, with this limit on the log's size.
fn limited(limit: usize, last: u32, path: impl FnOnce(&Path)) -> Result<Vec<u8>> {
    let scratch = Scratch::new()?;
    let script = format!("seq -f %05g 1 {last}");
    let call = Call::create(&scratch, &Container::sh(script))?;
    path(&call.paths().log);
    let session = call.set("--log-size-max", limit.to_string()).running()?;
    session.exit_code()?;
    session.monitor_gone()?;
    Ok(fs::read(&session.paths.log).unwrap())
}

#[test]
fn a_log_that_reached_its_limit_starts_anew_and_keeps_the_newest() -> Result {
    // A record of these has 51 bytes, so 9 of them fit: 1 to 9, 10 to 18, and then the rest.
    let log = limited(500, 25, |_| {})?;
    assert_eq!(
        summary(&parse(&log)?),
        (19..=25).map(|number| format!("stdout F {number:05}")).collect::<Vec<_>>()
    );
    assert_eq!(log.len(), 7 * 51);
    Ok(())
}

#[test]
fn the_limit_itself_may_be_reached() -> Result {
    let log = limited(510, 10, |_| {})?;
    assert_eq!(parse(&log)?.len(), 10, "10 records of 51 bytes fit");
    let log = limited(509, 10, |_| {})?;
    assert_eq!(parse(&log)?.len(), 1, "the tenth does not");
    Ok(())
}

#[test]
fn a_record_larger_than_the_limit_is_written_alone() -> Result {
    let log = limited(10, 3, |_| {})?;
    assert_eq!(summary(&parse(&log)?), ["stdout F 00003"]);
    Ok(())
}

#[test]
fn the_size_of_an_existing_log_counts() -> Result {
    ours_only!("Since 2.1.9.");
    let old = "2026-01-01T00:00:00.000000000+00:00 stdout F 00000\n";
    let log = limited(510, 9, |path| fs::write(path, old).unwrap())?;
    assert_eq!(parse(&log)?.len(), 10);
    let log = limited(509, 9, |path| fs::write(path, old).unwrap())?;
    assert_eq!(summary(&parse(&log)?), ["stdout F 00009"]);
    Ok(())
}

#[test]
fn the_log_is_reopened_on_request() -> Result {
    let scratch = Scratch::new()?;
    let go = scratch.join("go");
    tests::sys::make_fifo(&go).unwrap();
    let script = format!("echo one; read x < {}; echo two", go.display());
    let session = Call::create(&scratch, &Container::sh(script))?.running()?;
    session.log_until("the first line", |log| !log.is_empty())?;
    let old = scratch.join("old.log");
    fs::rename(&session.paths.log, &old).unwrap();
    session.write_fifo("ctl", b"2 0 0\n")?;
    wait::for_file(&session.paths.log, "a new log", |content| content.map(drop))?;
    fs::write(&go, "\n").unwrap();
    session.exit_code()?;
    assert_eq!(summary(&session.log()?), ["stdout F two"]);
    assert_eq!(summary(&parse(&fs::read(&old).unwrap())?), ["stdout F one"]);
    Ok(())
}
