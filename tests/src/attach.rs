//! A client of the attach socket, as podman is one.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::{sys, wait};

/// Packets to the container are at most this long; podman copies in pieces of this size.
pub const PIECE: usize = 8192;

/// How long nobody has taken anything when nobody will.
const NO_ROOM: Duration = Duration::from_millis(100);

/// One packet from the monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// 2 is stdout, 3 is stderr; from a pod server, 0 without bytes is the end of the output.
    pub stream: u8,
    /// What the container wrote.
    pub bytes: Vec<u8>,
}

/// A connection to an attach socket and all that has come over it so far.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    /// The container's stdout so far, or its terminal.
    pub stdout: Vec<u8>,
    /// The container's stderr so far.
    pub stderr: Vec<u8>,
    /// A pod server has said that no more output comes.
    pub done: bool,
}

impl Client {
    /// Connects to `attach` in this directory, whatever the length of its path.
    ///
    /// # Errors
    /// There is no such socket, or nobody listens.
    pub fn connect(directory: &Path) -> Result<Client> {
        Client::try_connect(directory)
            .context(format_args!("cannot attach in {}", directory.display()))
    }

    fn try_connect(directory: &Path) -> std::io::Result<Client> {
        let parent = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(directory)?;
        let path = format!("/proc/self/fd/{}/attach", parent.as_raw_fd());
        Client::connect_to(Path::new(&path))
    }

    /// Connects to the socket with this path, of at most 107 bytes.
    ///
    /// # Errors
    /// There is no such socket, or nobody listens.
    pub fn connect_to(socket: &Path) -> std::io::Result<Client> {
        Ok(Client {
            socket: sys::connect(libc::SOCK_SEQPACKET, socket)?,
            stdout: Vec::new(),
            stderr: Vec::new(),
            done: false,
        })
    }

    /// Connects as soon as the socket is there.
    ///
    /// # Errors
    /// It is not there in time.
    pub fn connect_when_ready(directory: &Path) -> Result<Client> {
        let mut last = None;
        let found = wait::for_file(&directory.join("attach"), "an attach socket", |_| {
            Client::try_connect(directory).map_err(|error| last = Some(error)).ok()
        });
        found.context(format_args!("{last:?}"))
    }

    /// Sends bytes as one packet of stdin, waiting for room.
    ///
    /// # Errors
    /// The monitor has closed, or there is no room in time.
    pub fn send(&self, bytes: &[u8]) -> Result {
        if !sys::writable(&self.socket, wait::deadline()).context("poll")? {
            return Err(Error::new("no room on the attach socket"));
        }
        sys::send(&self.socket, bytes).context("cannot send to the container").map(drop)
    }

    /// Sends all the bytes, in pieces as podman does.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn send_all(&self, bytes: &[u8]) -> Result {
        bytes.chunks(PIECE).try_for_each(|piece| self.send(piece))
    }

    /// Sends until nobody takes any more: until there has been no room for a tenth of a second. Says how many bytes.
    ///
    /// # Errors
    /// The monitor has closed.
    pub fn fill(&self) -> Result<usize> {
        let mut sent = 0;
        while sys::writable(&self.socket, Instant::now() + NO_ROOM).context("poll")? {
            self.send(&[b'x'; PIECE])?;
            sent += PIECE;
        }
        Ok(sent)
    }

    /// Sends end of file: no more input from here.
    ///
    /// # Errors
    /// The monitor has closed.
    pub fn half_close(&self) -> Result {
        sys::shut_writing(&self.socket).context("cannot shut the attach socket")
    }

    /// A second handle on the same connection, to send while another thread reads.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn sender(&self) -> Result<Client> {
        Ok(Client {
            socket: self.socket.try_clone().context("dup")?,
            stdout: Vec::new(),
            stderr: Vec::new(),
            done: false,
        })
    }

    /// The next packet; `None` when the monitor has closed.
    ///
    /// # Errors
    /// Nothing in time, or a packet that isn't one.
    pub fn packet(&mut self) -> Result<Option<Packet>> {
        let packet = self.packet_before(wait::deadline())?;
        packet.ok_or_else(|| {
            let seen = String::from_utf8_lossy(&self.stdout);
            Error::new(format!(
                "nothing on the attach socket for {} s; so far: {seen:?}",
                wait::limit().as_secs()
            ))
        })
    }

    /// The next packet, if one comes before `deadline`: `Some(None)` when the monitor has closed.
    ///
    /// # Errors
    /// A packet that isn't one.
    pub fn packet_before(&mut self, deadline: Instant) -> Result<Option<Option<Packet>>> {
        if !sys::readable(&self.socket, deadline).context("poll")? {
            return Ok(None);
        }
        let mut buffer = vec![0; 128 * 1024];
        let length = match sys::read(&self.socket, &mut buffer) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            other => other.context("cannot read the attach socket")?,
        };
        buffer.truncate(length);
        let Some((stream, bytes)) = buffer.split_first() else {
            return Ok(Some(None));
        };
        match stream {
            2 => self.stdout.extend(bytes),
            3 => self.stderr.extend(bytes),
            0 if bytes.is_empty() && !self.done => self.done = true,
            other => return Err(Error::new(format!("attach packet of unknown stream {other}"))),
        }
        Ok(Some(Some(Packet { stream: *stream, bytes: bytes.to_vec() })))
    }

    /// Reads until `stdout` (or the terminal) holds these bytes.
    ///
    /// # Errors
    /// The connection ends or falls silent before that.
    pub fn expect(&mut self, wanted: impl AsRef<[u8]>) -> Result {
        let wanted = wanted.as_ref();
        self.read_while(&String::from_utf8_lossy(wanted), |client| {
            !contains(&client.stdout, wanted)
        })
    }

    /// Reads while `more` says so.
    ///
    /// # Errors
    /// The connection ends or falls silent before that.
    pub fn read_while(&mut self, what: &str, more: impl Fn(&Client) -> bool) -> Result {
        while more(self) {
            if self.packet()?.is_none() {
                let seen = String::from_utf8_lossy(&self.stdout);
                return Err(Error::new(format!("attach ended before {what:?}; it gave {seen:?}")));
            }
        }
        Ok(())
    }

    /// Reads until the monitor closes the connection.
    ///
    /// # Errors
    /// It falls silent before that.
    pub fn read_to_end(&mut self) -> Result {
        while self.packet()?.is_some() {}
        Ok(())
    }

    /// Whether the monitor still holds its end open.
    pub fn is_open(&self) -> bool {
        let mut one = libc::pollfd { fd: self.socket.as_fd().as_raw_fd(), events: 0, revents: 0 };
        // SAFETY: one entry, and its address is good for the length of the call.
        let count = unsafe { libc::poll(&raw mut one, 1, 0) };
        count == 0
    }
}

/// Whether `text` holds `wanted` somewhere.
pub fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|window| window == wanted)
}
