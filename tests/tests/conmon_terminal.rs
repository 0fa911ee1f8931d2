//! Containers with a terminal: hand-over, output, input, and the size commands of the `ctl` and `winsz` FIFOs.

use tests::k8s_log::summary;
use tests::{Call, Client, Container, Result, Scratch, Session, ours_only, under_test};

/// A shell that prints what `stty` says whenever it reads a line.
const ASK: &str = "stty -echo; echo ready; while read x; do echo \"$x: $(stty size)\"; done";

fn terminal(scratch: &Scratch, script: &str) -> Result<(Session, Client)> {
    let session = Call::create(scratch, &Container::sh(script).terminal())?.created()?;
    let client = session.attach()?;
    session.start()?;
    Ok((session, client))
}

/// The size of the terminal as its container sees it, asked for with a line of input.
fn size(client: &mut Client, question: &str) -> Result<String> {
    client.send(format!("{question}\n").as_bytes())?;
    let start = format!("{question}: ");
    client.expect(&start)?;
    client.read_while("the rest of the line", |client| {
        let text = String::from_utf8_lossy(&client.stdout).into_owned();
        !text.split_once(&start).is_some_and(|(_, rest)| rest.contains('\n'))
    })?;
    let text = String::from_utf8_lossy(&client.stdout).into_owned();
    let (_, rest) = text.split_once(&start).unwrap();
    Ok(rest.lines().next().unwrap().to_owned())
}

/// Sends commands and asks for the size until it is the expected one: nobody answers a command.
fn resized(commands: &[&[u8]], expected: &str) -> Result {
    let scratch = Scratch::new()?;
    let (session, mut client) = terminal(&scratch, ASK)?;
    client.expect("ready")?;
    for command in commands {
        session.write_fifo("ctl", command)?;
    }
    let mut question = 0;
    tests::wait::until(format_args!("{expected} after {commands:?}"), || {
        question += 1;
        Ok((size(&mut client, &format!("q{question}"))? == expected).then_some(()))
    })
}

#[test]
fn the_container_has_a_terminal_and_its_lines_end_as_terminals_end_them() -> Result {
    let scratch = Scratch::new()?;
    let (session, mut client) =
        terminal(&scratch, "test -t 0 && test -t 1 && test -t 2 && echo yes; exit 5")?;
    client.read_to_end()?;
    assert_eq!(client.stdout, b"yes\r\n");
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(summary(&session.log()?), ["stdout F yes\r"]);
    Ok(())
}

#[test]
fn input_is_echoed_and_control_c_interrupts() -> Result {
    let scratch = Scratch::new()?;
    let (session, mut client) = terminal(&scratch, "echo ready; exec cat")?;
    client.expect("ready\r\n")?;
    client.send(b"hello\n")?;
    client.expect("hello\r\nhello\r\n")?;
    client.send(b"\x03")?;
    assert_eq!(session.exit_code()?, 130);
    Ok(())
}

#[test]
fn input_that_comes_before_the_start_is_kept() -> Result {
    let scratch = Scratch::new()?;
    let session =
        Call::create(&scratch, &Container::sh("read x; echo \"got $x\"").terminal())?.created()?;
    let mut client = session.attach()?;
    client.send(b"early\n")?;
    session.start()?;
    client.expect("got early")?;
    assert_eq!(session.exit_code()?, 0);
    Ok(())
}

#[test]
fn clients_may_leave_a_terminal_and_come_back() -> Result {
    let scratch = Scratch::new()?;
    let (session, mut client) =
        terminal(&scratch, "stty -echo; echo ready; while read x; do echo \"got $x\"; done")?;
    client.expect("ready")?;
    client.half_close()?;
    drop(client);
    for visit in ["one", "two"] {
        let mut client = session.attach()?;
        client.send(format!("{visit}\n").as_bytes())?;
        client.expect(format!("got {visit}"))?;
    }
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    Ok(())
}

#[test]
fn the_terminal_takes_the_size_asked_for() -> Result {
    resized(&[b"1 24 80\n"], "24 80")?;
    resized(&[b"1 3", b"3 44\n"], "33 44")?;
    ours_only!("Several in one read are understood since 2.2.0.");
    resized(&[b"1 10 20\n1 30 40\n"], "30 40")
}

#[test]
fn leading_zeros_and_words_after_the_size_do_not_matter() -> Result {
    ours_only!("Read this way since 2.2.0.");
    resized(&[b"1 0010 0020\n"], "10 20")?;
    resized(&[b"1 12 22 3\n"], "12 22")?;
    resized(&[b"1 1000 1000\n"], "1000 1000")
}

