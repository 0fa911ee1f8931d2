//! The attach socket: what clients see, what reaches the container, and how input ends.

use std::thread;

use tests::attach::PIECE;
use tests::{Call, Client, Container, Result, Scratch, Session, under_test};

fn cat(scratch: &Scratch) -> Result<Session> {
    Call::create(scratch, &Container::sh("cat; echo end").stdin())?.running()
}

/// Sends from a thread of its own and reads until the monitor closes.
fn exchange(client: &mut Client, input: &[u8]) -> Result {
    let sender = client.sender()?;
    thread::scope(|scope| {
        let sending =
            scope.spawn(move || sender.send_all(input).and_then(|()| sender.half_close()));
        client.read_to_end()?;
        sending.join().unwrap()
    })
}

/// Bytes in which every gap, repetition or swap shows.
fn pattern(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn a_client_that_came_before_the_start_sees_every_byte() -> Result {
    for _ in 0..5 {
        let scratch = Scratch::new()?;
        let session =
            Call::create(&scratch, &Container::sh("seq 1 5000; echo oops >&2"))?.created()?;
        let mut client = session.attach()?;
        session.start()?;
        client.read_to_end()?;
        let expected: String = (1..=5000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8_lossy(&client.stdout), expected);
        assert_eq!(client.stderr, b"oops\n");
    }
    Ok(())
}

#[test]
fn each_packet_names_its_stream_and_is_short_enough_for_podman() -> Result {
    let scratch = Scratch::new()?;
    let script = "head -c 100000 /dev/zero; head -c 100000 /dev/zero >&2";
    let session = Call::create(&scratch, &Container::sh(script))?.created()?;
    let mut client = session.attach()?;
    session.start()?;
    while let Some(packet) = client.packet()? {
        assert!([2, 3].contains(&packet.stream));
        assert!(
            (1..=8192).contains(&packet.bytes.len()),
            "a packet of {} bytes",
            packet.bytes.len()
        );
    }
    assert_eq!((client.stdout.len(), client.stderr.len()), (100_000, 100_000));
    Ok(())
}

#[test]
fn what_a_client_sends_comes_out_of_the_container() -> Result {
    let scratch = Scratch::new()?;
    let session = cat(&scratch)?;
    let mut client = session.attach()?;
    client.send(b"one\n")?;
    client.expect("one\n")?;
    client.send(b"two\n")?;
    client.expect("one\ntwo\n")?;
    client.half_close()?;
    client.read_to_end()?;
    assert_eq!(client.stdout, b"one\ntwo\nend\n", "output goes on after the end of input");
    assert_eq!(session.exit_code()?, 0);
    Ok(())
}

#[test]
fn ten_megabytes_go_in_and_come_back_unchanged() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("cat").stdin())?.set("-l", "none");
    let session = call.running()?;
    let mut client = session.attach()?;
    let input = pattern(10_000_000);
    exchange(&mut client, &input)?;
    assert!(client.stdout == input, "{} bytes came back", client.stdout.len());
    assert_eq!(session.exit_code()?, 0);
    Ok(())
}

#[test]
fn a_container_that_reads_slowly_gets_everything() -> Result {
    let scratch = Scratch::new()?;
    let script = "sleep 0.3; cat | cksum";
    let session = Call::create(&scratch, &Container::sh(script).stdin())?.created()?;
    let mut client = session.attach()?;
    session.start()?;
    exchange(&mut client, &[b'x'; 1_000_000])?;
    let said = String::from_utf8_lossy(&client.stdout).into_owned();
    assert!(said.ends_with(" 1000000\n"), "{said}");
    Ok(())
}

#[test]
fn a_packet_of_32_kilobytes_arrives_whole() -> Result {
    let scratch = Scratch::new()?;
    let session = cat(&scratch)?;
    let mut client = session.attach()?;
    let input = pattern(32768);
    client.send(&input)?;
    client.half_close()?;
    client.read_to_end()?;
    assert!(client.stdout[..client.stdout.len() - 4] == input);
    Ok(())
}

#[test]
fn all_clients_see_all_output() -> Result {
    let scratch = Scratch::new()?;
    let session = cat(&scratch)?;
    let mut clients = [session.attach()?, session.attach()?, session.attach()?];
    // Each says something, so that the monitor is known to have accepted all of them.
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(format!("{index} is here\n").as_bytes())?;
        client.expect(format!("{index} is here\n"))?;
    }
    clients[1].send(b"to all\n")?;
    for client in &mut clients {
        client.expect("to all\n")?;
    }
    clients[0].half_close()?;
    for client in &mut clients {
        client.read_to_end()?;
        assert!(client.stdout.ends_with(b"end\n"));
    }
    Ok(())
}

#[test]
fn a_client_that_goes_does_not_disturb_the_others() -> Result {
    let scratch = Scratch::new()?;
    let call =
        Call::create(&scratch, &Container::sh("cat; echo end").stdin())?.flag("--leave-stdin-open");
    let session = call.running()?;
    let mut stays = session.attach()?;
    let goes = session.attach()?;
    goes.send(b"farewell\n")?;
    drop(goes);
    stays.expect("farewell\n")?;
    stays.send(b"still here\n")?;
    stays.expect("still here\n")?;
    session.kill("KILL")?;
    stays.read_to_end()?;
    assert_eq!(session.exit_code()?, 137);
    Ok(())
}

