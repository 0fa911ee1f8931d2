//! Whoever connects to a streaming session without being its client, or does what no client may.

use std::io::{Read, Write};
use std::thread;

use tests::pod::Server;
use tests::stream::{Stream, V5, address, channel, connect, raw};
use tests::{Container, Result, Scratch, ours_only, wait};
use tungstenite::Message;

fn sleeper() -> Container {
    Container::new(["sleep", "1000"])
}

fn path(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split_once('/').map_or("", |(_, path)| path)
}

#[test]
fn what_opens_no_session_is_refused_and_the_token_stays_good() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let url = pod.exec_url(&container.stream(["echo", "hi"]))?;
    let ask = |method: &str, path: &str| {
        let head = format!("{method} /{path} HTTP/1.1\r\nHost: {}\r\n\r\n", address(&url)?);
        raw(&url, head.as_bytes())
    };
    let answer = ask("GET", path(&url))?;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nConnection header did not include 'upgrade'"), "{answer}");
    let answer = ask("POST", path(&url))?;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nRequest method must be `GET`"), "{answer}");
    let answer = ask("DELETE", path(&url))?;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nallow: get,head,post\r\n"), "{answer}");
    assert!(ask("GET", "exec/7")?.starts_with("HTTP/1.1 400 "));
    assert!(ask("GET", "")?.starts_with("HTTP/1.1 404 "));
    assert!(raw(&url, b"\x16\x03\x01\x02\x00garbage\r\n\r\n")?.starts_with("HTTP/1.1 400 "));
    let many = format!("GET / HTTP/1.1\r\n{}", "Name: value\r\n".repeat(100));
    assert!(raw(&url, many.as_bytes())?.starts_with("HTTP/1.1 431 "));
    let long = format!("GET / HTTP/1.1\r\nName: {}\r\n\r\n", "x".repeat(40_000));
    // The answer may be lost with what was not read.
    assert!(raw(&url, long.as_bytes()).map_or(true, |text| text.starts_with("HTTP/1.1 431 ")));
    let (start, last) = url.split_at(url.len() - 1);
    let wrong = format!("{start}{}", if last == "0" { "1" } else { "0" });
    let error = Stream::open(&wrong, V5).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
    // Any of the three paths will do.
    let mut stream = Stream::open(&url.replace("/exec/", "/attach/"), V5)?;
    stream.expect(channel::STDOUT, "hi\n")
}

#[test]
fn a_token_is_good_once() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut request = container.stream(["cat"]);
    request.stdin = true;
    let url = pod.exec_url(&request)?;
    let mut stream = Stream::open(&url, V5)?;
    stream.send(channel::STDIN, "x")?;
    stream.expect(channel::STDOUT, "x")?;
    assert!(Stream::open(&url, V5).is_err());
    stream.end_input()?;
    stream.end()?;
    assert!(Stream::open(&url, V5).is_err());
    assert!(connect(&url).is_err(), "somebody listens when nothing is open");
    Ok(())
}

#[test]
fn a_token_expires_with_its_socket() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let server = Server::new(&scratch)?.env("CONMOTE_TOKEN_MS", 300).env("CONMOTE_PARK_MS", 100);
    let pod = server.start()?;
    let container = pod.running(&sleeper())?;
    let untouched = pod.exec_url(&container.stream(["true"]))?;
    let url = pod.exec_url(&container.stream(["true"]))?;
    // Somebody is there all the time, so that a process of ours waits, too.
    let guest = connect(&url)?;
    for url in [untouched, url] {
        wait::until("the socket to go", || Ok(connect(&url).is_err().then_some(())))?;
    }
    drop(guest);
    scratch.idle()?;
    Ok(())
}

