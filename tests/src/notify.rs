//! The host's notification socket, as systemd has it (`sd_notify(3)`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::{Call, Scratch, Session, sys, wait};

/// The directory in the bundle that engines make for the container's socket.
const DIRECTORY: &str = "notify";

/// Something that was told to the host.
#[derive(Debug, PartialEq, Eq)]
pub struct Notification {
    /// All of it.
    pub text: String,
    /// The process that systemd takes for the sender.
    pub pid: i32,
}

/// A socket that listens in systemd's place.
#[derive(Debug)]
pub struct Host {
    socket: UnixDatagram,
}

impl Host {
    /// Listens at a path.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn at(path: &Path) -> Result<Host> {
        let socket = UnixDatagram::bind(path);
        Host::over(socket.context(format_args!("cannot bind {}", path.display()))?)
    }

    /// Listens at a socket that is bound already.
    ///
    /// # Errors
    /// Senders' pids cannot be asked for.
    pub fn over(socket: UnixDatagram) -> Result<Host> {
        sys::ask_for_senders(&socket).context("SO_PASSCRED")?;
        Ok(Host { socket })
    }

    /// The next notification.
    ///
    /// # Errors
    /// None comes in time.
    pub fn next(&self) -> Result<Notification> {
        if !sys::readable(&self.socket, wait::deadline()).context("poll")? {
            return Err(Error::new("nothing is notified"));
        }
        let mut text = vec![0; 100_000];
        let (len, pid) = sys::receive_from(&self.socket, &mut text).context("recvmsg")?;
        text.truncate(len);
        let text = String::from_utf8_lossy(&text).into_owned();
        Ok(Notification { text, pid })
    }

    /// The next notification is this one.
    ///
    /// # Errors
    /// It is another one, or none comes in time.
    pub fn expect(&self, text: &str) -> Result<Notification> {
        let next = self.next()?;
        if next.text == text {
            return Ok(next);
        }
        Err(Error::new(format!("notified {:?} instead of {text:?}", next.text)))
    }
}

/// The container's end: sends to the socket in a bundle.
#[derive(Debug)]
pub struct Container {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Container {
    /// For the container with this bundle, whose path may be long.
    ///
    /// # Errors
    /// The directory is not there.
    pub fn of(bundle: &Path) -> Result<Container> {
        let socket = UnixDatagram::unbound().context("socket")?;
        socket.set_write_timeout(Some(wait::limit())).context("timeout")?;
        Ok(Container { socket, path: socket_path(bundle) })
    }

    /// Says something; waits while the monitor has not read what was said.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn say(&self, text: impl AsRef<[u8]>) -> Result {
        let context = || format!("cannot send to {}", self.path.display());
        let sent = self.socket.send_to(text.as_ref(), &self.path);
        sent.map(drop).context(context())
    }

    /// Connects for good, for those who send descriptors, and gives the socket.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(&self) -> Result<&UnixDatagram> {
        self.socket.connect(&self.path).context(format_args!("{}", self.path.display()))?;
        Ok(&self.socket)
    }
}

/// Runs what `call` makes for a host's socket: the host, the monitor, and the container's end.
///
/// # Errors
/// One of them cannot be made.
pub fn running(
    scratch: &Scratch,
    call: impl FnOnce(&Path) -> Result<Call>,
) -> Result<(Host, Session, Container)> {
    let path = scratch.join("host");
    let host = Host::at(&path)?;
    let session = call(&path)?.running()?;
    let container = Container::of(&session.paths.bundle)?;
    Ok((host, session, container))
}

/// Makes the directory for the socket, as engines do; the socket's path in it.
///
/// # Errors
/// It cannot be made.
pub fn directory(bundle: &Path) -> Result<PathBuf> {
    let directory = bundle.join(DIRECTORY);
    std::fs::create_dir(&directory).context(format_args!("{}", directory.display()))?;
    Ok(socket_path(bundle))
}

fn socket_path(bundle: &Path) -> PathBuf {
    bundle.join(DIRECTORY).join("notify.sock")
}

/// Says these lines, in one notification, to the socket that `NOTIFY_SOCKET` names: for the inside of a container.
///
/// # Errors
/// The variable is not set, or nobody listens there.
pub fn from_inside(lines: impl Iterator<Item = OsString>) -> Result {
    let path = std::env::var_os("NOTIFY_SOCKET").ok_or_else(|| Error::new("no NOTIFY_SOCKET"))?;
    let text = lines.collect::<Vec<_>>().join(OsStr::new("\n"));
    let socket = UnixDatagram::unbound().context("socket")?;
    let sent = socket.send_to(text.as_bytes(), &path);
    sent.map(drop).context(format_args!("cannot send to {}", path.display()))
}
