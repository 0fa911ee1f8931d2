//! Exec sessions: one more process in a container that runs, as podman (attached) and CRI-O (synchronous) make them.

use std::fs;

use tests::k8s_log::summary;
use tests::{Call, Client, Container, Result, Scratch, Session, ours_only};

fn sleeper(scratch: &Scratch) -> Result<Session> {
    Call::create(scratch, &Container::new(["sleep", "1000"]))?.running()
}

/// Goes through podman's steps: release, wait for readiness, attach, release.
fn attached(call: Call) -> Result<(Session, Client)> {
    let mut session = call.spawn()?;
    session.release()?;
    session.backgrounded()?;
    assert_eq!(session.attach_message()?.unwrap().value, 0);
    let client = session.attach()?;
    session.release()?;
    Ok((session, client))
}

#[test]
fn an_attached_session_loses_no_byte_of_a_short_command() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    for _ in 0..10 {
        let call =
            Call::exec(&scratch, &container, &Container::sh("echo out; echo err >&2; exit 5"))?;
        let (mut session, mut client) = attached(call)?;
        client.read_to_end()?;
        assert_eq!((&client.stdout[..], &client.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
        session.pid()?;
        assert_eq!(session.message()?.unwrap().value, 5);
        assert_eq!(session.exit_code()?, 5);
        session.exit_note()?;
    }
    Ok(())
}

#[test]
fn input_reaches_the_command() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let (session, mut client) =
        attached(Call::exec(&scratch, &container, &Container::sh("cat; exit 3").stdin())?)?;
    client.send(b"hello\n")?;
    client.expect("hello\n")?;
    client.half_close()?;
    client.read_to_end()?;
    assert_eq!(session.exit_code()?, 3);
    Ok(())
}

#[test]
fn ten_megabytes_come_out_of_a_session() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let script = "head -c 10000000 /dev/zero | tr '\\0' x; echo end >&2";
    let (session, mut client) =
        attached(Call::exec(&scratch, &container, &Container::sh(script))?)?;
    client.read_to_end()?;
    assert_eq!(client.stdout.len(), 10_000_000);
    assert!(client.stdout.iter().all(|byte| *byte == b'x'));
    assert_eq!(client.stderr, b"end\n");
    assert_eq!(session.exit_code()?, 0);
    Ok(())
}

#[test]
fn a_session_may_have_a_terminal() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let process =
        Container::sh("test -t 0 && read x && echo \"got $x\"; exit 3").terminal().stdin();
    let (mut session, mut client) = attached(Call::exec(&scratch, &container, &process)?)?;
    client.send(b"hello\n")?;
    client.expect("got hello\r\n")?;
    session.pid()?;
    assert_eq!(session.message()?.unwrap().value, 3);
    assert_eq!(session.exit_code()?, 3);
    Ok(())
}

#[test]
fn a_short_command_with_a_terminal_is_not_lost() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    for _ in 0..10 {
        let process = Container::sh("echo hello; exit 3").terminal();
        let (mut session, mut client) = attached(Call::exec(&scratch, &container, &process)?)?;
        client.read_to_end()?;
        assert_eq!(client.stdout, b"hello\r\n");
        session.pid()?;
        assert_eq!(session.message()?.unwrap().value, 3);
    }
    Ok(())
}

#[test]
fn a_detached_session_goes_on_without_any_client() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let mut session =
        Call::exec(&scratch, &container, &Container::sh("seq 1 100000; exit 5"))?.spawn()?;
    session.release()?;
    session.release()?;
    session.pid()?;
    assert_eq!(session.message()?.unwrap().value, 5);
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn a_session_may_end_by_a_signal() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let (mut session, mut client) =
        attached(Call::exec(&scratch, &container, &Container::sh("kill -9 $$"))?)?;
    client.read_to_end()?;
    session.pid()?;
    assert_eq!(session.message()?.unwrap().value, 137);
    Ok(())
}

