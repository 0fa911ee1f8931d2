//! Clients that stop reading: an observer delays nothing, an owner loses nothing, and nobody delays the exit.

use std::fmt::Write;
use std::time::{Duration, Instant};

use tests::{Call, Client, Container, Result, Scratch, Session, k8s_log, ours_only, wait};

const LINES: u32 = 500_000;

fn numbers() -> String {
    let mut text = String::new();
    (1..=LINES).for_each(|number| writeln!(text, "{number}").unwrap());
    text
}

/// A container that says it is ready, and counts when it is told to.
fn counter(scratch: &Scratch) -> Result<(Session, Client)> {
    let script = format!("echo ready; read x; seq 1 {LINES}; exit 5");
    let session = Call::create(scratch, &Container::sh(script).stdin())?.created()?;
    let hub = scratch.idle()?;
    let before = hub.fds().len();
    let mut owner = session.attach()?;
    // A client is an owner if the hub has accepted it before the start.
    wait::until("the client to be accepted", || Ok((hub.fds().len() > before).then_some(())))?;
    session.start()?;
    owner.expect("ready\n")?;
    Ok((session, owner))
}

#[test]
fn a_stopped_observer_delays_neither_container_nor_log_nor_other_clients() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (session, mut owner) = counter(&scratch)?;
    let stopped = [session.attach()?, session.attach()?];
    owner.send(b"go\n")?;
    owner.read_to_end()?;
    let expected = format!("ready\n{}", numbers());
    assert!(
        owner.stdout == expected.as_bytes(),
        "the other client got {} bytes",
        owner.stdout.len()
    );
    assert_eq!(session.exit_code()?, 5);
    assert!(k8s_log::content(&session.log()?, "stdout") == expected.as_bytes());
    session.monitor_gone()?;
    drop(stopped);
    Ok(())
}

#[test]
fn an_observer_alone_delays_nothing_either() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = format!("echo ready; read x; seq 1 {LINES}; exit 5");
    let session = Call::create(&scratch, &Container::sh(script).stdin())?.running()?;
    session.log_until("readiness", |log| !log.is_empty())?;
    let stopped = session.attach()?;
    stopped.send(b"go\n")?;
    assert_eq!(session.exit_code()?, 5);
    let expected = format!("ready\n{}", numbers());
    assert!(k8s_log::content(&session.log()?, "stdout") == expected.as_bytes());
    Ok(())
}

#[test]
fn an_observer_in_time_sees_everything() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script =
        "echo ready; read x; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; done; echo end";
    let session = Call::create(&scratch, &Container::sh(script).stdin())?.running()?;
    session.log_until("readiness", |log| !log.is_empty())?;
    let mut observer = session.attach()?;
    observer.send(b"go\n")?;
    observer.read_to_end()?;
    let text = String::from_utf8_lossy(&observer.stdout).into_owned();
    assert!(text.starts_with("1\n2\n") && text.ends_with("2000\nend\n"), "{} bytes", text.len());
    Ok(())
}

/// Waits until the log has stopped growing.
fn stalled(session: &Session) -> Result<u64> {
    let size = || std::fs::metadata(&session.paths.log).map_or(0, |log| log.len());
    let mut last = (size(), Instant::now());
    wait::until("the output to stop", || {
        let now = size();
        if now != last.0 {
            last = (now, Instant::now());
        }
        Ok((last.1.elapsed() > Duration::from_millis(300)).then_some(now))
    })
}

#[test]
fn an_owner_that_stops_reading_loses_nothing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (session, mut owner) = counter(&scratch)?;
    owner.send(b"go\n")?;
    let size = stalled(&session)?;
    assert!(
        !session.exit_file().exists(),
        "the container must wait for its owner; its log has {size} bytes"
    );
    owner.read_to_end()?;
    let expected = format!("ready\n{}", numbers());
    assert!(
        owner.stdout == expected.as_bytes(),
        "{} of {} bytes",
        owner.stdout.len(),
        expected.len()
    );
    assert_eq!(session.exit_code()?, 5);
    assert!(k8s_log::content(&session.log()?, "stdout") == expected.as_bytes());
    Ok(())
}

#[test]
fn killing_a_container_whose_owner_stopped_reading_gives_the_exit_file_at_once() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (session, mut owner) = counter(&scratch)?;
    owner.send(b"go\n")?;
    stalled(&session)?;
    let killed = Instant::now();
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
    session.exit_note()?;
    // What was logged is still delivered, if the owner wants it.
    let log = k8s_log::content(&session.log()?, "stdout");
    assert!(format!("ready\n{}", numbers()).as_bytes().starts_with(&log));
    owner.read_to_end()?;
    assert!(owner.stdout == log, "the owner got {} of {} bytes", owner.stdout.len(), log.len());
    scratch.no_monitor_left()
}

#[test]
fn an_owner_that_goes_away_sets_the_container_free() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (session, owner) = counter(&scratch)?;
    owner.send(b"go\n")?;
    stalled(&session)?;
    drop(owner);
    assert_eq!(session.exit_code()?, 5);
    let expected = format!("ready\n{}", numbers());
    assert!(k8s_log::content(&session.log()?, "stdout") == expected.as_bytes());
    Ok(())
}

#[test]
fn a_stopped_owner_does_not_delay_input_or_commands() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = "stty -echo; echo ready; read x; seq 1 500000";
    let session = Call::create(&scratch, &Container::sh(script).terminal())?.created()?;
    let mut owner = session.attach()?;
    session.start()?;
    owner.expect("ready")?;
    owner.send(b"go\n")?;
    stalled(&session)?;
    // Control-C goes through although nobody reads.
    owner.send(b"\x03")?;
    assert_eq!(session.exit_code()?, 130);
    Ok(())
}
