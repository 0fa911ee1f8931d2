//! Streaming commands to and from containers: serveExec.

use tests::pod::Server;
use tests::stream::{Stream, channel};
use tests::{Container, Result, Scratch, ours_only, wait};
use tungstenite::Message;

fn sleeper() -> Container {
    Container::new(["sleep", "1000"])
}

const DONE: (u16, &str) = (1000, "done");

fn done(stream: &mut Stream) -> Result {
    let (code, reason) = stream.end()?;
    assert_eq!((code, &*reason), DONE);
    Ok(())
}

#[test]
fn output_comes_by_channel_and_the_status_after_it() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut stream =
        pod.stream(&container.stream(["sh", "-c", "echo out; echo err >&2; exit 7"]))?;
    assert_eq!(stream.protocol(), Some("v5.channel.k8s.io"));
    let mut last = 0;
    while let Some(message) = stream.message()? {
        if let Message::Binary(bytes) = message {
            assert!(last != channel::STATUS, "output after the status");
            last = bytes[0];
        }
    }
    assert_eq!(stream.closed, Some((1000, "done".to_owned())));
    assert_eq!((&*stream.text(1), &*stream.text(2)), ("out\n", "err\n"));
    assert_eq!(
        stream.text(channel::STATUS),
        "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code\",\
         \"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"7\"}]}}"
    );
    Ok(())
}

#[test]
fn success_is_said_to_those_who_know_it() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let success = "{\"metadata\":{},\"status\":\"Success\"}";
    for (offered, chosen, status) in [
        ("v4.channel.k8s.io", Some("v4.channel.k8s.io"), success),
        ("x, v5.channel.k8s.io, v4.channel.k8s.io", Some("v5.channel.k8s.io"), success),
        ("", None, ""),
    ] {
        let url = pod.exec_url(&container.stream(["true"]))?;
        let mut stream = Stream::open(&url, offered)?;
        assert_eq!(stream.protocol(), chosen);
        done(&mut stream)?;
        assert_eq!(stream.text(channel::STATUS), status);
    }
    Ok(())
}

#[test]
fn the_end_of_input_closes_stdin_and_the_session_goes_on() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut request = container.stream(["sh", "-c", "cat; echo the end; exit 3"]);
    request.stdin = true;
    let mut stream = pod.stream(&request)?;
    stream.send(channel::STDIN, "one\n")?;
    stream.send_message(Message::Ping("p".into()))?;
    stream.send_message(Message::text("no such message"))?;
    stream.expect(channel::STDOUT, "one\n")?;
    stream.send(channel::STDIN, b"t\0wo")?;
    stream.end_input()?;
    done(&mut stream)?;
    assert_eq!(stream.text(channel::STDOUT), "one\nt\0wothe end\n");
    assert!(stream.text(channel::STATUS).contains("\"message\":\"3\""));
    Ok(())
}

#[test]
fn megabytes_of_input_and_output_are_exact() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    // More than all buffers on the way hold: what comes back has to be read while it is sent.
    let sent: Vec<u8> = (0..6_000_000u32).map(|at| ((at * 7) >> 4) as u8).collect();
    let mut request = container.stream(["cat"]);
    request.stdin = true;
    let mut stream = pod.stream(&request)?;
    for piece in sent.chunks(100_000) {
        stream.send(channel::STDIN, piece)?;
        let so_far = stream.channel(channel::STDOUT).len() + piece.len();
        while stream.channel(channel::STDOUT).len() < so_far {
            stream.message()?;
        }
    }
    stream.end_input()?;
    done(&mut stream)?;
    assert!(stream.channel(channel::STDOUT) == sent, "{}", stream.channel(channel::STDOUT).len());

    let script = "head -c 5000000 /dev/zero; echo last";
    let mut stream = pod.stream(&container.stream(["sh", "-c", script]))?;
    done(&mut stream)?;
    assert_eq!(stream.channel(channel::STDOUT).len(), 5_000_005);
    assert!(stream.channel(channel::STDOUT).ends_with(b"\0last\n"));
    Ok(())
}

#[test]
fn a_terminal_is_resized_with_and_without_input() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    for stdin in [true, false] {
        let script = "trap 'stty size; exit 5' WINCH; echo ready >&2; while :; do sleep 0.01; done";
        let mut request = container.stream(["sh", "-c", script]);
        (request.tty, request.stdin) = (true, stdin);
        let mut stream = pod.stream(&request)?;
        stream.expect(channel::STDOUT, "ready\r\n")?;
        stream.send(channel::RESIZE, "no size")?;
        stream.send(channel::RESIZE, "{\"Width\":101,\"Height\":37}\n")?;
        done(&mut stream)?;
        assert_eq!(stream.text(channel::STDOUT), "ready\r\n37 101\r\n");
        assert_eq!(stream.text(channel::STDERR), "");
        assert!(stream.text(channel::STATUS).contains("\"message\":\"5\""));
    }
    Ok(())
}

#[test]
fn a_command_that_cannot_run_is_a_failure_with_the_reason() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut stream = pod.stream(&container.stream(["no-such-command"]))?;
    done(&mut stream)?;
    let status = stream.text(channel::STATUS);
    assert!(status.contains("\"reason\":\"InternalError\""), "{status}");
    assert!(status.contains("no-such-command"), "{status}");
    Ok(())
}

#[test]
fn output_that_is_not_wanted_is_not_sent() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut request = container.stream(["sh", "-c", "head -c 200000 /dev/zero; echo err >&2"]);
    request.stdout = false;
    let mut stream = pod.stream(&request)?;
    done(&mut stream)?;
    assert_eq!((stream.channel(1).len(), &*stream.text(2)), (0, "err\n"));
    Ok(())
}

#[test]
fn whoever_holds_the_output_open_does_not_delay_the_end() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut stream =
        pod.stream(&container.stream(["sh", "-c", "sleep 500 & echo said; exit 4"]))?;
    done(&mut stream)?;
    assert_eq!(stream.text(channel::STDOUT), "said\n");
    assert!(stream.text(channel::STATUS).contains("\"message\":\"4\""));
    Ok(())
}

#[test]
fn a_client_that_goes_leaves_nothing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let container = pod.running(&sleeper())?;
    for tty in [false, true] {
        let mut request = container.stream(["sh", "-c", "echo begun; cat; echo; sleep 0.01; echo"]);
        (request.stdin, request.tty) = (true, tty);
        let mut stream = pod.stream(&request)?;
        stream.expect(channel::STDOUT, "begun")?;
        drop(stream);
        wait::until("the command to end", || {
            let left = scratch.processes();
            Ok((!left.iter().any(|process| process.name == "cat")).then_some(()))
        })?;
    }
    scratch.idle()?;
    Ok(())
}

#[test]
fn an_id_that_is_no_container_is_refused() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut request = container.stream(["true"]);
    request.id = "nobody".into();
    let error = pod.client.serve_exec_container(&request).unwrap_err();
    assert_eq!(error.to_string(), "child not available");
    Ok(())
}

#[test]
fn a_server_that_ends_kills_the_command_and_says_so() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut stream = pod.stream(&container.stream(["sh", "-c", "echo begun; exec sleep 1000"]))?;
    // One that nobody ever begins does not keep it.
    pod.exec_url(&container.stream(["true"]))?;
    stream.expect(channel::STDOUT, "begun")?;
    pod.stop()?;
    done(&mut stream)?;
    assert!(stream.text(channel::STATUS).contains("\"message\":\"137\""));
    scratch.no_monitor_left()
}
