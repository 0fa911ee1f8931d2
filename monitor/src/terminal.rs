//! The console socket, over which the runtime sends the container's terminal.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};

use rustix::io::IoSliceMut;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use rustix::termios::{OptionalActions, OutputModes};
use wire::{Errno, FdSet, OwnedFd};

use crate::inherited::text;
use crate::{fds, socket};

/// A listening console socket; its name is gone when this is.
#[derive(Debug)]
pub struct ConsoleSocket {
    /// Where the runtime connects to.
    pub path: PathBuf,
    /// Ready to read when it has.
    pub listener: OwnedFd,
}

impl ConsoleSocket {
    /// Makes one in `$TMPDIR`, or in `/tmp` when that is unset or too long.
    ///
    /// # Errors
    /// Says why it cannot be made.
    pub fn new() -> Result<Self, String> {
        // Nobody else can have made something of that name before us.
        let name = format!("conmon-term.{:016x}", RandomState::new().build_hasher().finish());
        let wanted = std::env::temp_dir().join(&name);
        let path = if wanted.as_os_str().len() > socket::MAX_NAME {
            Path::new("/tmp").join(&name)
        } else {
            wanted
        };
        let listener = socket::listen(&path, SocketType::STREAM).map_err(|error| {
            format!("Failed to bind to console-socket: {}: {}", path.display(), text(error))
        })?;
        Ok(ConsoleSocket { path, listener })
    }

    /// Takes the terminal from a runtime that has connected; `None` if none
    /// has.
    ///
    /// # Errors
    /// Says what is wrong with what was sent.
    pub fn accept(&self) -> Result<Option<OwnedFd>, String> {
        match rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC) {
            Ok(connection) => receive(&connection)
                .and_then(|tty| prepare(&tty).map(|()| tty))
                .map(Some)
                .map_err(|error| format!("no terminal from the runtime: {}", text(error))),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(format!("Failed to accept console-socket connection: {error}")),
        }
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The descriptor in the one message of a console connection (the OCI runtime
/// specification leaves the protocol to runc's `docs/terminals.md`).
fn receive(connection: &OwnedFd) -> Result<OwnedFd, Errno> {
    let mut name = [0u8; 4096];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut name)];
    rustix::net::recvmsg(connection, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let rights = control.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    rights.flatten().next().ok_or(Errno::BADMSG)
}

/// Newlines come out as carriage return and newline, and nobody blocks on it.
fn prepare(tty: &OwnedFd) -> Result<(), Errno> {
    let mut settings = rustix::termios::tcgetattr(tty)?;
    settings.output_modes |= OutputModes::ONLCR;
    rustix::termios::tcsetattr(tty, OptionalActions::Now, &settings)?;
    fds::do_not_block(tty)
}

/// The terminal and the pipe that its output is staged in on the way to the
/// log, so that no process ever holds the only copy of it.
///
/// # Errors
/// When descriptors have run out.
pub fn staged(tty: OwnedFd) -> Result<Vec<(FdSet, OwnedFd)>, String> {
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    let (read, write) = rustix::pipe::pipe_with(flags)
        .map_err(|error| format!("cannot make a pipe: {}", text(error)))?;
    Ok(vec![(FdSet::TTY, tty), (FdSet::STAGE_READ, read), (FdSet::STAGE_WRITE, write)])
}
