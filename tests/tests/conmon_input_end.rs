//! The end of input is the end for everybody, and of input alone.

use std::thread;

use std::collections::BTreeSet;

use tests::process::fds;
use tests::{Call, Container, Result, Scratch, ours_only};

/// Answers each line, and says when its terminal got another size.
const ANSWER: &str = "stty -echo; trap 'echo resized' WINCH; echo ready; while :; do read x && echo \"got $x\"; done";

#[test]
fn one_clients_end_of_input_is_the_end_for_all() -> Result {
    let scratch = Scratch::new()?;
    let container = Container::sh("cat; echo end; read x; exec sleep 1000").stdin();
    let session = Call::create(&scratch, &container)?.created()?;
    let (mut stays, goes) = (session.attach()?, session.attach()?);
    session.start()?;
    stays.send(b"one\n")?;
    stays.expect("one\n")?;
    goes.half_close()?;
    stays.expect("one\nend\n")?;
    // Nobody takes this any more, and nobody minds.
    stays.send(b"two\n")?;
    session.kill("KILL")?;
    stays.read_to_end()?;
    assert_eq!(stays.stdout, b"one\nend\n");
    assert_eq!(session.exit_code()?, 137);
    Ok(())
}

#[test]
fn with_stdin_a_terminals_input_ends_and_its_output_goes_on() -> Result {
    let scratch = Scratch::new()?;
    let container = Container::sh(ANSWER).terminal().stdin();
    let session = Call::create(&scratch, &container)?.created()?;
    let mut first = session.attach()?;
    session.start()?;
    let monitor = session.monitor()?;
    first.expect("ready")?;
    first.send(b"one\n")?;
    first.expect("got one")?;
    first.half_close()?;
    // The end has been seen when what comes after it is not answered any more.
    tests::wait::until("the end of input to be seen", || {
        let sockets = || -> BTreeSet<String> { fds(monitor).into_values().collect() };
        let before = sockets();
        let mut late = session.attach()?;
        late.send(b"late\n")?;
        // Else it could miss the answer to what comes by another way.
        tests::wait::until("the connection to be accepted", || {
            Ok((!sockets().is_subset(&before)).then_some(()))
        })?;
        session.write_fifo("ctl", b"1 24 80\n")?;
        late.expect("resized")?;
        session.write_fifo("ctl", b"1 25 80\n")?;
        late.read_while("another size", |client| {
            String::from_utf8_lossy(&client.stdout).matches("resized").count() < 2
        })?;
        Ok((!String::from_utf8_lossy(&late.stdout).contains("got late")).then_some(()))
    })?;
    assert!(!session.exit_file().exists());
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    Ok(())
}

#[test]
fn who_is_still_sending_at_the_end_sees_all_output_nevertheless() -> Result {
    ours_only!();
    for container in [Container::sh("seq 1 1000"), Container::sh("head -c 1; seq 1 1000").stdin()] {
        for _ in 0..10 {
            let scratch = Scratch::new()?;
            let session = Call::create(&scratch, &container)?.created()?;
            let mut client = session.attach()?;
            let sender = client.sender()?;
            // As `yes | podman run -i`: until it is told that nobody takes it any more.
            let sending = thread::spawn(move || while sender.send(&[b'y'; 2000]).is_ok() {});
            session.start()?;
            session.exit_code()?;
            client.read_to_end()?;
            sending.join().unwrap();
            let said = String::from_utf8_lossy(&client.stdout).into_owned();
            assert!(said.ends_with("\n999\n1000\n"), "{} bytes: {said:?}", said.len());
        }
    }
    Ok(())
}
