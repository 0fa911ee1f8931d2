//! What an attached client gets: all output at full speed, and its own input back.

use super::Args;
use super::measure::{Metric, Side, Target};
use super::rounds::bare;
use super::stats::Summary;
use crate::report::{Context, Result};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use tests::load::Kind;
use tests::verify::Expected;
use tests::{Call, Container, Error, Scratch, Session, sys, wait};

/// Largest packet that is understood; the original's are 8193 bytes.
const LARGEST: usize = 1 << 18;

/// For how long echoes are not counted. The scheduler takes a second or two to find out who wakes whom, and only then
/// lets them have one processor; until then each echo is a matter of where they happened to be started.
const SETTLING: Duration = Duration::from_secs(2);

/// Rounds of echo for each repetition of a latency.
const ECHOES: usize = 100;

pub(crate) fn output_metrics(_: &Args) -> Vec<Metric> {
    let metric = Metric::new("attach-speed", "attach, 100-byte lines to one client", "MB/s");
    vec![metric.target(Target::AtLeast(1.5)).headline()]
}

/// A client connected before the container's start reads all that it writes; then every byte is checked.
pub(crate) fn output(args: &Args, _: Side) -> Result<Vec<Option<f64>>> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let blocks = (args.megabytes * 1_000_000 / Kind::Lines.block() as u64).max(1);
    let bytes = blocks * Kind::Lines.block() as u64;
    let container =
        Container::new([bare()?, "write".into(), Kind::Lines.name().into(), blocks.to_string()]);
    let session = Call::create(&scratch, &container)
        .and_then(|call| call.no_exit_command().set("-l", "none").created())
        .context("cannot create the container")?;
    let client = connected(&session).context("cannot attach")?;
    // Written to once: what the kernel takes to find the memory is not what is measured.
    let mut received = vec![0xff; bytes as usize + LARGEST];
    received.clear();
    let mut packet = vec![0; LARGEST];
    let began = Instant::now();
    session.start().context("cannot start the container")?;
    loop {
        let count = sys::read(&client, &mut packet).context("cannot read from the monitor")?;
        if count == 0 {
            break;
        }
        received.extend_from_slice(&packet[1..count]);
        if received.len() as u64 >= bytes {
            break;
        }
    }
    let took = began.elapsed();
    session.monitor_gone().context("after the container's end")?;
    let mut expected = Expected::new(Kind::Lines, blocks);
    expected
        .take(&received)
        .and_then(|()| expected.end())
        .context("the client did not get what was written")?;
    Ok(vec![Some(bytes as f64 / took.as_secs_f64() / 1e6)])
}

/// A plain connection: `tests::Client` looks at each packet, and that would be what is measured.
/// (std has no name for packet sockets; a stream has the same time limit.)
fn connected(session: &Session) -> tests::Result<UnixStream> {
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("attach socket: {error}"));
    let path = session.paths.bundle.join("attach");
    let client = sys::connect(libc::SOCK_SEQPACKET, &path).map_err(|error| failed(&error))?;
    let client = UnixStream::from(client);
    client.set_read_timeout(Some(wait::LIMIT)).map_err(|error| failed(&error))?;
    Ok(client)
}

pub(crate) fn echo_metrics(terminal: bool) -> Vec<Metric> {
    let (key, what) = if terminal { ("terminal", "terminal") } else { ("pipe", "stdin") };
    let metric = |share: &str| {
        let metric =
            Metric::new(format!("echo-{key}-{share}"), format!("echo, {what}, {share}"), "µs");
        metric.target(Target::AtMost(1.0)).headline()
    };
    vec![metric("p50"), metric("p99")]
}

/// One byte goes in and comes out again, by way of `cat`.
pub(crate) fn echo(args: &Args, terminal: bool) -> Result<Vec<Option<f64>>> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let container = match terminal {
        // As an editor or a shell has it: the echo is the program's.
        true => Container::sh("stty raw -echo; printf r; exec cat").terminal().stdin(),
        false => Container::sh("printf r; exec cat").stdin(),
    };
    let session = Call::create(&scratch, &container)
        .and_then(|call| call.no_exit_command().created())
        .context("cannot create the container")?;
    let client = connected(&session).context("cannot attach")?;
    session.start().context("cannot start the container")?;
    let mut packet = [0; 4096];
    let mut reply = || -> Result<usize> {
        let count = sys::read(&client, &mut packet).context("no echo")?;
        count.checked_sub(1).context("the monitor has closed the connection")
    };
    if reply()? != 1 {
        return Err("the container is not ready".into());
    }
    let mut times = vec![];
    let settled = Instant::now() + SETTLING;
    while times.len() < args.repetitions * ECHOES {
        let began = Instant::now();
        sys::send(&client, b"x").context("cannot send to the monitor")?;
        let count = reply()?;
        let took = began.elapsed();
        if count != 1 {
            return Err(format!("one byte was sent, and {count} came back"));
        }
        if began >= settled {
            times.push(took.as_secs_f64() * 1e6);
        }
    }
    Ok(vec![Summary::at(&mut times, 0.5), Summary::at(&mut times, 0.99)])
}
