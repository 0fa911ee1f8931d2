//! Clients of a tunnel that do what none may, and what they get for it.

use monitor::pod::stream::forward::spdy::frame::{Frame, UNIDIRECTIONAL, status};
use monitor::pod::stream::forward::spdy::tunnel::MAX_CONNECTIONS;
use tests::network::Network;
use tests::pod::{Pod, Server};
use tests::tunnel::Tunnel;
use tests::{Container, Result, Scratch, ours_only};

/// Compressed headers, none.
const NONE: &[u8] = b"\x78\x20\xe3\xc6\xa7\xc2\0\x04\0\xfb\xff\0\0\0\0\0\0\0\xff\xff";

fn fine(pod: &Pod) -> Result {
    let container = pod.running(&Container::new(["sleep", "1000"]))?;
    assert_eq!(pod.exec(&container, ["echo", "fine"], 0)?.stdout, b"fine\n");
    Ok(())
}

#[test]
fn streams_that_make_no_sense_are_refused_one_by_one() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::new(&["127.0.0.1"])?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    let long = "x".repeat(65);
    let mut stream = 1;
    for (flags, headers) in [
        (0, &[][..]),
        (0, &[("streamtype", "error"), ("port", "80")]),
        (0, &[("streamtype", "error"), ("requestid", "a")]),
        (0, &[("streamtype", "other"), ("port", "80"), ("requestid", "a")]),
        (0, &[("streamtype", "error"), ("port", "0"), ("requestid", "a")]),
        (0, &[("streamtype", "error"), ("port", "65536"), ("requestid", "a")]),
        (0, &[("streamtype", "error"), ("port", "80"), ("requestid", &long)]),
        (0, &[("streamtype", "data"), ("port", "80"), ("requestid", "a")]),
        (UNIDIRECTIONAL, &[("streamtype", "error"), ("port", "80"), ("requestid", "a")]),
    ] {
        let frame = tunnel.opening(stream, flags, headers);
        tunnel.send(&frame)?;
        tunnel.until("a refusal", |tunnel| tunnel.reset.contains_key(&stream))?;
        assert_eq!(tunnel.reset.get(&stream), Some(&status::REFUSED), "{headers:?}");
        stream += 2;
    }
    assert!(tunnel.accepted.is_empty());
    // Each request has one stream of a kind.
    let data = tunnel.connect(stream, net.ports[0])?;
    let (request, port) = (stream.to_string(), net.ports[0].to_string());
    for (again, kind) in [(data + 2, "error"), (data + 4, "data")] {
        let headers = [("streamtype", kind), ("port", &*port), ("requestid", &*request)];
        let frame = tunnel.opening(again, 0, &headers);
        tunnel.send(&frame)?;
        tunnel.until("a refusal", |tunnel| tunnel.reset.contains_key(&again))?;
    }
    tunnel.send_data(data, true, b"fine")?;
    assert_eq!(tunnel.all(data)?, "this is 127.0.0.1\nfine");
    Ok(())
}

#[test]
fn only_so_many_connections_are_open_at_once() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::new(&["127.0.0.1"])?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    let most = MAX_CONNECTIONS as u32;
    for number in 0..=most {
        tunnel.connect(1 + 4 * number, net.ports[0])?;
    }
    // Errors, and then data, which have no place without them.
    let last = 1 + 4 * most;
    for stream in [last, last + 2] {
        tunnel.until("a refusal", |tunnel| tunnel.reset.contains_key(&stream))?;
    }
    assert_eq!(tunnel.reset.len(), 2);
    assert_eq!(tunnel.accepted.len(), 2 * MAX_CONNECTIONS);
    // One that ends makes room.
    tunnel.send(&Frame::Reset(3, 5))?;
    let data = tunnel.connect(last + 4, net.ports[0])?;
    tunnel.send_data(data, true, b"fine")?;
    assert_eq!(tunnel.all(data)?, "this is 127.0.0.1\nfine");
    Ok(())
}

#[test]
fn what_no_client_may_send_ends_the_tunnel_and_nothing_else() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::new(&["127.0.0.1"])?;
    let written = |frame: Frame<'_>| {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        bytes
    };
    let open =
        |stream, block: &[u8]| written(Frame::Open { stream, flags: 0, block: block.into() });
    let headers = written(Frame::Headers { stream: 1, last: false, block: b"\x78\xf9xxxx".into() });
    // A kilobyte that is two hundred: each of the thirteen bytes are eight times 258.
    let bomb = [
        b"\x78\x3f\xe3\xc6\xa7\xc2\x62\x18".to_vec(),
        b"\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x28\x18".repeat(100),
    ];
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        // Of another version; a control frame that is too long, and one that is too short.
        b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01",
        b"\x80\x03\0\x04\0\xff\xff\xff",
        b"\x80\x03\0\x06\0\0\0\0",
        // Streams that are not the client's, or not its next.
        &open(2, NONE),
        &open(0, NONE),
        &[open(1, NONE), open(1, &NONE[6..])].concat(),
        &written(Frame::Data { stream: 99, last: false, bytes: b"x" }),
        &written(Frame::Accepted { stream: 2, block: vec![] }),
        // Headers: none; not compressed by SPDY's words; of no known method; more than there may be.
        &open(99, b""),
        &open(99, b"\x78\x9c\x63\x60\x60\x60\x60"),
        &headers,
        &open(99, &bomb.concat()),
    ] {
        let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
        tunnel.send_bytes(garbage)?;
        let (code, _) = tunnel.stream.end()?;
        assert_eq!(code, 1002, "{garbage:?}");
    }
    fine(&pod)?;
    scratch.idle()?;
    Ok(())
}
