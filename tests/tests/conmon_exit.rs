//! The end of a container: exit files, the exit command, what is left behind, and in which order.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::{Call, Container, Result, Scratch, Session, ours_only, process, sys, wait};

fn run(scratch: &Scratch, script: &str) -> Result<Session> {
    Call::create(scratch, &Container::sh(script))?.running()
}

#[test]
fn the_exit_file_holds_the_status_and_nothing_else() -> Result {
    for status in [0, 1, 3, 125, 127, 255] {
        let scratch = Scratch::new()?;
        let session = run(&scratch, &format!("exit {status}"))?;
        assert_eq!(session.exit_code()?, status);
        assert_eq!(fs::read(session.exit_file()).unwrap(), status.to_string().as_bytes());
    }
    Ok(())
}

#[test]
fn a_signal_gives_128_and_its_number() -> Result {
    for (signal, status) in [("KILL", 137), ("TERM", 143), ("HUP", 129)] {
        let scratch = Scratch::new()?;
        let session = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
        session.kill(signal)?;
        assert_eq!(session.exit_code()?, status);
    }
    Ok(())
}

#[test]
fn the_exit_file_is_readable_and_no_temporary_name_stays() -> Result {
    let scratch = Scratch::new()?;
    let session = run(&scratch, "exit 5")?;
    session.exit_code()?;
    session.monitor_gone()?;
    let mode = fs::metadata(session.exit_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    let names: Vec<_> = fs::read_dir(&session.paths.exits)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, [session.paths.id.as_str()]);
    Ok(())
}

#[test]
fn a_container_killed_before_it_started_has_an_exit_status_too() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("true"))?.created()?;
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    Ok(())
}

#[test]
fn an_engine_may_do_without_exit_files() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.without("--exit-dir");
    let session = call.running()?;
    session.exit_note()?;
    session.monitor_gone()?;
    assert!(!session.exit_file().exists());
    Ok(())
}

#[test]
fn the_persist_directory_gets_the_status_too() -> Result {
    let scratch = Scratch::new()?;
    let persist = scratch.directory("persist")?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.set("--persist-dir", &persist);
    let session = call.running()?;
    session.exit_code()?;
    // It is written first.
    assert_eq!(fs::read(persist.join("exit")).unwrap(), b"5");
    session.monitor_gone()
}

#[test]
fn with_sync_the_monitor_itself_exits_with_the_status() -> Result {
    for (script, status) in [("exit 3", 3), ("kill -9 $$", 137)] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh(script))?.flag("--sync");
        let mut session = call.spawn()?;
        session.release()?;
        session.pid()?;
        assert!(
            !session.paths.monitor_pid.exists(),
            "the pid file is for monitors in the background"
        );
        session.start()?;
        let finished = session.foreground()?;
        assert_eq!(finished.status, status, "{finished:?}");
        assert_eq!(session.exit_code()?, status);
    }
    Ok(())
}

#[test]
fn with_sync_a_status_that_nobody_knows_is_255() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.flag("--sync");
    let mut session = call.set("-T", "1").spawn()?;
    session.release()?;
    session.pid()?;
    session.start()?;
    assert_eq!(session.foreground()?.status, 255);
    assert_eq!(session.exit_code()?, -1);
    Ok(())
}

#[test]
fn a_container_that_somebody_else_has_buried_ended_well() -> Result {
    ours_only!("So since 2.2.0; before, the status was -1.");
    let scratch = Scratch::new()?;
    // A process that has ended and been waited for; its number is not given out again so soon.
    let mut buried = std::process::Command::new("true").spawn().unwrap();
    let pid = buried.id();
    buried.wait().unwrap();
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let mut session = call.env("SMALL_RUNTIME_PID_FILE", pid.to_string()).spawn()?;
    session.release()?;
    assert_eq!(session.pid()?, pid as i32);
    assert_eq!(session.exit_code()?, 0);
    Ok(())
}

#[test]
fn the_last_words_of_a_container_are_in_the_log_when_it_has_exited() -> Result {
    for _ in 0..5 {
        let scratch = Scratch::new()?;
        let session = run(&scratch, "seq 1 2000; echo last >&2")?;
        session.exit_code()?;
        let log = session.log()?;
        let stdout = String::from_utf8(tests::k8s_log::content(&log, "stdout")).unwrap();
        assert!(stdout.ends_with("\n1999\n2000\n"));
        assert_eq!(tests::k8s_log::content(&log, "stderr"), b"last\n");
    }
    Ok(())
}

#[test]
fn a_background_process_that_holds_stdout_does_not_delay_the_exit_file() -> Result {
    let scratch = Scratch::new()?;
    let session = run(&scratch, "sleep 1000 & echo started; exit 5")?;
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(session.log()?[0].content, b"started");
    Ok(())
}

#[test]
fn a_container_that_runs_too_long_is_killed() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("sleep 1000 & exec sleep 1000"))?;
    let mut session = call.set("--timeout", "1").spawn()?;
    session.release()?;
    let pid = session.pid()?;
    session.start()?;
    assert_eq!(session.exit_code()?, -1);
    wait::for_end_of(pid)?;
    session.monitor_gone()?;
    let left: Vec<_> =
        scratch.processes().into_iter().filter(|process| process.state != 'Z').collect();
    assert!(left.is_empty(), "its whole process group is killed: {left:?}");
    Ok(())
}

#[test]
fn a_timeout_of_nothing_is_none() -> Result {
    for timeout in ["0", "-1"] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::new(["sleep", "1000"]))?;
        let session = call.set("--timeout", timeout).running()?;
        session.kill("TERM")?;
        assert_eq!(session.exit_code()?, 143);
    }
    Ok(())
}

#[test]
fn signals_to_the_monitor_reach_the_container() -> Result {
    for (signal, status) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGQUIT, 131)] {
        let scratch = Scratch::new()?;
        let session = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
        sys::kill(session.monitor()?, signal).unwrap();
        assert_eq!(session.exit_code()?, status);
    }
    Ok(())
}

#[test]
fn a_container_may_ignore_a_signal_to_the_monitor() -> Result {
    let scratch = Scratch::new()?;
    let script = "trap 'echo caught' TERM; echo ready; while :; do read x || sleep 0.05; done";
    let session = run(&scratch, script)?;
    session.log_until("readiness", |log| !log.is_empty())?;
    sys::kill(session.monitor()?, libc::SIGTERM).unwrap();
    session.log_until("the trap", |log| log.iter().any(|record| record.content == b"caught"))?;
    assert!(!session.exit_file().exists());
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    Ok(())
}

#[test]
fn no_zombie_stays_while_the_container_runs() -> Result {
    let scratch = Scratch::new()?;
    // Each inner sh is orphaned at once and falls to the monitor.
    let script = "for i in 1 2 3 4 5 6 7 8; do (sh -c 'exec sleep 0.05' &) ; done; echo ready; exec sleep 1000";
    let session = run(&scratch, script)?;
    session.log_until("readiness", |log| !log.is_empty())?;
    wait::until("one process of the container alone", || {
        let alone = scratch
            .processes()
            .iter()
            .filter(|process| process.kind == process::Kind::Container)
            .count()
            == 1;
        Ok(alone.then_some(()))
    })
}

#[test]
fn nothing_is_left_after_the_exit() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("cat").stdin())?.running()?;
    let mut client = session.attach()?;
    client.send(b"hello")?;
    client.expect("hello")?;
    client.half_close()?;
    session.exit_note()?;
    session.monitor_gone()?;
    scratch.no_monitor_left()?;
    assert!(!session.paths.bundle.join("attach").exists());
    Ok(())
}