#[test]
fn of_many_promises_the_oldest_are_forgotten() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let container = pod.running(&sleeper())?;
    let urls: Result<Vec<String>> =
        (0..27).map(|_| pod.exec_url(&container.stream(["echo", "hi"]))).collect();
    let urls = urls?;
    // They cost no process.
    scratch.idle()?;
    for (number, url) in urls.iter().enumerate() {
        match Stream::open(url, V5) {
            Ok(mut stream) if number >= 2 => stream.expect(channel::STDOUT, "hi\n")?,
            Err(_) if number < 2 => {}
            other => panic!("{number}: {other:?}"),
        }
    }
    Ok(())
}

#[test]
fn those_who_only_connect_delay_nobody_and_the_socket_goes_back() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let container = pod.running(&sleeper())?;
    let url = pod.exec_url(&container.stream(["echo", "hi"]))?;
    // More than are kept at once, each with half a request.
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut guest = connect(&url)?;
        guest.write_all(b"GET /exec/").unwrap();
        slow.push(guest);
    }
    drop(slow);
    // Nobody is left: the process goes, the token stays.
    scratch.idle()?;
    let mut slow = connect(&url)?;
    slow.write_all(b"GET /exec/").unwrap();
    let mut stream = Stream::open(&url, V5)?;
    stream.expect(channel::STDOUT, "hi\n")?;
    stream.end()?;
    // Whoever was late is not left hanging.
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.is_empty());
    Ok(())
}

#[test]
fn what_no_client_may_send_ends_the_session_and_nothing_else() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let container = pod.running(&sleeper())?;
    let mut request = container.stream(["sh", "-c", "echo begun; exec cat"]);
    request.stdin = true;
    // Not masked; of a reserved type; a control frame that is too long; a claim of many gigabytes.
    let endless = [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    let ping = [&b"\x89\xfe\x01\0\0\0\0\0"[..], &[0; 256]].concat();
    for garbage in [&b"\x82\x01x"[..], b"\x83\x81\0\0\0\0x", &ping, &endless] {
        let mut stream = pod.stream(&request)?;
        stream.expect(channel::STDOUT, "begun")?;
        stream.send_garbage(garbage)?;
        let (code, _) = stream.end()?;
        assert_eq!(code, 1002, "{garbage:?}");
    }
    // A message longer than a megabyte, in pieces that are not.
    let mut stream = pod.stream(&request)?;
    stream.expect(channel::STDOUT, "begun")?;
    let _ = stream.send_message(Message::binary(vec![0; (1 << 20) + 1]));
    assert!(stream.end().map_or(true, |(code, _)| code == 1002));
    drop(stream);
    scratch.idle()?;
    assert_eq!(pod.exec(&container, ["echo", "fine"], 0)?.stdout, b"fine\n");
    Ok(())
}

#[test]
fn channels_that_nobody_knows_are_ignored() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut request = container.stream(["cat"]);
    request.stdin = true;
    let mut stream = pod.stream(&request)?;
    for channel in [1, 2, 3, 5, 77, 254] {
        stream.send(channel, "noise")?;
    }
    stream.send_message(Message::binary(vec![]))?;
    stream.send(channel::CLOSE, [1])?;
    stream.send(channel::STDIN, "x")?;
    stream.end_input()?;
    assert_eq!(stream.end()?, (1000, "done".to_owned()));
    assert_eq!(stream.text(channel::STDOUT), "x");
    Ok(())
}

#[test]
fn a_client_that_never_reads_does_not_keep_the_server() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut stream = pod.stream(&container.stream(["sh", "-c", "echo begun; exec yes"]))?;
    stream.expect(channel::STDOUT, "begun")?;
    pod.stop()?;
    scratch.no_monitor_left()
}

#[test]
fn many_sessions_at_once_do_not_mix() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    thread::scope(|scope| {
        let all: Vec<_> = (0..12)
            .map(|number| {
                let (pod, container) = (&pod, &container);
                scope.spawn(move || -> Result {
                    let text = format!("session {number}");
                    let mut stream = pod.stream(&container.stream(["echo", &text]))?;
                    stream.end()?;
                    assert_eq!(stream.text(channel::STDOUT), text + "\n");
                    Ok(())
                })
            })
            .collect();
        all.into_iter().try_for_each(|one| one.join().unwrap())
    })
}