#[test]
fn the_end_of_a_clients_input_ends_the_containers() -> Result {
    for end in ["half-close", "close"] {
        let scratch = Scratch::new()?;
        let session = cat(&scratch)?;
        let client = session.attach()?;
        client.send(b"last words\n")?;
        if end == "half-close" {
            client.half_close()?;
            assert_eq!(session.exit_code()?, 0, "{end}");
        }
        drop(client);
        if end == "close" && under_test::is_original()? {
            continue; // It forgets the input's end when an echo to the closed client fails first.
        }
        assert_eq!(session.exit_code()?, 0, "{end}");
        assert_eq!(session.log()?.len(), 2, "{end}");
    }
    Ok(())
}

#[test]
fn an_empty_packet_ends_the_input_too() -> Result {
    let scratch = Scratch::new()?;
    let session = cat(&scratch)?;
    let mut client = session.attach()?;
    client.send(b"")?;
    client.read_to_end()?;
    assert_eq!(client.stdout, b"end\n");
    Ok(())
}

#[test]
fn stdin_may_be_left_open_for_the_next_client() -> Result {
    let scratch = Scratch::new()?;
    let call =
        Call::create(&scratch, &Container::sh("cat; echo end").stdin())?.flag("--leave-stdin-open");
    let session = call.running()?;
    for visit in ["first\n", "second\n", "third\n"] {
        let mut client = session.attach()?;
        client.send(visit.as_bytes())?;
        client.expect(visit)?;
        client.half_close()?;
    }
    assert!(!session.exit_file().exists());
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    assert_eq!(session.log()?.len(), 3);
    Ok(())
}

#[test]
fn a_container_without_stdin_reads_nothing() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("cat; echo end"))?.created()?;
    let mut client = session.attach()?;
    client.send(b"nobody reads this\n")?;
    session.start()?;
    client.read_to_end()?;
    assert_eq!(client.stdout, b"end\n");
    assert_eq!(session.exit_code()?, 0);
    Ok(())
}

#[test]
fn input_for_a_container_that_closed_its_stdin_is_dropped() -> Result {
    let scratch = Scratch::new()?;
    let script = "exec < /dev/null; echo ready; exec sleep 1000";
    let session = Call::create(&scratch, &Container::sh(script).stdin())?.created()?;
    let mut client = session.attach()?;
    session.start()?;
    client.expect("ready\n")?;
    client.send(b"too late\n")?;
    client.send(b"much too late\n")?;
    session.kill("TERM")?;
    client.read_to_end()?;
    assert_eq!(session.exit_code()?, 143);
    Ok(())
}

#[test]
fn a_client_may_come_late_and_sees_what_comes_after() -> Result {
    let scratch = Scratch::new()?;
    let session = cat(&scratch)?;
    let mut early = session.attach()?;
    early.send(b"early\n")?;
    early.expect("early\n")?;
    session.log_until("the early line", |log| !log.is_empty())?;
    let mut late = session.attach()?;
    late.send(b"late\n")?;
    late.expect("late\n")?;
    assert_eq!(late.stdout, b"late\n", "nothing is played again");
    Ok(())
}

#[test]
fn a_client_is_closed_before_the_exit_file_is_written() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    let mut client = session.attach()?;
    session.kill("KILL")?;
    session.exit_code()?;
    // No waiting: it has happened already.
    assert_eq!(client.packet_before(std::time::Instant::now())?, Some(None));
    Ok(())
}

#[test]
fn a_client_whose_input_nobody_takes_is_closed_before_it_too() -> Result {
    let scratch = Scratch::new()?;
    // Who has the input stays, and does not read it.
    let script = "sleep 1000 <&0 >/dev/null 2>&1 & exec sleep 1000";
    let session = Call::create(&scratch, &Container::sh(script).stdin())?.running()?;
    let mut client = session.attach()?;
    assert!(client.fill()? > 65536, "the pipe is full, and the socket");
    session.kill("KILL")?;
    session.exit_code()?;
    assert_eq!(client.packet_before(std::time::Instant::now())?, Some(None));
    Ok(())
}

#[test]
fn pieces_of_any_size_are_put_together_in_order() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("cat").stdin())?.set("-l", "none");
    let session = call.running()?;
    let mut client = session.attach()?;
    let input = pattern(200_000);
    let sender = client.sender()?;
    thread::scope(|scope| -> Result {
        let sending = scope.spawn(|| -> Result {
            let mut rest = &input[..];
            for size in (1..=PIECE).step_by(97).cycle() {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                if piece.is_empty() {
                    return sender.half_close();
                }
                sender.send(piece)?;
                rest = after;
            }
            Ok(())
        });
        client.read_to_end()?;
        sending.join().unwrap()
    })?;
    assert!(client.stdout == input);
    Ok(())
}