#[test]
fn many_sessions_run_at_once() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let mut sessions = Vec::new();
    for number in 0..10 {
        let script = format!("read x; echo {number} $x; exit {number}");
        sessions.push(attached(Call::exec(&scratch, &container, &Container::sh(script).stdin())?)?);
    }
    for (number, (session, client)) in sessions.iter_mut().enumerate() {
        client.send(b"go\n")?;
        client.read_to_end()?;
        assert_eq!(client.stdout, format!("{number} go\n").as_bytes());
        assert_eq!(session.exit_code()?, number as i32);
    }
    Ok(())
}

#[test]
fn a_command_that_cannot_run_is_reported_in_the_runtimes_words() -> Result {
    ours_only!("Told since 2.2.0.");
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let mut session =
        Call::exec(&scratch, &container, &Container::new(["no-such-command"]))?.spawn()?;
    session.release()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.value, -1);
    let text = message.text.unwrap();
    assert!(
        text.contains("exec: \"no-such-command\": executable file not found in $PATH"),
        "{text}"
    );
    session.exit_note()?;
    session.monitor_gone()
}

/// CRI-O's exec-sync: API 0, no bundle, a log file for the output, the status on the sync pipe.
fn exec_sync(scratch: &Scratch, container: &Session, process: &Container) -> Result<Call> {
    let call = Call::exec(scratch, container, process)?
        .api_0()
        .without("--exec-attach")
        .without("-u")
        .without("-b");
    fs::write(&call.paths().container_pid, "").unwrap();
    let log = call.paths().log.clone();
    Ok(call.set("-l", log).flag("--sync").no_attach_pipe().no_start_pipe())
}

#[test]
fn a_synchronous_session_leaves_its_output_in_a_log() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let mut session = exec_sync(
        &scratch,
        &container,
        &Container::sh("echo out; sleep 0.1; echo err >&2; exit 5"),
    )?
    .spawn()?;
    assert_eq!(session.message()?.unwrap().raw, b"{\"exit_code\": 5}\n");
    assert_eq!(session.foreground()?.status, 5);
    assert_eq!(summary(&session.log()?), ["stdout F out", "stderr F err"]);
    Ok(())
}

#[test]
fn a_synchronous_session_that_takes_too_long_says_so() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let call = exec_sync(&scratch, &container, &Container::new(["sleep", "1000"]))?;
    let mut session = call.set("-T", "1").spawn()?;
    let message = session.message()?.unwrap();
    assert_eq!((message.key.as_str(), message.value), ("exit_code", -1));
    assert_eq!(message.text.as_deref(), Some("command timed out"));
    session.foreground()?;
    Ok(())
}

#[test]
fn a_synchronous_session_that_cannot_run_leaves_the_runtimes_words_in_the_log() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let mut session =
        exec_sync(&scratch, &container, &Container::new(["no-such-command"]))?.spawn()?;
    let message = session.message()?.unwrap();
    assert_eq!((message.key.as_str(), message.value), ("exit_code", -1));
    session.foreground()?;
    ours_only!("The words are in the log since 2.2.0.");
    let log = summary(&session.log()?).join("\n");
    assert!(log.contains("executable file not found in $PATH"), "{log}");
    Ok(())
}

#[test]
fn a_runtime_that_fails_after_the_command_started_does_not_hide_its_status() -> Result {
    ours_only!("So since 2.2.0.");
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let call = Call::exec(&scratch, &container, &Container::sh("exit 6"))?
        .env("SMALL_RUNTIME_EXIT_AFTER", "1");
    let mut session = call.spawn()?;
    session.release()?;
    session.release()?;
    session.pid()?;
    assert_eq!(session.message()?.unwrap().value, 6);
    Ok(())
}

#[test]
fn the_container_goes_on_after_its_sessions() -> Result {
    let scratch = Scratch::new()?;
    let container = sleeper(&scratch)?;
    let (session, mut client) =
        attached(Call::exec(&scratch, &container, &Container::sh("true"))?)?;
    client.read_to_end()?;
    session.monitor_gone()?;
    assert!(!session.paths.bundle.join("attach").exists());
    assert!(!container.exit_file().exists());
    container.kill("TERM")?;
    assert_eq!(container.exit_code()?, 143);
    Ok(())
}
