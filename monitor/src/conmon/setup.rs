//! What is opened before the runtime is called: pipes, sockets, FIFOs.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::net::SocketType;
use wire::{Errno, FdSet, OwnedFd};

use super::config::Config;
use crate::fds::c_path;
use crate::inherited::text;
use crate::socket;

/// What was made in the file system, to be removed at the end.
#[derive(Debug, Default)]
pub struct Paths {
    /// The attach socket.
    pub attach: Option<PathBuf>,
    /// The symlink to the bundle in the socket directory.
    pub link: Option<PathBuf>,
    /// The `ctl` and `winsz` FIFOs.
    pub fifos: Vec<PathBuf>,
    /// The notify socket; left behind by a container that was started.
    pub notify: Option<PathBuf>,
}

impl Paths {
    /// Removes everything, after a failure.
    pub fn remove(&self) {
        let all = self.attach.iter().chain(&self.link).chain(&self.fifos).chain(&self.notify);
        for path in all {
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes the attach socket in the bundle, its link in the socket directory,
/// and the FIFOs `ctl` and `winsz`. They go to `fds`, their names to `paths`.
///
/// # Errors
/// Says which of them cannot be made.
pub fn bundle_files(
    config: &Config,
    bundle: &Path,
    paths: &mut Paths,
    fds: &mut Vec<(FdSet, OwnedFd)>,
) -> Result<(), String> {
    if !config.full_attach
        && let Some(cuuid) = &config.cuuid
    {
        let link = shortened(config.socket_dir.join(cuuid));
        if let Err(error) = fs::remove_file(&link)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(format!(
                "Failed to remove existing symlink for the attach socket {}: {error}",
                link.display()
            ));
        }
        std::os::unix::fs::symlink(bundle, &link).map_err(|error| {
            format!("Failed to create symlink for the attach socket {}: {error}", link.display())
        })?;
        paths.link = Some(link);
    }
    let attach = bundle.join("attach");
    let listener = socket::listen(&attach, SocketType::SEQPACKET).map_err(|error| {
        format!("Failed to bind to attach socket: {}: {}", attach.display(), text(error))
    })?;
    paths.attach = Some(attach);
    fds.push((FdSet::LISTENER, listener));
    for (name, bit) in [("ctl", FdSet::CTL), ("winsz", FdSet::WINSZ)] {
        let path = bundle.join(name);
        let fifo = fifo(&path)
            .map_err(|error| format!("Failed to mkfifo at {}: {}", path.display(), text(error)))?;
        paths.fifos.push(path);
        fds.push((bit, fifo));
    }
    Ok(())
}

/// Makes the socket that the container notifies (sd_notify(3)): the engine has
/// made the directory and mounts it into the container, where any user may.
///
/// # Errors
/// Says why it cannot be made.
pub fn notify_socket(bundle: &Path, paths: &mut Paths) -> Result<(FdSet, OwnedFd), String> {
    let path = bundle.join("notify/notify.sock");
    let all = Mode::RWXU | Mode::RWXG | Mode::RWXO;
    let socket = socket::bind(&path, SocketType::DGRAM, all).map_err(|error| {
        format!("Failed to bind to notify socket: {}: {}", path.display(), text(error))
    })?;
    paths.notify = Some(path);
    Ok((FdSet::NOTIFY, socket))
}

/// Engines cut a link of exactly 107 bytes by one letter, for the sake of
/// `struct sockaddr_un`; so do we.
fn shortened(link: PathBuf) -> PathBuf {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let bytes = link.as_os_str().as_bytes();
    if bytes.len() != 107 {
        return link;
    }
    let cut = bytes.get(..106).unwrap_or(bytes).to_vec();
    std::ffi::OsString::from_vec(cut).into()
}

/// A FIFO at `path`, open for reading and writing: it never comes to its end,
/// and whoever writes to it never waits for a reader (fifo(7)).
fn fifo(path: &Path) -> Result<OwnedFd, Errno> {
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP;
    let path = c_path(path)?;
    let path = path.as_c_str();
    match rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0) {
        Err(Errno::EXIST) => {
            rustix::fs::unlink(path)?;
            rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0)?;
        }
        other => other?,
    }
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fifo = rustix::fs::open(path, flags, Mode::empty())?;
    // Commands are a few bytes; room for 64 kB of them takes the kernel 1 kB.
    let _ = rustix::pipe::fcntl_setpipe_size(&fifo, rustix::pipe::PIPE_BUF);
    Ok(fifo)
}
