//! Reaching ports of a pod as kubectl does: SPDY in WebSockets. What kubectl's own library says to this is in
//! `tests/go-client`.

use std::io::{Read, Result as IoResult, Write};
use std::net::{Shutdown, TcpStream};

use monitor::pod::stream::forward::spdy::frame::{FIN, Frame};
use tests::network::Network;
use tests::pod::Server;
use tests::tunnel::Tunnel;
use tests::{Result, Scratch, ours_only, wait};

#[test]
fn frames_may_be_cut_and_joined_anywhere() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::new(&["127.0.0.1", "::1"])?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    let mut bytes = Vec::new();
    for (first, port) in [(1, net.ports[0]), (5, net.ports[1])] {
        let data = first + 2;
        let [errors, opening] = tunnel.opening_both(first, port);
        let content = Frame::Data { stream: data, last: false, bytes: b"all" };
        let rest = Frame::Data { stream: data, last: true, bytes: b" of it" };
        [errors, opening, content, rest].iter().for_each(|frame| frame.write(&mut bytes));
    }
    let (single, joined) = bytes.split_at(bytes.len() / 2 + 1);
    for byte in single {
        tunnel.send_bytes(&[*byte])?;
    }
    tunnel.send_bytes(joined)?;
    assert_eq!(tunnel.all(3)?, "this is 127.0.0.1\nall of it");
    assert_eq!(tunnel.all(7)?, "this is ::1\nall of it");
    assert_eq!([tunnel.all(1)?, tunnel.all(5)?], ["", ""]);
    Ok(())
}

/// Says all it has to say, and notes in the file that the client names then that it was heard.
fn ends_first(mut client: TcpStream, _: &str) -> IoResult<()> {
    client.write_all(b"first")?;
    client.shutdown(Shutdown::Write)?;
    let mut path = String::new();
    client.read_to_string(&mut path)?;
    std::fs::write(path, "heard")
}

#[test]
fn either_side_may_end_first_and_still_hears_the_other() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::serving(&["127.0.0.1"], ends_first)?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    let data = tunnel.connect(1, net.ports[0])?;
    assert_eq!(tunnel.all(data)?, "first");
    assert_eq!(tunnel.all(1)?, "");
    let heard = scratch.join("heard");
    tunnel.send_data(data, true, heard.display().to_string().as_bytes())?;
    wait::for_file(&heard, "what the pod has heard", |text| (text? == b"heard").then_some(()))?;
    // The client first, with the stream's very first frame.
    let net = Network::new(&["127.0.0.1"])?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    let port = net.ports[0].to_string();
    for (stream, kind) in [(1, "error"), (3, "data")] {
        let headers = [("streamtype", kind), ("port", &*port), ("requestid", "x")];
        let frame = tunnel.opening(stream, FIN, &headers);
        tunnel.send(&frame)?;
    }
    assert_eq!(tunnel.all(3)?, "this is 127.0.0.1\n");
    Ok(())
}

#[test]
fn what_cannot_be_reached_is_an_error_and_the_tunnel_goes_on() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::new(&["127.0.0.1"])?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    let data = tunnel.connect(1, 1)?;
    assert_eq!(tunnel.all(1)?, "error forwarding port 1: Connection refused");
    assert_eq!(tunnel.all(data)?, "");
    // What comes too late for it is nobody's.
    tunnel.send_data(data, true, b"late")?;
    let data = tunnel.connect(5, net.ports[0])?;
    tunnel.send_data(data, true, b"good")?;
    assert_eq!(tunnel.all(data)?, "this is 127.0.0.1\ngood");

    let mut tunnel = Tunnel::open(&pod.ports_url("/no/such/namespace")?)?;
    tunnel.connect(1, 80)?;
    let wanted = "error forwarding port 80: cannot enter network namespace '/no/such/namespace': No such file";
    assert!(tunnel.all(1)?.starts_with(wanted));
    Ok(())
}

#[test]
fn a_reset_ends_a_connection_and_the_last_one_a_tunnel_that_the_client_leaves() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::new(&["127.0.0.1"])?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    // None of these is answered, but for the ping with an odd number.
    let data = tunnel.connect(1, net.ports[0])?;
    let more = match tunnel.opening(data, 0, &[("any", "header")]) {
        Frame::Open { stream, block, .. } => Frame::Headers { stream, last: false, block },
        other => other,
    };
    let silent = [Frame::Other(4), Frame::Other(9), Frame::Other(77), Frame::Ping(2), more];
    for frame in &silent {
        tunnel.send(frame)?;
    }
    tunnel.send(&Frame::Ping(7))?;
    tunnel.until("a ping", |tunnel| !tunnel.pings.is_empty())?;
    assert_eq!(tunnel.pings, [7]);
    let second = tunnel.connect(5, net.ports[0])?;
    tunnel.send(&Frame::GoAway)?;
    let refused = tunnel.connect(9, net.ports[0])?;
    tunnel.send(&Frame::Reset(data, 5))?;
    assert_eq!(tunnel.all(1)?, "");
    tunnel.until("a refusal", |tunnel| tunnel.reset.contains_key(&refused))?;
    tunnel.send_data(second, true, b"last")?;
    assert_eq!(tunnel.all(second)?, "this is 127.0.0.1\nlast");
    assert_eq!(tunnel.stream.end()?, (1000, "done".to_owned()));
    assert!(!tunnel.ended.contains(&data));
    drop(tunnel);
    scratch.idle()?;
    Ok(())
}
