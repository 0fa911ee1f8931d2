//! What is opened before the runtime is called: pipes, attach socket, FIFOs.

use std::ffi::CString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
use wire::{AsFd, Errno, FdSet, OwnedFd};

use super::config::Config;
use crate::inherited::text;

/// Connections that may wait before they are accepted. While the runtime works
/// nobody accepts; conmon's 10 is few for engines that attach in parallel.
const BACKLOG: i32 = 128;

/// What was made in the file system, to be removed at the end.
#[derive(Debug, Default)]
pub struct Paths {
    /// The attach socket.
    pub attach: Option<PathBuf>,
    /// The symlink to the bundle in the socket directory.
    pub link: Option<PathBuf>,
    /// The `ctl` and `winsz` FIFOs.
    pub fifos: Vec<PathBuf>,
}

impl Paths {
    /// Removes everything, after a failure.
    pub fn remove(&self) {
        for path in self.attach.iter().chain(&self.link).chain(&self.fifos) {
            let _ = fs::remove_file(path);
        }
    }
}

/// A pipe of which one end is for the container and one for us: ours does not
/// block. Both are close-on-exec.
#[derive(Debug)]
pub struct Pipe {
    /// The container's end.
    pub theirs: OwnedFd,
    /// Our end.
    pub ours: OwnedFd,
}

/// Which end of a pipe is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ours {
    /// We read what the container writes.
    Read,
    /// We write what the container reads.
    Write,
}

/// Makes a pipe.
///
/// # Errors
/// When descriptors have run out.
pub fn pipe(which: Ours) -> Result<Pipe, String> {
    let make = || {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let (ours, theirs) = if which == Ours::Read { (read, write) } else { (write, read) };
        do_not_block(&ours)?;
        Ok(Pipe { theirs, ours })
    };
    make().map_err(|error: Errno| format!("cannot make a pipe: {}", text(error)))
}

/// Sets O_NONBLOCK.
///
/// # Errors
/// Those of fcntl(2).
pub fn do_not_block(fd: impl AsFd) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)
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
    let listener = listen(&attach, SocketType::SEQPACKET).map_err(|error| {
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

/// A listening socket at `path`, of whatever length: bound through the
/// directory's entry in /proc, which is short. Only its owner may connect.
///
/// # Errors
/// Those of open(2), bind(2) and listen(2).
pub fn listen(path: &Path, kind: SocketType) -> Result<OwnedFd, Errno> {
    use rustix::fd::AsRawFd;
    let (dir, name) = split(path)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(c_path(dir)?.as_c_str(), flags, Mode::empty())?;
    let mut short: std::ffi::OsString = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into();
    short.push(name);
    match fs::remove_file(&short) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(Errno::from_raw_os_error(error.raw_os_error().unwrap_or(0)));
        }
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let bound = SocketAddrUnix::new(c_path(Path::new(&short))?.as_c_str())
        .and_then(|at| rustix::net::bind(&socket, &at));
    rustix::process::umask(umask);
    bound?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr), Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    Ok((dir.unwrap_or(Path::new(".")), name))
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
    rustix::fs::open(path, flags, Mode::empty())
}

/// A path for rustix, which as built for the roles allocates nothing itself.
///
/// # Errors
/// [`Errno::INVAL`] for a path with a NUL in it; command lines have none.
pub fn c_path(path: &Path) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}
