//! The sync, start and attach pipes: what the engine says to the monitor and hears from it, and when.

use std::fs;

use tests::pipe::Pipe;
use tests::{Call, Container, Result, Scratch, ours_only, process, sys, wait};

#[test]
fn the_engine_learns_the_pid_of_a_created_container() -> Result {
    let scratch = Scratch::new()?;
    let mut session = Call::create(&scratch, &Container::sh("exit 7"))?.spawn()?;
    session.release()?;
    session.backgrounded()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.raw, format!("{{\"data\": {}}}\n", message.value).as_bytes());
    let from_file: i64 = fs::read_to_string(&session.paths.container_pid).unwrap().parse().unwrap();
    assert_eq!(message.value, from_file);
    session.start()?;
    assert_eq!(session.exit_code()?, 7);
    assert_eq!(session.message()?, None, "for a container, the pid is all there is to say");
    Ok(())
}

#[test]
fn an_engine_of_api_0_learns_it_under_another_name() -> Result {
    let scratch = Scratch::new()?;
    let mut session = Call::create(&scratch, &Container::sh("true"))?.api_0().spawn()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.raw, format!("{{\"pid\": {}}}\n", message.value).as_bytes());
    assert_eq!(message.key, "pid");
    session.start()?;
    assert_eq!(session.message()?, None);
    Ok(())
}

#[test]
fn a_monitor_without_pipes_runs_the_container_all_the_same() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 4"))?;
    let mut session = call.no_sync_pipe().no_start_pipe().spawn()?;
    session.backgrounded()?;
    wait::for_file(&session.paths.container_pid, "a pid", |content| content.map(drop))?;
    wait::until("the container to be known", || Ok(session.start().ok()))?;
    assert_eq!(session.exit_code()?, 4);
    Ok(())
}

#[test]
fn nothing_happens_before_the_engine_releases_the_start_pipe() -> Result {
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let call = Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_TRACE", &trace);
    let mut session = call.spawn()?;
    // It sleeps in a read of descriptor 4: the engine may now move it to a cgroup.
    let pid = session.foreground_pid();
    wait::until("the monitor to wait at the start pipe", || {
        let call = process::proc_file(pid, "syscall");
        Ok((call.split(' ').nth(1) == Some("0x4")).then_some(()))
    })?;
    let monitors = scratch.monitors();
    assert_eq!(monitors.len(), 1, "no process has been forked yet: {monitors:?}");
    assert!(!trace.exists() && !session.paths.monitor_pid.exists());
    session.release()?;
    session.pid()?;
    assert!(trace.exists());
    Ok(())
}

#[test]
fn closing_the_start_pipe_releases_it_too() -> Result {
    let scratch = Scratch::new()?;
    let mut session = Call::create(&scratch, &Container::sh("true"))?.spawn()?;
    session.close_start_pipe();
    session.pid()?;
    Ok(())
}

#[test]
fn a_pipe_variable_that_is_no_descriptor_is_refused() -> Result {
    let name = "_OCI_STARTPIPE";
    let (parse, mark) = ("unable to parse _OCI_STARTPIPE", "unable to make _OCI_STARTPIPE CLOEXEC");
    for (value, complaint) in [("junk", parse), ("3x", parse), ("77", mark)] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh("true"))?.no_start_pipe().env(name, value);
        let mut session = call.spawn()?;
        let finished = session.foreground()?;
        assert_eq!(finished.status, 1, "{value}: {finished:?}");
        assert!(finished.stderr.contains(complaint), "{value}: {finished:?}");
        assert_eq!(finished.stderr.lines().count(), 1);
        assert!(scratch.monitors().is_empty());
    }
    Ok(())
}

#[test]
fn an_empty_start_pipe_variable_is_no_start_pipe() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?.no_start_pipe();
    let mut session = call.env("_OCI_STARTPIPE", "").spawn()?;
    session.pid()?;
    Ok(())
}

