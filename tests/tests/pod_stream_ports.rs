//! Reaching ports of a pod: servePortForward.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread::JoinHandle;

use monitor::pod::types::ServePortForwardContainerRequest;
use tests::pod::{Pod, Server};
use tests::stream::{Stream, channel};
use tests::{Container, Error, Result, Scratch, ours_only, sys};

const V4: &str = "v4.channel.k8s.io";

/// A network namespace with nothing but loopback, and listeners in it: each answers its one client with its name and
/// what that sent, when that has sent all.
struct Net {
    path: String,
    ports: Vec<u16>,
    end: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Net {
    /// Listens at these addresses.
    fn new(addresses: &'static [&'static str]) -> Result<Net> {
        let (told, tell) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let path = sys::own_network().unwrap();
            let listeners: Vec<TcpListener> =
                addresses.iter().map(|address| TcpListener::bind((*address, 0)).unwrap()).collect();
            let ports = listeners.iter().map(|one| one.local_addr().unwrap().port()).collect();
            told.send((path, ports)).unwrap();
            for (listener, address) in listeners.into_iter().zip(addresses) {
                std::thread::spawn(move || -> std::io::Result<()> {
                    let (mut client, _) = listener.accept()?;
                    client.write_all(format!("this is {address}\n").as_bytes())?;
                    let mut sent = Vec::new();
                    client.read_to_end(&mut sent)?;
                    client.write_all(&sent)
                });
            }
            let _ = ended.recv();
        });
        let (path, ports) = tell.recv().map_err(|_| Error::new("no network namespace"))?;
        Ok(Net { path, ports, end, thread: Some(thread) })
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.end.send(());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn url(pod: &Pod, path: &str) -> Result<String> {
    let request =
        ServePortForwardContainerRequest { net_ns_path: path.into(), ..Default::default() };
    Ok(pod.client.serve_port_forward_container(&request).unwrap().url)
}

#[test]
fn ports_of_both_families_are_reached_in_the_pods_network() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let net = Net::new(&["127.0.0.1", "::1"])?;
    // One port is named in the URL, the other by the client.
    let url = format!("{}?port={}", url(&pod, &net.path)?, net.ports[0]);
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
    let net = Net::new(&["127.0.0.1"])?;
    let url_of_net = url(&pod, &net.path)?;
    let mut stream = Stream::open(&url_of_net, V4)?;
    stream.send(0, 1u16.to_le_bytes())?;
    stream.expect(1, "error forwarding port 1: Connection refused")?;
    stream.send(2, net.ports[0].to_le_bytes())?;
    stream.expect(2, "this is 127.0.0.1\n")?;
    drop(stream);

    let nowhere = format!("{}?port=80", url(&pod, "/no/such/namespace")?);
    let mut stream = Stream::open(&nowhere, V4)?;
    assert_eq!(stream.end()?, (1000, "done".to_owned()));
    let wanted = "error forwarding port 80: cannot enter network namespace '/no/such/namespace': No such file";
    assert!(stream.text(1).contains(wanted), "{}", stream.text(1));
    scratch.idle()?;
    Ok(())
}

#[test]
fn a_tunnel_that_is_not_spoken_is_refused_and_the_server_goes_on() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let url = url(&pod, "/proc/self/ns/net")?;
    let error = Stream::open(&url, "SPDY/3.1+portforward.k8s.io").unwrap_err();
    assert!(error.to_string().contains("400"), "{error}");
    let container = pod.running(&Container::new(["sleep", "1000"]))?;
    assert_eq!(pod.exec(&container, ["echo", "fine"], 0)?.stdout, b"fine\n");
    Ok(())
}
