//! Bytes between the attach socket and our own standard streams.

use crate::report::{Context, Result};
use std::io::{Read, Write};
use std::time::{Duration, Instant};
use tests::Client;

/// Copies standard input to the container until either ends.
pub(crate) fn input(client: &Client) {
    let mut buffer = [0; tests::attach::PIECE];
    let mut stdin = std::io::stdin().lock();
    while let Ok(length @ 1..) = stdin.read(&mut buffer) {
        // An error may only mean that the container takes its time.
        while client.send(&buffer[..length]).is_err() {
            if !client.is_open() {
                return;
            }
        }
    }
    let _ = client.half_close();
}

/// Copies the container's output to ours, byte by byte what it wrote, until the monitor closes the connection.
pub(crate) fn output(mut client: Client) -> Result<()> {
    let (mut stdout, mut stderr) = (std::io::stdout().lock(), std::io::stderr().lock());
    loop {
        let deadline = Instant::now() + Duration::from_secs(3600);
        match client.packet_before(deadline).context("attach")? {
            None => continue,
            Some(None) => return Ok(()),
            Some(Some(packet)) => {
                let to: &mut dyn Write = if packet.stream == 3 { &mut stderr } else { &mut stdout };
                to.write_all(&packet.bytes)
                    .and_then(|()| to.flush())
                    .context("cannot pass on the output")?;
            }
        }
        // The client remembers what has come, for tests to look at.
        client.stdout.clear();
        client.stderr.clear();
    }
}
