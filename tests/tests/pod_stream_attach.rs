//! Taking part in a container's own input and output: serveAttach.

use tests::pod::Server;
use tests::stream::{Stream, V5, channel};
use tests::{Container, Result, Scratch, ours_only, wait};

#[test]
fn several_clients_see_everything_until_the_container_ends() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let script = "while read line; do echo \"got $line\"; echo \"err $line\" >&2; done; exit 9";
    let container = pod.running(&Container::sh(script).stdin())?;
    let mut one = Stream::open(&pod.attach_url(&container, true)?, V5)?;
    let mut two = Stream::open(&pod.attach_url(&container, false)?, V5)?;
    let old = pod.attach(&container, true)?;
    one.send(channel::STDIN, "a\n")?;
    for stream in [&mut one, &mut two] {
        stream.expect(channel::STDOUT, "got a\n")?;
        stream.expect(channel::STDERR, "err a\n")?;
    }
    // From one that has no input this goes nowhere.
    two.send(channel::STDIN, "b\n")?;
    one.send(channel::STDIN, "c\n")?;
    two.expect(channel::STDOUT, "got c\n")?;
    // The end of one client's input is not the end of the container's.
    one.end_input()?;
    one.send(channel::STDIN, "late\n")?;
    old.send(b"d\n")?;
    two.expect(channel::STDOUT, "got d\n")?;
    old.half_close()?;
    for stream in [&mut one, &mut two] {
        assert_eq!(stream.end()?, (1000, "done".to_owned()));
        assert_eq!(stream.text(channel::STDOUT), "got a\ngot c\ngot d\n");
        assert_eq!(stream.text(channel::STDERR), "err a\nerr c\nerr d\n");
        assert_eq!(stream.text(channel::STATUS), "");
    }
    assert_eq!(container.exit()?, "9");
    Ok(())
}

#[test]
fn a_terminal_is_shared_and_resized() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let script = "while read line; do echo \"got $line\"; stty size; done";
    let container = pod.running(&Container::sh(script).stdin().terminal())?;
    let mut stream = Stream::open(&pod.attach_url(&container, true)?, V5)?;
    stream.send(channel::STDIN, "x\n")?;
    stream.expect(channel::STDOUT, "x\r\ngot x\r\n")?;
    stream.send(channel::RESIZE, "{\"Width\":99,\"Height\":33}")?;
    stream.send(channel::STDIN, "y\n")?;
    stream.expect(channel::STDOUT, "y\r\ngot y\r\n33 99\r\n")?;
    stream.send(channel::STDIN, [4])?;
    assert_eq!(stream.end()?, (1000, "done".to_owned()));
    Ok(())
}

#[test]
fn a_container_outlives_its_client_and_all_that_it_sent_arrives() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let container =
        pod.running(&Container::sh("while read line; do echo \"$line\"; done").stdin())?;
    let sent: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    let mut stream = Stream::open(&pod.attach_url(&container, true)?, V5)?;
    for piece in sent.as_bytes().chunks(50_000) {
        stream.send(channel::STDIN, piece)?;
    }
    stream.expect(channel::STDOUT, "line 19999\n")?;
    drop(stream);
    let mut stream = Stream::open(&pod.attach_url(&container, true)?, V5)?;
    stream.send(channel::STDIN, "last\n")?;
    drop(stream);
    let old = pod.attach(&container, true)?;
    wait::for_file(&container.log, "the last line", |log| {
        log.filter(|log| log.ends_with(b"last\n")).map(|_| ())
    })?;
    old.half_close()?;
    assert_eq!(container.exit()?, "0");
    assert!(container.logged("stdout")? == (sent + "last\n").into_bytes());
    scratch.idle()?;
    Ok(())
}

#[test]
fn an_id_that_is_no_container_is_refused() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let request = monitor::pod::types::ServeAttachContainerRequest {
        id: "nobody".into(),
        ..Default::default()
    };
    let error = pod.client.serve_attach_container(&request).unwrap_err();
    assert_eq!(error.to_string(), "child not available");
    Ok(())
}

#[test]
fn a_client_that_never_reads_delays_no_end_and_no_other() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let script = "while read line; do head -c 200000 /dev/zero; echo \"$line\"; done; exit 2";
    let container = pod.running(&Container::sh(script).stdin())?;
    let stuck = Stream::open(&pod.attach_url(&container, false)?, V5)?;
    let mut stream = Stream::open(&pod.attach_url(&container, true)?, V5)?;
    // More than all buffers on the way to the one that is stuck hold.
    for number in 0..50 {
        let line = format!("line {number}.\n");
        stream.send(channel::STDIN, &line)?;
        stream.expect(channel::STDOUT, &line)?;
    }
    pod.attach(&container, true)?.half_close()?;
    assert_eq!(stream.end()?, (1000, "done".to_owned()));
    assert_eq!(container.exit()?, "2");
    drop(stuck);
    Ok(())
}