#[test]
fn the_winsz_fifo_takes_sizes_directly() -> Result {
    let scratch = Scratch::new()?;
    let (session, mut client) = terminal(&scratch, ASK)?;
    client.expect("ready")?;
    session.write_fifo("winsz", b"17 71\n")?;
    let mut question = 0;
    tests::wait::until("17 71", || {
        question += 1;
        Ok((size(&mut client, &format!("q{question}"))? == "17 71").then_some(()))
    })
}

#[test]
fn a_size_set_before_the_start_is_there_at_the_start() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh(ASK).terminal())?.created()?;
    session.write_fifo("ctl", b"1 13 31\n")?;
    let mut client = session.attach()?;
    session.start()?;
    client.expect("ready")?;
    tests::wait::until("13 31", || Ok((size(&mut client, "q")? == "13 31").then_some(())))
}

#[test]
fn garbage_does_not_resize_and_does_not_stop_later_commands() -> Result {
    // Older originals stumble over several of these for good.
    let ours = under_test::is_ours()?;
    let long = format!("1 2 2 {}\n", "#".repeat(65535 - 7));
    let garbage = [
        "foo\n",
        "999\n",
        "999 2 2\n",
        "1\n",
        "1 2\n",
        "\n",
        "1 -1 -1\n",
        "1 10.5 20.3\n",
        "1 0x10 0x20\n",
    ];
    let for_ours = ["1 1001 1000\n", "1 1000 1001\n", "1 99999999999999999999 5\n", &long];
    let garbage = garbage.into_iter().chain(for_ours.into_iter().filter(|_| ours));
    for line in garbage {
        if !ours && ["1 -1 -1\n", "1 10.5 20.3\n", "1 0x10 0x20\n"].contains(&line) {
            continue;
        }
        let scratch = Scratch::new()?;
        let (session, mut client) = terminal(&scratch, ASK)?;
        client.expect("ready")?;
        session.write_fifo("ctl", b"1 5 6\n")?;
        let mut question = 0;
        let mut until = |wanted: &str| {
            tests::wait::until(format_args!("{wanted} around {line:?}"), || {
                question += 1;
                let size = size(&mut client, &format!("q{question}"))?;
                assert!(
                    ["5 6", "7 8", "0 0"].contains(&size.as_str()),
                    "{line:?} made the size {size}"
                );
                Ok((size == wanted).then_some(()))
            })
        };
        until("5 6")?;
        // The monitor empties the FIFO in its own time.
        for part in line.as_bytes().chunks(4096) {
            tests::wait::until("room in the FIFO", || Ok(session.write_fifo("ctl", part).ok()))?;
        }
        tests::wait::until("room in the FIFO", || Ok(session.write_fifo("ctl", b"1 7 8\n").ok()))?;
        if ours {
            until("7 8")?;
        }
        session.kill("KILL")?;
        assert_eq!(session.exit_code()?, 137, "after {line:?}");
    }
    Ok(())
}

#[test]
fn a_size_for_a_container_without_terminal_does_nothing() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("read x; exit 5").stdin())?.running()?;
    session.write_fifo("ctl", b"1 24 80\n")?;
    session.write_fifo("ctl", b"1 25 81\n")?;
    session.attach()?.send(b"go\n")?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn a_terminal_that_never_comes_is_a_failure() -> Result {
    ours_only!("Told since 2.2.0.");
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true").terminal())?
        .env("SMALL_RUNTIME_NO_CONSOLE", "1");
    let mut session = call.spawn()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!(
        (message.value, message.text.as_deref()),
        (-1, Some("Runtime did not set up terminal"))
    );
    session.exit_note()?;
    session.monitor_gone()
}

#[test]
fn the_words_of_a_runtime_that_fails_with_a_terminal_reach_the_engine() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true").terminal())?;
    let mut session =
        call.env("SMALL_RUNTIME_STDERR", "no luck").env("SMALL_RUNTIME_EXIT", "1").spawn()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!((message.value, message.text.as_deref()), (-1, Some("no luck")));
    session.exit_note()?;
    session.monitor_gone()
}

#[test]
fn much_output_to_a_terminal_is_logged_and_seen_whole() -> Result {
    let scratch = Scratch::new()?;
    let (session, mut client) = terminal(&scratch, "stty -onlcr; seq 1 50000")?;
    client.read_to_end()?;
    let expected: String = (1..=50000).map(|number| format!("{number}\n")).collect();
    // The monitor turns the translation of newlines on again when it likes.
    let plain = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
    assert!(plain(&client.stdout) == expected);
    assert_eq!(session.exit_code()?, 0);
    assert!(plain(&tests::k8s_log::content(&session.log()?, "stdout")) == expected);
    Ok(())
}
