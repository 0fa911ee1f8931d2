//! The exit command: when it runs, and what it is given.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use tests::{Call, Container, Result, Scratch, process, sys, under_test};

#[test]
fn the_exit_command_runs_once_after_the_exit_file() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("exit 5"))?.running()?;
    let note = session.exit_note()?;
    let exit_written = fs::metadata(session.exit_file()).unwrap().modified().unwrap();
    let exit_written = exit_written.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    // File times are those of the last clock tick.
    assert!(exit_written <= note.time, "{exit_written} > {}", note.time);
    session.monitor_gone()?;
    assert_eq!(tests::note::read(&session.paths.exit_note)?.len(), 1);
    Ok(())
}

#[test]
fn the_exit_command_gets_its_arguments_word_for_word() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let call = call
        .add("--exit-command-arg", "--")
        .add("--exit-command-arg", "a b  c")
        .add("--exit-command-arg", "'\"$x*");
    let session = call.running()?;
    let note = session.exit_note()?;
    let path = session.paths.exit_note.to_string_lossy();
    assert_eq!(note.arguments(), ["note", &path, "--rm", "", "--", "a b  c", "'\"$x*"]);
    assert_eq!(note.args[0], under_test::small_runtime()?.to_string_lossy());
    Ok(())
}

#[test]
fn the_exit_command_may_have_hundreds_of_arguments() -> Result {
    for count in [56, 57, 900] {
        let scratch = Scratch::new()?;
        let mut call = Call::create(&scratch, &Container::sh("true"))?;
        let words: Vec<String> = (0..count).map(|number| format!("word {number}")).collect();
        for word in &words {
            call = call.add("--exit-command-arg", word);
        }
        let note = call.running()?.exit_note()?;
        assert_eq!(note.arguments()[4..], words[..]);
    }
    Ok(())
}

#[test]
fn the_exit_command_gets_a_plain_environment() -> Result {
    let scratch = Scratch::new()?;
    let (read, write) = sys::pipe().unwrap();
    let call = Call::create(&scratch, &Container::sh("true"))?.env("COLOUR", "blue");
    let session = call.inherit(read).inherit(write).running()?;
    let note = session.exit_note()?;
    assert_eq!(note.fds.keys().copied().collect::<Vec<_>>(), [0, 1, 2], "{:?}", note.fds);
    assert!(note.fds.values().all(|target| target == "/dev/null"), "{:?}", note.fds);
    assert_eq!(note.env("COLOUR"), Some("blue"));
    assert_eq!(note.directory, scratch.path().to_string_lossy());
    if under_test::is_ours()? {
        for (signal, name) in
            [(libc::SIGPIPE, "SIGPIPE"), (libc::SIGCHLD, "SIGCHLD"), (libc::SIGUSR1, "SIGUSR1")]
        {
            assert!(!note.has_signal("SigIgn:", signal), "{name} is ignored");
            assert!(!note.has_signal("SigBlk:", signal), "{name} is blocked");
        }
        assert!(note.status.contains("Umask:\t0022"));
        assert_eq!(note.oom_score_adj, process::proc_file(1, "oom_score_adj").trim());
    }
    Ok(())
}

#[test]
fn the_exit_command_waits_for_its_delay_and_the_exit_file_does_not() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.set("--exit-delay", "1");
    let session = call.running()?;
    session.exit_code()?;
    assert!(!session.paths.exit_note.exists());
    // When it was, not when a busy machine let us see it.
    let exited = std::fs::metadata(session.exit_file()).unwrap().modified().unwrap();
    let exited = exited.duration_since(UNIX_EPOCH).unwrap();
    let note = session.exit_note()?;
    assert!(Duration::from_micros(note.time) > exited + Duration::from_millis(900));
    Ok(())
}

#[test]
fn the_attach_socket_is_gone_when_the_exit_command_runs() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("true"))?.running()?;
    session.exit_note()?;
    assert!(!session.paths.bundle.join("attach").exists());
    Ok(())
}

#[test]
fn an_exit_command_that_cannot_run_changes_nothing() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?;
    let session = call.set("--exit-command", "/nonexistent/podman").running()?;
    assert_eq!(session.exit_code()?, 5);
    session.monitor_gone()
}

#[test]
fn path_is_not_searched_for_the_exit_command() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.no_exit_command();
    let made = scratch.join("made-by-touch");
    let call = call.set("--exit-command", "touch").add("--exit-command-arg", &made);
    let session = call.running()?;
    assert_eq!(session.exit_code()?, 5);
    session.monitor_gone()?;
    assert!(!made.exists());
    Ok(())
}

#[test]
fn nor_is_it_after_a_failed_creation() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.no_exit_command();
    let made = scratch.join("made-by-touch");
    let call = call.set("--exit-command", "touch").add("--exit-command-arg", &made);
    let call = call.env("SMALL_RUNTIME_EXIT", "1").env("SMALL_RUNTIME_STDERR", "no");
    let mut session = call.spawn()?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().value, -1);
    session.monitor_gone()?;
    assert!(!made.exists());
    Ok(())
}

#[test]
fn the_status_of_the_exit_command_is_not_the_monitors() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.no_exit_command();
    let call = call.set("--exit-command", "/bin/sh").add("--exit-command-arg", "-c");
    let ran = scratch.join("ran");
    let script = format!("echo > {}; exit 7", ran.display());
    let mut session = call.add("--exit-command-arg", script).flag("--sync").spawn()?;
    session.release()?;
    session.pid()?;
    session.start()?;
    assert_eq!(session.foreground()?.status, 5);
    assert!(ran.exists());
    Ok(())
}

#[test]
fn a_failed_creation_runs_the_exit_command() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let call = call.env("SMALL_RUNTIME_EXIT", "1").env("SMALL_RUNTIME_STDERR", "no");
    let (read, write) = sys::pipe().unwrap();
    let mut session = call.inherit(read).inherit(write).spawn()?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().value, -1);
    let note = session.exit_note()?;
    assert!(note.fds.keys().eq(&[0, 1, 2]), "{:?}", note.fds);
    assert!(note.fds.values().all(|target| target == "/dev/null"), "{:?}", note.fds);
    if under_test::is_ours()? {
        assert!(!note.has_signal("SigIgn:", libc::SIGPIPE), "{}", note.status);
        assert!(note.status.contains("SigBlk:\t0000000000000000"), "{}", note.status);
    }
    session.monitor_gone()?;
    assert!(!session.exit_file().exists(), "there was no container that could exit");
    Ok(())
}

#[test]
fn an_exit_directory_that_is_missing_does_not_stop_the_exit_command() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?;
    let session = call.set("--exit-dir", scratch.join("missing")).running()?;
    session.exit_note()?;
    session.monitor_gone()
}
