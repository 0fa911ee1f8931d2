//! What the engine sees when set-up fails: an answer, always, and nothing left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::{Call, Container, Result, Scratch, Session, under_test};

/// A call that must fail after the foreground process has ended well. On ours, the engine hears -1 with a message where
/// the original at best closes the pipe.
fn fails(scratch: &Scratch, call: Call) -> Result<(Session, Option<String>)> {
    let mut session = call.spawn()?;
    session.release()?;
    let finished = session.foreground()?;
    assert!(under_test::is_original()? || finished.status == 0, "{finished:?}");
    let message = session.message()?;
    if let Some(message) = &message {
        assert_eq!(message.value, -1);
    }
    assert!(
        message.is_some() || under_test::is_original()?,
        "the engine was left without an answer"
    );
    scratch.no_monitor_left()?;
    assert_eq!(session.message()?, None);
    Ok((session, message.and_then(|message| message.text)))
}

#[test]
fn a_runtime_that_is_a_directory_fails_the_creation() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?.set("-r", scratch.path());
    fails(&scratch, call)?;
    Ok(())
}

#[test]
fn a_runtime_that_is_no_program_fails_the_creation() -> Result {
    let scratch = Scratch::new()?;
    let runtime = scratch.join("not-a-program");
    fs::write(&runtime, "not a program").unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
    let call = Call::create(&scratch, &Container::sh("true"))?.set("-r", &runtime);
    let (session, text) = fails(&scratch, call)?;
    session.exit_note()?;
    if under_test::is_ours()? {
        let expected =
            format!("cannot execute the runtime {}: Exec format error\n", runtime.display());
        assert_eq!(text, Some(expected));
    }
    Ok(())
}

#[test]
fn a_missing_bundle_fails_the_creation() -> Result {
    let scratch = Scratch::new()?;
    let missing = scratch.join("missing");
    let call = Call::create(&scratch, &Container::sh("true"))?.set("-b", &missing);
    let (session, text) = fails(&scratch, call)?;
    if under_test::is_ours()? {
        let text = text.unwrap();
        assert!(text.contains(&*missing.to_string_lossy()) && !text.contains('\n'), "{text}");
    }
    assert!(!missing.exists());
    assert!(!session.paths.exit_note.exists(), "the runtime was not called");
    Ok(())
}

#[test]
fn a_missing_socket_directory_fails_the_creation() -> Result {
    let scratch = Scratch::new()?;
    let missing = scratch.join("missing");
    let call = Call::create(&scratch, &Container::sh("true"))?.without("--full-attach");
    let (session, text) = fails(&scratch, call.set("--socket-dir-path", &missing))?;
    assert!(!session.paths.exit_note.exists(), "the runtime was not called");
    if under_test::is_ours()? {
        let text = text.unwrap();
        assert!(text.contains(&*missing.to_string_lossy()), "{text}");
    }
    Ok(())
}

#[test]
fn a_bundle_without_config_fails_in_the_runtimes_words() -> Result {
    let scratch = Scratch::new()?;
    let empty = scratch.directory("empty")?;
    let call = Call::create(&scratch, &Container::sh("true"))?.set("-b", &empty);
    let (session, text) = fails(&scratch, call)?;
    let text = text.unwrap();
    assert!(
        text.starts_with("small-runtime: cannot read") && text.contains("config.json"),
        "{text}"
    );
    session.exit_note()?;
    if under_test::is_ours()? {
        assert!(!empty.join("attach").exists(), "the attach socket stays");
    }
    Ok(())
}

#[test]
fn a_pid_file_that_the_runtime_did_not_write_fails_the_creation() -> Result {
    let scratch = Scratch::new()?;
    let call =
        Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_PID_FILE", "none");
    let path = call.paths().container_pid.clone();
    let mut session = call.spawn()?;
    session.release()?;
    let message = session.message()?;
    if under_test::is_ours()? {
        let message = message.unwrap();
        assert_eq!(message.value, -1);
        let text = message.text.unwrap();
        assert!(text.contains(&*path.to_string_lossy()), "{text}");
    }
    session.exit_note()?;
    Ok(())
}

#[test]
fn a_long_complaint_is_cut_where_the_original_cuts_it() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let call = call.env("SMALL_RUNTIME_STDERR_BYTES", "20000").env("SMALL_RUNTIME_EXIT", "1");
    let (_session, text) = fails(&scratch, call)?;
    let text = text.unwrap();
    assert!(
        text.starts_with("xxxx") && (1000..=8191).contains(&text.len()),
        "{} bytes",
        text.len()
    );
    Ok(())
}

#[test]
fn an_exec_without_its_container_fails_in_the_runtimes_words() -> Result {
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &Container::sh("true"))?.running()?;
    container.exit_code()?;
    container.monitor_gone()?;
    let mut session = Call::exec(&scratch, &container, &Container::sh("true"))?.spawn()?;
    session.release()?;
    session.release()?;
    let message = session.message()?;
    if under_test::is_ours()? {
        let message = message.unwrap();
        assert_eq!(message.value, -1);
        assert_eq!(
            message.text.as_deref(),
            Some("small-runtime: cannot exec in a stopped container\n")
        );
    }
    session.exit_note()?;
    session.monitor_gone()
}

#[test]
fn the_engine_may_kill_the_monitor_while_the_runtime_works() -> Result {
    let scratch = Scratch::new()?;
    let gate = scratch.join("gate");
    tests::sys::make_fifo(&gate).unwrap();
    let call = Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_WAIT", &gate);
    let mut session = call.spawn()?;
    session.release()?;
    let monitor = session.monitor()?;
    let find_runtime = || {
        let runtime =
            scratch.processes().into_iter().find(|process| process.name == "small-runtime");
        Ok(runtime.map(|process| process.pid))
    };
    let runtime = tests::wait::until("the runtime", find_runtime)?;
    tests::sys::kill(monitor, libc::SIGKILL).unwrap();
    tests::wait::for_end_of(runtime)
}
