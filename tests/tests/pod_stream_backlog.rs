//! Ports of a pod where one side does not read: the other is stopped, and what waits in between is bounded.

use std::io::{Result as IoResult, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use monitor::pod::stream::forward::spdy::frame::Frame;
use tests::network::Network;
use tests::pod::Server;
use tests::process::field;
use tests::tunnel::Tunnel;
use tests::{Container, Result, Scratch, ours_only, wait};
use tungstenite::Message;

/// Somebody who has not got further for so long is stopped.
const STOPPED: Duration = Duration::from_millis(500);
/// More than the kernel keeps of a connection, in bytes.
const KERNEL: u64 = 64 << 20;
/// Most memory of a process that serves a session, in kB.
const SMALL: u64 = 16 * 1024;

/// The most memory that a process of the server has or had.
fn memory(scratch: &Scratch) -> u64 {
    let all = scratch.monitors().into_iter();
    let peaks = all.filter_map(|process| field(&process.proc_file("status"), "VmHWM:"));
    peaks.max().unwrap_or(u64::MAX)
}

static TALKED: AtomicU64 = AtomicU64::new(0);
static STOPPED_TALKING: AtomicBool = AtomicBool::new(false);

/// Sends until nobody listens any more.
fn talks(mut client: TcpStream, _: &str) -> IoResult<()> {
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
    while client.write_all(&bytes).is_ok() {
        TALKED.fetch_add(bytes.len() as u64, SeqCst);
    }
    STOPPED_TALKING.store(true, SeqCst);
    Ok(())
}

#[test]
fn a_client_that_does_not_read_stops_the_pod_and_may_still_send() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::serving(&["127.0.0.1"], talks)?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    let data = tunnel.connect(1, net.ports[0])?;
    tunnel.until("the pod to talk", |tunnel| !tunnel.content(data).is_empty())?;
    let mut before = 0;
    while TALKED.load(SeqCst) != before {
        before = TALKED.load(SeqCst);
        assert!(before < KERNEL, "{before} bytes are somewhere");
        std::thread::sleep(STOPPED);
    }
    assert!(memory(&scratch) < SMALL, "{} kB", memory(&scratch));
    // Nothing is lost of what it reads in the end.
    let wanted = before as usize;
    tunnel.until("all of that", |tunnel| tunnel.content(data).len() >= wanted)?;
    let got = tunnel.content(data).iter().zip((0..=255u8).cycle());
    assert!(got.into_iter().all(|(got, wanted)| *got == wanted));
    // It says that it has enough, while there is more than it reads.
    tunnel.send(&Frame::Reset(data, 5))?;
    wait::until("the pod to be told", || Ok(STOPPED_TALKING.load(SeqCst).then_some(())))?;
    assert!(memory(&scratch) < SMALL, "{} kB", memory(&scratch));
    Ok(())
}

#[test]
fn a_client_that_does_not_read_the_answers_to_its_pings_is_stopped() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let mut tunnel = Tunnel::open(&pod.ports_url("/proc/self/ns/net")?)?;
    tunnel.stream.tcp().set_write_timeout(Some(STOPPED)).unwrap();
    let mut ids = (1..).step_by(2);
    let mut sent = Vec::new();
    loop {
        let mut bytes = Vec::new();
        for id in ids.by_ref().take(5000) {
            Frame::Ping(id).write(&mut bytes);
            sent.push(id);
        }
        if tunnel.send_bytes(&bytes).is_err() {
            break;
        }
        assert!((sent.len() as u64) < KERNEL / 12, "{} pings are somewhere", sent.len());
    }
    assert!(memory(&scratch) < SMALL, "{} kB", memory(&scratch));
    let whole = sent.len() - 5000;
    tunnel.until("the answers", |tunnel| tunnel.pings.len() >= whole)?;
    // The rest of the message on which it was stopped.
    tunnel.stream.send_message(Message::Ping(vec![].into()))?;
    let all = sent.len();
    tunnel.until("the last answers", |tunnel| tunnel.pings.len() >= all)?;
    assert!(tunnel.pings == sent);
    Ok(())
}

#[test]
fn pings_whose_answers_nobody_reads_take_no_memory() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("exec sleep 1000"))?;
    let mut stream = pod.stream(&container.stream(["sleep", "1000"]))?;
    // A final ping (RFC 6455 section 5.2) of 125 bytes, masked with zeros.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'x'; 125]].concat();
    let many = ping.repeat(8192);
    for _ in 0..64 {
        stream.send_garbage(&many)?;
    }
    assert!(memory(&scratch) < SMALL, "{} kB", memory(&scratch));
    Ok(())
}

/// Never reads.
fn deaf(_client: TcpStream, _: &str) -> IoResult<()> {
    loop {
        std::thread::park();
    }
}

#[test]
fn a_pod_that_does_not_read_stops_the_client() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 100).start()?;
    let net = Network::serving(&["127.0.0.1"], deaf)?;
    let mut tunnel = Tunnel::open(&pod.ports_url(&net.path)?)?;
    tunnel.stream.tcp().set_write_timeout(Some(STOPPED)).unwrap();
    // Several, which share the room.
    let mut streams = Vec::new();
    for number in 0..20 {
        streams.push(tunnel.connect(1 + 4 * number, net.ports[0])?);
    }
    let piece = vec![b'x'; 1 << 16];
    let mut sent = 0;
    for data in streams.into_iter().cycle() {
        if tunnel.send_data(data, false, &piece).is_err() {
            break;
        }
        sent += piece.len() as u64;
        assert!(sent < 20 * KERNEL, "{sent} bytes are somewhere");
    }
    assert!(memory(&scratch) < SMALL, "{} kB", memory(&scratch));
    drop(tunnel);
    scratch.idle()?;
    Ok(())
}
