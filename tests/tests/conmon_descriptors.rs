//! What the runtime and the container inherit: descriptors, environment, signals, and what they must not.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use tests::{Call, Container, Result, Scratch, note, process, sys, under_test};

#[test]
fn the_pipes_are_not_passed_on_but_their_variables_are() -> Result {
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let call = Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_TRACE", &trace);
    let session = call.env("COLOUR", "blue").created()?;
    let note = note::wait_for_verb(&trace, "create")?;
    assert_eq!(note.fds.keys().copied().collect::<Vec<_>>(), [0, 1, 2], "{:?}", note.fds);
    assert_eq!(note.env("COLOUR"), Some("blue"));
    assert_eq!((note.env("_OCI_SYNCPIPE"), note.env("_OCI_STARTPIPE")), (Some("3"), Some("4")));
    drop(session);
    Ok(())
}

#[test]
fn inherited_descriptors_keep_their_numbers_in_the_runtime() -> Result {
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let (read, _write) = sys::pipe().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let call = Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_TRACE", &trace);
    let _session = call.inherit(read).inherit(listener.into()).created()?;
    let note = note::wait_for_verb(&trace, "create")?;
    assert!(note.fds[&3].starts_with("pipe:") && note.fds[&4].starts_with("socket:"));
    assert_eq!(note.fds.keys().max(), Some(&4), "{:?}", note.fds);
    Ok(())
}

#[test]
fn the_monitor_holds_inherited_descriptors_while_the_container_runs_and_not_longer() -> Result {
    for _ in 0..5 {
        let scratch = Scratch::new()?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let call = Call::create(&scratch, &Container::new(["sleep", "1000"]))?;
        let session = call.inherit(listener.into()).running()?;
        assert!(TcpListener::bind(address).is_err(), "the port is reserved");
        session.kill("KILL")?;
        session.exit_code()?;
        TcpListener::bind(address).expect("the port is free once the exit file is there");
    }
    Ok(())
}

#[test]
fn preserved_descriptors_reach_the_container() -> Result {
    let scratch = Scratch::new()?;
    let (read, write) = sys::pipe().unwrap();
    std::io::Write::write_all(&mut fs::File::from(write), b"through 3\n").unwrap();
    let call = Call::create(&scratch, &Container::sh("cat <&3"))?;
    let call = call.inherit(read).add("--runtime-opt", "--preserve-fds").add("--runtime-opt", "1");
    let session = call.running()?;
    let log = session.log_until("a line", |records| !records.is_empty())?;
    assert_eq!(log[0].content, b"through 3");
    Ok(())
}

#[test]
fn the_runtime_gets_a_plain_environment() -> Result {
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let call = Call::create(&scratch, &Container::sh("true"))?.umask(0o077);
    let session = call.env("SMALL_RUNTIME_TRACE", &trace).created()?;
    let note = note::wait_for_verb(&trace, "create")?;
    assert_eq!(note.fds[&0], "/dev/null");
    assert!(note.fds[&1].starts_with("pipe:") && note.fds[&2].starts_with("pipe:"));
    assert_ne!(note.fds[&1], note.fds[&2]);
    assert_eq!(note.directory, scratch.path().to_string_lossy());
    assert_eq!(note.parent, session.monitor()?);
    assert!(note.status.contains("SigBlk:\t0000000000000000"), "{}", note.status);
    if under_test::is_ours()? {
        assert!(note.status.contains("Umask:\t0022"), "{}", note.status);
        assert!(!note.has_signal("SigIgn:", libc::SIGPIPE), "{}", note.status);
        assert_eq!(note.oom_score_adj, process::proc_file(1, "oom_score_adj").trim());
    }
    Ok(())
}

#[test]
fn any_user_of_the_container_may_reopen_its_stdio() -> Result {
    let scratch = Scratch::new()?;
    let mut session = Call::create(&scratch, &Container::sh("sleep 1000").stdin())?.spawn()?;
    session.release()?;
    let pid = session.pid()?;
    for number in 0..3 {
        let mode = fs::metadata(format!("/proc/{pid}/fd/{number}")).unwrap().permissions().mode();
        // 2.1.6 is one of the few releases that forgot.
        if under_test::is_ours()? {
            assert_eq!(mode & 0o777, 0o777, "descriptor {number}");
        }
        assert_eq!(mode & libc::S_IFMT, libc::S_IFIFO, "descriptor {number}");
    }
    Ok(())
}

#[test]
fn listen_pid_is_set_to_the_runtimes_own_when_asked() -> Result {
    let listen_pid = |change: fn(Call) -> Call| -> Result<(String, i32)> {
        let scratch = Scratch::new()?;
        let trace = scratch.join("trace");
        let call =
            Call::create(&scratch, &Container::sh("true"))?.env("SMALL_RUNTIME_TRACE", &trace);
        let _session = change(call).env("LISTEN_PID", "1").created()?;
        let note = note::wait_for_verb(&trace, "create")?;
        Ok((note.env("LISTEN_PID").unwrap().to_owned(), note.pid))
    };
    let (value, pid) = listen_pid(|call| call.flag("--replace-listen-pid"))?;
    assert_eq!(value, pid.to_string());
    let (value, _) = listen_pid(|call| call)?;
    assert_eq!(value, "1");
    Ok(())
}

#[test]
fn sockets_that_were_addressed_to_the_monitor_are_for_the_runtime() -> Result {
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    // The pid of a shell stays that of the program it executes, which with --sync makes no other process of itself.
    let wrapper = scratch.join("monitor");
    let monitor = under_test::binary()?;
    let script = format!("#!/bin/sh\nLISTEN_PID=$$ exec {} \"$@\"\n", monitor.display());
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let call = Call::create(&scratch, &Container::sh("true"))?.flag("--sync").program(&wrapper);
    let call = call.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", "web");
    let mut session = call.env("SMALL_RUNTIME_TRACE", &trace).spawn()?;
    session.release()?;
    session.pid()?;
    let note = note::wait_for_verb(&trace, "create")?;
    assert_eq!(note.parent, session.foreground_pid());
    assert_eq!(note.env("LISTEN_PID"), Some(&*note.pid.to_string()));
    assert_eq!((note.env("LISTEN_FDS"), note.env("LISTEN_FDNAMES")), (Some("1"), Some("web")));
    Ok(())
}

#[test]
fn a_listen_pid_that_is_no_pid_fails_the_creation() -> Result {
    let scratch = Scratch::new()?;
    let mut session =
        Call::create(&scratch, &Container::sh("true"))?.env("LISTEN_PID", "junk").spawn()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.value, -1);
    assert!(message.text.unwrap().contains("Invalid LISTEN_PID junk"));
    Ok(())
}
