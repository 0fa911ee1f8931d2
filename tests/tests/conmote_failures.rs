//! Set-up that goes wrong in ways the original hangs on or keeps to itself.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Call, Container, Result, Scratch, ours_only, sys};

#[test]
fn a_talkative_runtime_does_not_hang_the_creation() -> Result {
    ours_only!();
    for (stream, exit) in [("STDERR", "1"), ("STDERR", "0"), ("STDOUT", "1")] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh("true"))?;
        let call = call.env(&format!("SMALL_RUNTIME_{stream}_BYTES"), "300000");
        let call = if exit == "1" { call.env("SMALL_RUNTIME_EXIT", exit) } else { call };
        let mut session = call.spawn()?;
        session.release()?;
        let message = session.message()?.unwrap();
        assert_eq!(message.value == -1, exit == "1", "{stream} {exit}: {message:?}");
        if exit == "0" {
            session.start()?;
            assert_eq!(session.exit_code()?, 0);
        }
    }
    Ok(())
}

#[test]
fn a_child_of_the_runtime_that_holds_stderr_does_not_delay_the_answer() -> Result {
    ours_only!();
    for words in [None, Some("no luck")] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh("true"))?;
        let call = call.env("SMALL_RUNTIME_HOLD_STDERR", "15000").env("SMALL_RUNTIME_EXIT", "1");
        let call =
            if let Some(words) = words { call.env("SMALL_RUNTIME_STDERR", words) } else { call };
        let mut session = call.spawn()?;
        session.release()?;
        let asked = Instant::now();
        let message = session.message()?.unwrap();
        assert_eq!((message.value, message.text.as_deref()), (-1, words));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    Ok(())
}

#[test]
fn a_failed_creation_leaves_no_socket_behind() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let temporary = scratch.directory("tmp")?;
    for container in [Container::sh("true"), Container::sh("true").terminal()] {
        let call = Call::create(&scratch, &container)?.env("TMPDIR", &temporary);
        let mut session = call.env("SMALL_RUNTIME_EXIT", "1").spawn()?;
        session.release()?;
        assert_eq!(session.message()?.unwrap().value, -1);
        session.monitor_gone()?;
        assert!(!session.paths.bundle.join("attach").exists());
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
    Ok(())
}

#[test]
fn a_bad_sync_pipe_ends_the_call_before_anything_is_made() -> Result {
    ours_only!();
    for value in ["junk", "77"] {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh("true"))?.no_sync_pipe().no_start_pipe();
        let mut session = call.env("_OCI_SYNCPIPE", value).spawn()?;
        session.foreground()?;
        scratch.no_monitor_left()?;
        assert!(!session.paths.container_pid.exists(), "{value}");
    }
    Ok(())
}

#[test]
fn a_container_that_dies_during_its_creation_has_an_exit_status() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    // The command of an exec session may be gone before the runtime has written its pid.
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    for _ in 0..20 {
        let mut session = Call::exec(&scratch, &container, &Container::sh("exit 6"))?.spawn()?;
        session.release()?;
        session.release()?;
        session.pid()?;
        assert_eq!(session.message()?.unwrap().value, 6);
    }
    Ok(())
}

#[test]
fn the_last_words_before_a_timeout_are_in_the_log() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo last words; exec sleep 1000"))?;
    let session = call.set("--timeout", "1").running()?;
    assert_eq!(session.exit_code()?, -1);
    assert_eq!(tests::k8s_log::summary(&session.log()?), ["stdout F last words"]);
    Ok(())
}

#[test]
fn a_process_that_outlives_the_container_does_not_keep_the_monitor() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = "setsid sleep 1000 & exit 5";
    let session = Call::create(&scratch, &Container::sh(script))?.running()?;
    assert_eq!(session.exit_code()?, 5);
    session.monitor_gone()?;
    scratch.no_monitor_left()
}

#[test]
fn a_container_that_is_not_a_child_is_noticed_when_it_ends() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    // The runtime names a process of somebody else, as systemd scopes and nested subreapers may.
    let mut stranger = Command::new("sleep");
    let mut stranger = stranger.arg("1000").envs([scratch.marker()]).spawn().unwrap();
    let stranger_pid = stranger.id() as i32;
    let parent = thread::spawn(move || stranger.wait());
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let mut session = call.env("SMALL_RUNTIME_PID_FILE", stranger_pid.to_string()).spawn()?;
    session.release()?;
    assert_eq!(session.pid()?, stranger_pid);
    sys::kill(stranger_pid, libc::SIGKILL).unwrap();
    parent.join().unwrap().unwrap();
    session.exit_code()?;
    session.monitor_gone()
}
