//! Reaching ports of a pod: servePortForward, over the channel protocol.

use tests::network::Network;
use tests::pod::Server;
use tests::stream::{Stream, channel};
use tests::{Result, Scratch, ours_only};

const V4: &str = "v4.channel.k8s.io";

#[test]
fn ports_of_both_families_are_reached_in_the_pods_network() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let net = Network::new(&["127.0.0.1", "::1"])?;
    // One port is named in the URL, the other by the client.
    let url = format!("{}?port={}", pod.ports_url(&net.path)?, net.ports[0]);
    let mut stream = Stream::open(&url, V4)?;
    assert_eq!(stream.protocol(), Some(V4));
    let second = net.ports[1].to_le_bytes();
    stream.send(2, second)?;
    stream.expect(0, "this is 127.0.0.1\n")?;
    stream.expect(2, "this is ::1\n")?;
    for number in [0, 1] {
        let port = net.ports[number].to_le_bytes();
        let data = number as u8 * 2;
        assert_eq!(stream.channel(data)[..2], port);
        assert_eq!(stream.channel(data + 1), port);
    }
    let big: Vec<u8> = (0..3_000_000u32).map(|at| (at / 3) as u8).collect();
    for piece in big.chunks(100_000) {
        stream.send(0, piece)?;
    }
    stream.send(2, "small")?;
    stream.send(channel::CLOSE, [2])?;
    stream.expect(2, "this is ::1\nsmall")?;
    stream.send(channel::CLOSE, [0])?;
    assert_eq!(stream.end()?, (1000, "done".to_owned()));
    assert!(stream.channel(0)[2 + "this is 127.0.0.1\n".len()..] == big);
    Ok(())
}

#[test]
fn what_cannot_be_reached_is_an_error_on_its_channel() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::new(&["127.0.0.1"])?;
    let url_of_net = pod.ports_url(&net.path)?;
    let mut stream = Stream::open(&url_of_net, V4)?;
    stream.send(0, 1u16.to_le_bytes())?;
    stream.expect(1, "error forwarding port 1: Connection refused")?;
    stream.send(2, net.ports[0].to_le_bytes())?;
    stream.expect(2, "this is 127.0.0.1\n")?;
    drop(stream);

    let nowhere = format!("{}?port=80", pod.ports_url("/no/such/namespace")?);
    let mut stream = Stream::open(&nowhere, V4)?;
    assert_eq!(stream.end()?, (1000, "done".to_owned()));
    let wanted = "error forwarding port 80: cannot enter network namespace '/no/such/namespace': No such file";
    assert!(stream.text(1).contains(wanted), "{}", stream.text(1));
    scratch.idle()?;
    Ok(())
}