#[test]
fn an_engine_that_went_away_does_not_stop_the_container() -> Result {
    ours_only!("Tolerated since 2.1.8.");
    let scratch = Scratch::new()?;
    let mut session = Call::create(&scratch, &Container::sh("exit 9"))?.spawn()?;
    session.close_sync_pipe();
    session.release()?;
    session.backgrounded()?;
    wait::until("the container to be known", || Ok(session.start().ok()))?;
    assert_eq!(session.exit_code()?, 9);
    Ok(())
}

#[test]
fn a_sync_pipe_may_be_a_real_pipe() -> Result {
    let scratch = Scratch::new()?;
    let (ours, theirs) = sys::pipe().unwrap();
    let call = Call::create(&scratch, &Container::sh("exit 2"))?.no_sync_pipe().no_start_pipe();
    let mut session = call.inherit(theirs).env("_OCI_SYNCPIPE", "3").spawn()?;
    session.backgrounded()?;
    let message = Pipe::new(ours).message()?.unwrap();
    assert!(message.value > 0);
    session.start()?;
    assert_eq!(session.exit_code()?, 2);
    Ok(())
}

#[test]
fn the_words_of_a_failing_runtime_reach_the_engine() -> Result {
    let scratch = Scratch::new()?;
    let words = "small-runtime: \"no\" \\ /path\ttab\nsecond line\u{1}\u{7f} ünïcode";
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let call = call.env("SMALL_RUNTIME_STDERR", words).env("SMALL_RUNTIME_EXIT", "1");
    let mut session = call.spawn()?;
    session.release()?;
    session.backgrounded()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.value, -1);
    assert_eq!(message.text.as_deref(), Some(words));
    let raw = String::from_utf8(message.raw).unwrap();
    let start = r#"{"data": -1, "message": "small-runtime: \"no\" \\ "#;
    assert!(raw.starts_with(start) && raw.ends_with("\"}\n"), "{raw:?}");
    assert_eq!(session.message()?, None);
    Ok(())
}

#[test]
fn a_runtime_that_fails_without_words_gives_a_bare_failure() -> Result {
    ours_only!("Told since 2.2.0.");
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_EXIT", "5");
    let mut session = call.spawn()?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().raw, b"{\"data\": -1}\n");
    Ok(())
}

#[test]
fn a_runtime_killed_by_a_signal_is_a_failure() -> Result {
    ours_only!("Told since 2.2.0.");
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_SIGNAL", "9");
    let mut session = call.spawn()?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().value, -1);
    Ok(())
}

#[test]
fn an_exec_session_tells_readiness_then_pid_then_status() -> Result {
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    let trace = scratch.join("trace");
    let process = Container::sh("echo hello; exit 6");
    let call = Call::exec(&scratch, &container, &process)?.env("SMALL_RUNTIME_TRACE", &trace);
    let mut session = call.spawn()?;
    session.release()?;
    session.backgrounded()?;
    assert_eq!(session.attach_message()?.unwrap().raw, b"{\"data\": 0}\n");
    let mut client = session.attach()?;
    assert!(!trace.exists(), "the command must wait for the client");
    session.release()?;
    let pid = session.message()?.unwrap();
    assert_eq!(pid.key, "data");
    assert!(pid.value > 0);
    client.read_to_end()?;
    assert_eq!(client.stdout, b"hello\n");
    let status = session.message()?.unwrap();
    assert_eq!(status.raw, b"{\"data\": 6}\n");
    assert_eq!(session.message()?, None);
    assert_eq!(session.attach_message()?, None, "readiness is told once");
    assert_eq!(session.exit_code()?, 6);
    Ok(())
}

#[test]
fn an_exec_session_of_api_0_tells_its_status_alone() -> Result {
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    let call = Call::exec(&scratch, &container, &Container::sh("exit 6"))?
        .api_0()
        .without("--exec-attach");
    let mut session = call.without("-u").no_attach_pipe().spawn()?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().raw, b"{\"exit_code\": 6}\n");
    assert_eq!(session.message()?, None);
    Ok(())
}
