//! What a client, a container or an engine gone wrong may write, and what must not come of it.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use tests::{Call, Client, Container, Result, Scratch, Session, ours_only, process, sys, wait};

/// A container that answers, to see that it still does.
fn echo(scratch: &Scratch, container: Container) -> Result<Session> {
    let call = Call::create(scratch, &container)?.flag("--leave-stdin-open");
    call.running()
}

fn still_answers(session: &Session, word: &str) -> Result {
    let mut client = session.attach()?;
    client.send(format!("{word}\n").as_bytes())?;
    client.expect(word)
}

#[test]
fn packets_of_any_size_are_input_and_nothing_more() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = echo(&scratch, Container::sh("exec cat").stdin())?;
    let client = session.attach()?;
    for size in [1, 2, 4095, 8193, 32769, 65537, 150_000] {
        client.send(&vec![0xff; size])?;
    }
    still_answers(&session, "alive")
}

#[test]
fn descriptors_sent_along_are_not_kept() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = echo(&scratch, Container::sh("exec cat").stdin())?;
    still_answers(&session, "ready")?;
    let count = || scratch.monitors().iter().map(|monitor| monitor.fds().len()).sum::<usize>();
    let socket = connect(&session)?;
    let before = count();
    for _ in 0..100 {
        sys::send_fd(&socket, fs::File::open("/dev/null").unwrap().as_fd(), b"x").unwrap();
    }
    still_answers(&session, "alive")?;
    wait::until("the number of descriptors to be small", || {
        Ok((count() < before + 10).then_some(()))
    })
}

fn connect(session: &Session) -> Result<std::os::fd::OwnedFd> {
    let path = session.paths.bundle.join("attach");
    Ok(sys::connect(libc::SOCK_SEQPACKET, &path).unwrap())
}

#[test]
fn a_socket_of_another_kind_cannot_attach() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = echo(&scratch, Container::sh("exec cat").stdin())?;
    assert!(UnixStream::connect(session.paths.bundle.join("attach")).is_err());
    still_answers(&session, "alive")
}

#[test]
fn a_thousand_clients_at_once_do_no_harm() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = echo(&scratch, Container::sh("exec cat").stdin())?;
    let mut crowd = Vec::new();
    for _ in 0..1000 {
        // Refused or disconnected is fine; stuck is not.
        crowd.extend(Client::connect(&session.paths.bundle));
    }
    drop(crowd);
    still_answers(&session, "alive")?;
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    session.monitor_gone()?;
    scratch.no_monitor_left()
}

#[test]
fn clients_may_come_and_go_by_the_hundred() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("cat").stdin())?.flag("--leave-stdin-open");
    let session = call.running()?;
    for _ in 0..200 {
        session.attach()?.send(b"x")?;
    }
    session.log_until("all of the input", |log| {
        log.iter().map(|record| record.content.len()).sum::<usize>() == 200
    })?;
    let fds = |pid: i32| tests::process::fds(pid).len();
    let monitor = session.monitor()?;
    wait::until("the clients' descriptors to be closed", || Ok((fds(monitor) < 40).then_some(())))?;
    Ok(())
}

#[test]
fn a_flood_of_commands_is_taken_and_the_last_one_counts() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = "stty -echo; while read x; do echo \"$x is $(stty size)\"; done";
    let session = echo(&scratch, Container::sh(script).terminal())?;
    for round in 0..20_000 {
        let line = if round % 2 == 0 { "1 5 6\n" } else { "\0\u{7f} 1 1 1\n" };
        wait::until("room in the FIFO", || Ok(session.write_fifo("ctl", line.as_bytes()).ok()))?;
    }
    wait::until("room in the FIFO", || Ok(session.write_fifo("ctl", b"1 7 8\n").ok()))?;
    let mut client = session.attach()?;
    let mut question = 0;
    wait::until("the last size", || {
        question += 1;
        client.send(format!("q{question}\n").as_bytes())?;
        client.expect(format!("q{question} is "))?;
        client.read_while("a line", |client| !client.stdout.ends_with(b"\n"))?;
        Ok(client.stdout.ends_with(b" is 7 8\r\n").then_some(()))
    })
}

