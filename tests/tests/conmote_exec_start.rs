//! The log-writer of an exec session is started while its engine connects, before there is a hub or a process.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Call, Client, Container, Result, Scratch, Session, ours_only, process, wait};

const WRITER: &str = "log-writer";

/// A call for this process in a container that is at rest.
fn call(scratch: &Scratch, process: &Container) -> Result<Call> {
    let container = Call::create(scratch, &Container::new(["sleep", "1000"]))?.running()?;
    scratch.idle()?;
    Call::exec(scratch, &container, process)
}

/// A session whose engine has been told that it may connect, and its log-writer.
fn waiting(scratch: &Scratch, call: Call) -> Result<(Session, i32)> {
    let mut session = call.spawn()?;
    session.release()?;
    session.backgrounded()?;
    session.attach_message()?;
    let writer = wait::until("a log-writer", || Ok(scratch.monitors_named(WRITER).pop()))?;
    Ok((session, writer.pid))
}

fn writer_gone(scratch: &Scratch) -> Result {
    wait::until("its end", || Ok(scratch.monitors_named(WRITER).is_empty().then_some(())))
}

/// What `short` prints arrives, and its status.
fn finish(mut session: Session, mut client: Client) -> Result {
    client.read_to_end()?;
    assert_eq!((&client.stdout[..], &client.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    session.pid()?;
    assert_eq!(session.message()?.unwrap().value, 5);
    session.monitor_gone()
}

fn short() -> Container {
    Container::sh("echo out; echo err >&2; exit 5")
}

#[test]
fn it_is_there_before_the_process_and_no_other_is_started() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let script = "echo out; read x; echo $x";
    let call = call(&scratch, &Container::sh(script).stdin())?;
    let (mut session, first) = waiting(&scratch, call)?;
    let began = Instant::now();
    let mut client = session.attach()?;
    session.release()?;
    client.expect("out\n")?;
    // On a machine where all that takes a second it has left, and there is another.
    if began.elapsed() < Duration::from_millis(500) {
        let all: Vec<i32> = scratch.monitors_named(WRITER).iter().map(|one| one.pid).collect();
        assert_eq!(all, [first]);
    }
    client.send(b"end\n")?;
    client.expect("end\n")?;
    client.read_to_end()?;
    session.pid()?;
    session.monitor_gone()
}

#[test]
fn it_may_be_killed_before_there_is_a_hub() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (mut session, _) = waiting(&scratch, call(&scratch, &short())?)?;
    assert_eq!(scratch.kill_role(WRITER), 1);
    let client = session.attach()?;
    session.release()?;
    finish(session, client)
}

#[test]
fn it_may_have_waited_for_so_long_that_it_is_tired_of_it() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (mut session, _) = waiting(&scratch, call(&scratch, &short())?)?;
    // More than the second after which one that was told nothing asks to be let go.
    thread::sleep(Duration::from_millis(1300));
    let client = session.attach()?;
    session.release()?;
    finish(session, client)
}

#[test]
fn it_does_not_stay_with_a_command_that_says_nothing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let silent = Container::sh("read x; echo out; echo err >&2; exit 5").stdin();
    let (mut session, _) = waiting(&scratch, call(&scratch, &silent)?)?;
    let client = session.attach()?;
    session.release()?;
    writer_gone(&scratch)?;
    client.send(b"go\n")?;
    finish(session, client)
}

#[test]
fn it_ends_with_a_monitor_that_fails_or_is_killed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (mut session, _) =
        waiting(&scratch, call(&scratch, &Container::new(["no-such-command"]))?)?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().value, -1);
    writer_gone(&scratch)?;
    session.monitor_gone()?;

    let scratch = Scratch::new()?;
    let (session, _) = waiting(&scratch, call(&scratch, &short())?)?;
    tests::sys::kill(session.monitor()?, libc::SIGKILL).unwrap();
    session.monitor_gone()?;
    writer_gone(&scratch)
}

#[test]
fn it_gets_no_descriptor_that_is_for_the_container() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = "echo out; echo err >&2; read x; exit 5";
    let call = call(&scratch, &Container::sh(script).stdin())?.inherit(listener.into());
    let (mut session, writer) = waiting(&scratch, call)?;
    let fds = process::fds(writer);
    let sockets = fds.values().filter(|fd| fd.starts_with("socket:")).count();
    assert_eq!(sockets, 1, "more than its link: {fds:?}");
    let mut client = session.attach()?;
    session.release()?;
    client.expect("out\n")?;
    assert!(TcpListener::bind(address).is_err(), "the port is reserved");
    client.send(b"end\n")?;
    assert_eq!(session.exit_code()?, 5);
    TcpListener::bind(address).expect("the port is free once the exit file is there");
    Ok(())
}
