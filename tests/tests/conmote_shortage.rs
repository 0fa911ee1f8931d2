//! Descriptors that run out, and pipes of the engine that are full: nothing spins, nothing is lost.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use tests::{Call, Container, Result, Scratch, Session, ours_only, process, sys, under_test, wait};

/// Spinning would use 50 ticks in this time.
const WHILE: Duration = Duration::from_millis(500);

#[test]
fn a_client_that_cannot_be_accepted_costs_no_time_and_is_served_later() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("cat").stdin())?.running()?;
    let hub = scratch.idle()?.pid;
    let taken = process::fds(hub);
    let free = (0..).find(|number| !taken.contains_key(number)).unwrap();
    sys::limit_descriptors(hub, free as u64).unwrap();
    let mut client = session.attach()?;
    client.send(b"hello\n")?;
    assert!(scratch.ticks_during(WHILE) < 10);
    assert_eq!(client.packet_before(Instant::now())?, None, "it cannot have been accepted");
    sys::limit_descriptors(hub, 1024).unwrap();
    client.expect("hello\n")
}

#[test]
fn clients_of_a_silent_container_leave_nothing_behind() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let container = Container::new(["sleep", "1000"]).stdin();
    let session = Call::create(&scratch, &container)?.flag("--leave-stdin-open").running()?;
    let hub = scratch.idle()?;
    let before = hub.fds().len();
    for _ in 0..200 {
        drop(session.attach()?);
    }
    scratch.idle()?;
    wait::until("the clients' descriptors to be closed", || {
        Ok((hub.fds().len() <= before).then_some(()))
    })
}

/// Reads what [`sys::fill`] wrote, and then one message.
fn message_behind(filling: usize, pipe: OwnedFd) -> Result<String> {
    let mut pipe = std::fs::File::from(pipe);
    let mut dots = vec![0; filling];
    pipe.read_exact(&mut dots).unwrap();
    assert!(dots.iter().all(|byte| *byte == b'.'));
    line(&mut pipe)
}

fn line(pipe: &mut std::fs::File) -> Result<String> {
    let mut text = Vec::new();
    while text.last() != Some(&b'\n') {
        assert!(sys::readable(&*pipe, wait::deadline()).unwrap(), "no message comes");
        let mut byte = [0];
        pipe.read_exact(&mut byte).unwrap();
        text.extend(byte);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// Calls the monitor with a pipe that does not block for its answers, as a caller with an event loop may.
fn with_pipe(call: Call, pipe: &OwnedFd) -> Result<Session> {
    let call = call.no_sync_pipe().no_start_pipe().no_attach_pipe().without("--exec-attach");
    call.inherit(pipe.try_clone().unwrap()).env("_OCI_SYNCPIPE", "3").spawn()
}

#[test]
fn the_pid_waits_for_room_in_a_full_pipe() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (ours, theirs) = sys::pipe().unwrap();
    let filling = sys::fill(&theirs).unwrap();
    let session = with_pipe(Call::create(&scratch, &Container::sh("exit 5"))?, &theirs)?;
    let pid = wait::for_file(&session.paths.container_pid, "a pid", |content| {
        String::from_utf8(content?.to_vec()).ok()
    })?;
    assert!(scratch.ticks_during(WHILE) < 10);
    assert_eq!(message_behind(filling, ours)?, format!("{{\"data\": {pid}}}\n"));
    session.start()?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn the_status_of_a_session_waits_for_room_in_a_full_pipe() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let go = scratch.join("go");
    sys::make_fifo(&go).unwrap();
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    let process = Container::sh(format!("read x < {}; exit 6", go.display()));
    let (ours, theirs) = sys::pipe().unwrap();
    let session = with_pipe(Call::exec(&scratch, &container, &process)?, &theirs)?;
    let mut first = std::fs::File::from(ours.try_clone().unwrap());
    assert!(line(&mut first)?.starts_with("{\"data\": "));
    let filling = sys::fill(&theirs).unwrap();
    std::fs::write(&go, "\n").unwrap();
    assert_eq!(session.exit_code()?, 6, "the exit file does not wait");
    assert!(scratch.ticks_during(WHILE) < 10);
    assert_eq!(message_behind(filling, ours)?, "{\"data\": 6}\n");
    session.exit_note()?;
    session.monitor_gone()
}

#[test]
fn numbers_of_inherited_descriptors_may_be_used_again() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    // The pipes come after two other descriptors, so their numbers are free again while the session lives; the monitor
    // puts descriptors of its own there. What it closes in the end must be what it was given and nothing else.
    let (read, write) = sys::pipe().unwrap();
    let call = Call::exec(&scratch, &container, &Container::sh("cat; exit 6").stdin())?;
    let mut session =
        call.log_driver("k8s-file").inherit(read).inherit(write.try_clone().unwrap()).spawn()?;
    session.release()?;
    assert_eq!(session.attach_message()?.unwrap().value, 0);
    let mut client = session.attach()?;
    session.release()?;
    session.pid()?;
    client.send(b"hello\n")?;
    client.expect("hello\n")?;
    client.half_close()?;
    client.read_to_end()?;
    assert_eq!(session.message()?.unwrap().value, 6);
    assert_eq!(session.exit_code()?, 6);
    assert_eq!(tests::k8s_log::summary(&session.log()?), ["stdout F hello"]);
    session.exit_note()?;
    session.monitor_gone()
}

#[test]
fn however_few_descriptors_there_are_the_engine_gets_an_answer() -> Result {
    ours_only!();
    let script = Container::sh("echo hello; exit 5");
    answers_at_any_limit(&script.clone().stdin())?;
    answers_at_any_limit(&script.terminal())
}

fn answers_at_any_limit(container: &Container) -> Result {
    let (mut refused, mut told, mut ran) = (0, 0, 0);
    for limit in 6..36 {
        let scratch = Scratch::new()?;
        let wrapper = scratch.join("with-a-limit");
        let binary = under_test::binary()?;
        let text = format!("#!/bin/sh\nulimit -n {limit}; exec {} \"$@\"\n", binary.display());
        std::fs::write(&wrapper, text).unwrap();
        std::fs::set_permissions(&wrapper, PermissionsExt::from_mode(0o755)).unwrap();
        let mut session = Call::create(&scratch, container)?.program(&wrapper).spawn()?;
        session.release()?;
        let finished = session.foreground()?;
        if finished.status != 0 {
            assert!(finished.stderr.contains("Too many open files"), "{limit}: {finished:?}");
            refused += 1;
            continue;
        }
        let message = session.message()?.unwrap_or_else(|| panic!("{limit}: no answer"));
        if message.value < 0 {
            assert!(message.text.is_some(), "{limit}: no reason");
            told += 1;
            continue;
        }
        session.start()?;
        assert_eq!(session.exit_code()?, 5, "{limit}");
        session.exit_note()?;
        ran += 1;
    }
    assert!(refused > 0 && told > 0 && ran > 5, "{refused} refused, {told} told, {ran} ran");
    Ok(())
}