#[test]
fn sizes_for_a_container_without_terminal_never_fill_anything() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = echo(&scratch, Container::sh("exec cat").stdin())?;
    for _ in 0..20_000 {
        wait::until("room in the FIFO", || Ok(session.write_fifo("ctl", b"1 24 80\n").ok()))?;
    }
    still_answers(&session, "alive")
}

#[test]
fn a_pid_file_of_an_earlier_run_is_not_believed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    // A command that failed, with the pid file of a process long dead.
    let call = Call::exec(&scratch, &container, &Container::new(["no-such-command"]))?;
    fs::write(&call.paths().container_pid, "4194303").unwrap();
    let mut session = call.spawn()?;
    session.release()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.value, -1, "{message:?}");
    Ok(())
}

#[test]
fn a_pid_file_that_the_runtime_did_not_touch_is_not_believed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call =
        Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_PID_FILE", "none");
    // It names a process that lives, but not the container's.
    let path = call.paths().container_pid.clone();
    fs::write(&path, std::process::id().to_string()).unwrap();
    let mut session = call.spawn()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.value, -1, "{message:?}");
    assert!(message.text.unwrap().contains(&*path.to_string_lossy()));
    session.exit_note()?;
    session.monitor_gone()
}

#[test]
fn a_pid_file_with_garbage_names_no_process() -> Result {
    ours_only!();
    for garbage in ["-1", "1x", "99999999999999999999", "\0", " "] {
        let scratch = Scratch::new()?;
        let call =
            Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_PID_FILE", "none");
        let mut session = {
            fs::write(&call.paths().container_pid, garbage).unwrap();
            call.spawn()?
        };
        session.release()?;
        let message = session.message()?.unwrap();
        assert!(message.value <= 0, "{garbage:?} gave {message:?}");
        session.monitor_gone()?;
    }
    Ok(())
}

#[test]
fn words_that_are_no_text_still_make_a_message() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let runtime = scratch.join("broken");
    fs::write(&runtime, "#!/bin/sh\nprintf 'bad \\377\\376 bytes' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut session =
        Call::create(&scratch, &Container::sh("true"))?.set("-r", &runtime).spawn()?;
    session.release()?;
    let message = session.message()?.unwrap();
    let text = String::from_utf8(message.raw).expect("JSON is UTF-8");
    assert!(text.contains("bad ") && text.contains(" bytes"), "{text}");
    Ok(())
}

#[test]
fn options_may_hold_any_bytes_in_any_locale() -> Result {
    ours_only!();
    use std::os::unix::ffi::OsStrExt;
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?.env("LC_ALL", "C");
    let call = call
        .add("--exit-command-arg", "ünïcode")
        .add("--exit-command-arg", std::ffi::OsStr::from_bytes(b"\xff"));
    let session = call.running()?;
    assert_eq!(session.exit_note()?.arguments()[4..], ["ünïcode", "\u{fffd}"]);
    Ok(())
}

#[test]
fn an_empty_sync_pipe_variable_is_no_sync_pipe() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call =
        Call::create(&scratch, &Container::sh("exit 5"))?.no_sync_pipe().env("_OCI_SYNCPIPE", "");
    let mut session = call.spawn()?;
    session.release()?;
    session.backgrounded()?;
    wait::until("the container to be known", || Ok(session.start().ok()))?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn a_log_that_is_a_directory_entry_of_another_kind_is_left_alone() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let target = scratch.join("target.log");
    let call = Call::create(&scratch, &Container::sh("seq 1 100"))?;
    std::os::unix::fs::symlink(&target, &call.paths().log).unwrap();
    let session = call.running()?;
    session.exit_code()?;
    assert!(fs::symlink_metadata(&session.paths.log).unwrap().is_symlink());
    assert_eq!(tests::k8s_log::parse(&fs::read(&target).unwrap())?.len(), 100);
    Ok(())
}

#[test]
fn roles_hold_no_more_than_they_need() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = echo(&scratch, Container::sh("exec cat").stdin())?;
    let mut client = session.attach()?;
    client.send(b"hello\n")?;
    client.expect("hello\n")?;
    for role in scratch.monitors().iter().filter(|process| process.name != "exit-reaper") {
        let files = process::fds(role.pid);
        assert!(
            !files.values().any(|target| target.contains("/attach")),
            "{}: {files:?}",
            role.name
        );
        assert!(files.len() < 24, "{}: {files:?}", role.name);
    }
    Ok(())
}
