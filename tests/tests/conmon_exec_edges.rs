//! Exec sessions without a bundle, without a pid, without an exit directory, without the pipe they need.

use std::fs;

use tests::k8s_log::summary;
use tests::{Call, Container, Result, Scratch, Session, ours_only, sys, under_test};

fn sleeper(scratch: &Scratch) -> Result<Session> {
    Call::create(scratch, &Container::new(["sleep", "1000"]))?.running()
}

#[test]
fn without_a_bundle_there_is_nothing_to_attach_to_and_no_word_of_it() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let call = Call::exec(&scratch, &container, &Container::sh("exit 3"))?.without("-b");
    let mut session = call.spawn()?;
    session.release()?;
    session.release()?;
    session.pid()?;
    assert_eq!(session.message()?.unwrap().value, 3);
    assert_eq!(session.attach_message()?, None);
    for name in ["attach", "ctl", "winsz"] {
        assert!(!session.paths.bundle.join(name).exists(), "{name} in the working directory");
    }
    Ok(())
}

#[test]
fn a_missing_attach_pipe_fails_the_session() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let call = Call::exec(&scratch, &container, &Container::sh("true"))?.flag("--sync");
    let mut session = call.no_attach_pipe().spawn()?;
    session.release()?;
    session.release()?;
    assert_eq!(session.foreground()?.status, 1);
    assert!(!session.paths.container_pid.exists(), "the runtime must not have been called");
    if under_test::is_ours()? {
        let message = session.message()?.unwrap();
        let expected = "--attach specified but _OCI_ATTACHPIPE was not";
        assert_eq!((message.value, message.text.as_deref()), (-1, Some(expected)));
    }
    Ok(())
}

#[test]
fn a_pid_file_that_stays_empty_means_no_process_and_words_in_the_log() -> Result {
    ours_only!("So since 2.2.0; before, it was a failure like any other.");
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let call = Call::exec(&scratch, &container, &Container::new(["no-such-command"]))?;
    fs::write(&call.paths().container_pid, "").unwrap();
    let mut session = call.log_driver("k8s-file").spawn()?;
    session.release()?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().raw, b"{\"data\": 0}\n");
    assert_eq!(session.message()?.unwrap().raw, b"{\"data\": -1}\n");
    session.exit_note()?;
    let log = summary(&session.log()?).join("\n");
    assert!(log.contains("executable file not found in $PATH"), "{log}");
    Ok(())
}

#[test]
fn a_missing_exit_directory_does_not_keep_the_status_from_the_engine() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let call = Call::exec(&scratch, &container, &Container::sh("exit 3"))?;
    let mut session = call.set("--exit-dir", scratch.join("missing")).spawn()?;
    session.release()?;
    session.release()?;
    session.pid()?;
    assert_eq!(session.message()?.unwrap().value, 3);
    session.exit_note()?;
    session.monitor_gone()
}

#[test]
fn a_session_that_is_told_to_end_before_its_command_is_released_never_runs_it() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let ran = scratch.join("ran");
    let call = Call::exec(&scratch, &container, &Container::sh(format!("> {}", ran.display())))?;
    let mut session = call.spawn()?;
    session.release()?;
    session.attach_message()?;
    session.backgrounded()?;
    sys::kill(session.monitor()?, libc::SIGTERM).unwrap();
    session.monitor_gone()?;
    assert!(!ran.exists());
    // The original says nothing, and its engine has to guess.
    ours_only!();
    assert_eq!(session.message()?.map(|message| message.value), Some(-1));
    Ok(())
}
