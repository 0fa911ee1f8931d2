//! The log-writer of an exec session is started while its engine connects, before there is a hub or a process.

use std::net::TcpListener;

use tests::{Call, Client, Container, Result, Scratch, Session, ours_only, wait};

/// A session whose engine has been told that it may connect, and its log-writer; the container beside it is at rest.
fn waiting(scratch: &Scratch, process: &Container) -> Result<Session> {
    let container = Call::create(scratch, &Container::new(["sleep", "1000"]))?.running()?;
    scratch.idle()?;
    let mut session = Call::exec(scratch, &container, process)?.spawn()?;
    session.release()?;
    session.backgrounded()?;
    session.attach_message()?;
    wait::until("a log-writer", || Ok((writers(scratch) == 1).then_some(())))?;
    Ok(session)
}

fn writers(scratch: &Scratch) -> usize {
    scratch.monitors().iter().filter(|process| process.name == "log-writer").count()
}

fn finish(mut session: Session, mut client: Client) -> Result {
    session.release()?;
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
    let mut session = waiting(&scratch, &Container::sh(script).stdin())?;
    let first = scratch.monitors().into_iter().find(|process| process.name == "log-writer");
    let mut client = session.attach()?;
    session.release()?;
    client.expect("out\n")?;
    let all: Vec<i32> = scratch
        .monitors()
        .iter()
        .filter(|one| one.name == "log-writer")
        .map(|one| one.pid)
        .collect();
    assert_eq!(all, [first.unwrap().pid]);
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
    let session = waiting(&scratch, &short())?;
    assert_eq!(scratch.kill_role("log-writer"), 1);
    let client = session.attach()?;
    finish(session, client)
}

#[test]
fn it_may_have_waited_for_so_long_that_it_is_tired_of_it() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = waiting(&scratch, &short())?;
    // More than the three seconds after which one without work asks to be let go.
    std::thread::sleep(std::time::Duration::from_millis(3300));
    let client = session.attach()?;
    finish(session, client)
}

#[test]
fn it_ends_with_a_monitor_that_fails_or_is_killed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let mut session = waiting(&scratch, &Container::new(["no-such-command"]))?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().value, -1);
    wait::until("its end", || Ok((writers(&scratch) == 0).then_some(())))?;
    session.monitor_gone()?;

    let scratch = Scratch::new()?;
    let session = waiting(&scratch, &short())?;
    tests::sys::kill(session.monitor()?, libc::SIGKILL).unwrap();
    session.monitor_gone()?;
    wait::until("its end", || Ok((writers(&scratch) == 0).then_some(())))
}

#[test]
fn it_gets_no_descriptor_that_is_for_the_container() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let script = "echo out; echo err >&2; read x; exit 5";
    let call = Call::exec(&scratch, &container, &Container::sh(script).stdin())?;
    let mut session = call.inherit(listener.into()).spawn()?;
    session.release()?;
    session.attach_message()?;
    wait::until("a log-writer", || Ok((writers(&scratch) == 1).then_some(())))?;
    let writer = scratch.monitors().into_iter().find(|process| process.name == "log-writer");
    let fds = writer.unwrap().fds();
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
