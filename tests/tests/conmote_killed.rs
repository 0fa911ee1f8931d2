//! The roles can be killed at any moment: the container and its clients go on, and no line is lost.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use tests::{Call, Container, Result, Scratch, k8s_log, ours_only, process, wait};

const LINES: u32 = 300_000;

/// The lines of a log of which chunks may be there twice. A line that a kill tore in the middle of a write is no record;
/// how many of them there are is the second result.
fn lines(log: &[u8]) -> (BTreeSet<Vec<u8>>, usize) {
    let mut found = BTreeSet::new();
    let mut torn = 0;
    let mut pending = Vec::new();
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let Ok(records) = k8s_log::parse(line) else {
            torn += 1;
            continue;
        };
        for record in records {
            let joined = [&pending[..], &record.content].concat();
            if record.partial {
                // The rest may follow at once, or after a repetition.
                pending = if joined.len() < 100 { joined } else { record.content };
                continue;
            }
            found.insert(record.content);
            found.insert(joined);
            pending.clear();
        }
    }
    (found, torn)
}

#[test]
fn the_log_writer_may_be_killed_under_full_load() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = format!("seq -f %07g 1 {LINES}; exit 5");
    let session = Call::create(&scratch, &Container::sh(script))?.running()?;
    let kills = wait::killing(|| scratch.kill_role("log-writer"), || session.exit_file().exists())?;
    assert!(kills > 0, "it was never there to be killed");
    assert_eq!(session.exit_code()?, 5);
    let (found, torn) = lines(&fs::read(&session.paths.log).unwrap());
    assert!(torn <= kills, "{torn} torn lines after {kills} kills");
    let lost: Vec<_> =
        (1..=LINES).filter(|number| !found.contains(format!("{number:07}").as_bytes())).collect();
    assert!(
        lost.is_empty(),
        "{} lines lost after {kills} kills, the first is {:?}",
        lost.len(),
        lost.first()
    );
    session.monitor_gone()?;
    scratch.no_monitor_left()
}

#[test]
fn a_client_goes_on_when_the_log_writer_is_killed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("cat; exit 5").stdin())?.running()?;
    let mut client = session.attach()?;
    let mut kills = 0;
    for round in 0..6 {
        let line = format!("round {round}\n");
        client.send(line.as_bytes())?;
        client.expect(&line)?;
        kills += scratch.kill_role("log-writer");
    }
    assert!(kills > 0, "it was never there to be killed");
    client.half_close()?;
    client.read_to_end()?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn an_echo_session_goes_on_when_the_attach_proxy_is_killed() -> Result {
    ours_only!();
    for terminal in [false, true] {
        let scratch = Scratch::new()?;
        let container = Container::sh("stty -echo 2>/dev/null; echo ready; cat; exit 5").stdin();
        let container = if terminal { container.terminal() } else { container };
        let session = Call::create(&scratch, &container)?.created()?;
        let mut client = session.attach()?;
        session.start()?;
        client.expect("ready")?;
        let mut kills = 0;
        for round in 0..12 {
            let line = format!("round {round} ");
            client.send(format!("{line}\n").as_bytes())?;
            // At odd times: before, while, and after the line goes through.
            thread::sleep(Duration::from_micros(round * 137 % 1000));
            kills += scratch.kill_role("attach-proxy");
            client.expect(&line)?;
        }
        assert!(kills > 0, "it was never there to be killed");
        session.kill("KILL")?;
        client.read_to_end()?;
        assert_eq!(session.exit_code()?, 137);
    }
    Ok(())
}

#[test]
fn the_end_of_input_arrives_although_the_attach_proxy_was_killed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("cat; exit 5").stdin())?.running()?;
    let mut client = session.attach()?;
    client.send(b"hello\n")?;
    client.expect("hello\n")?;
    assert_eq!(scratch.kill_role("attach-proxy"), 1, "it is there as long as the client is");
    client.half_close()?;
    scratch.kill_role("attach-proxy");
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn a_container_may_die_while_its_roles_are_killed() -> Result {
    ours_only!();
    for _ in 0..5 {
        let scratch = Scratch::new()?;
        let session = Call::create(&scratch, &Container::sh("cat; exit 5").stdin())?.running()?;
        let mut client = session.attach()?;
        client.send(b"hello\n")?;
        client.expect("hello\n")?;
        session.kill("KILL")?;
        scratch.kill_role("log-writer");
        scratch.kill_role("attach-proxy");
        assert_eq!(session.exit_code()?, 137);
        session.monitor_gone()?;
        scratch.no_monitor_left()?;
    }
    Ok(())
}

#[test]
fn roles_do_not_outlive_the_hub() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("cat").stdin())?.running()?;
    let mut client = session.attach()?;
    client.send(b"hello\n")?;
    client.expect("hello\n")?;
    tests::sys::kill(session.monitor()?, libc::SIGKILL).unwrap();
    client.read_to_end()?;
    scratch.no_monitor_left()?;
    let containers = scratch.processes();
    assert!(containers.iter().all(|left| left.kind == process::Kind::Container), "{containers:?}");
    Ok(())
}
