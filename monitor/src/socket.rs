//! Unix sockets with a name in the file system (unix(7)).

use std::ffi::CString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use wire::{Errno, OwnedFd};

use crate::fds::c_path;

/// Connections that may wait before they are accepted. While the runtime works
/// nobody accepts; conmon's 10 is few for engines that attach in parallel.
const BACKLOG: i32 = 128;

/// Longest name of a socket, in bytes.
pub const MAX_NAME: usize = 107;

/// A listening socket at `path`, of whatever length. Only its owner may
/// connect. Does not block.
///
/// # Errors
/// Those of [`bind`] and listen(2).
pub fn listen(path: &Path, kind: SocketType) -> Result<OwnedFd, Errno> {
    let socket = bind(path, kind, Mode::RWXU)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// A socket at `path`, of whatever length: bound through the directory's entry
/// in /proc, which is short. What was there is removed. Does not block.
///
/// # Errors
/// Those of open(2), unlink(2) and bind(2).
pub fn bind(path: &Path, kind: SocketType, mode: Mode) -> Result<OwnedFd, Errno> {
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
    // The name gets the socket's mode, less the umask, which is not for one
    // thread of several to change.
    rustix::fs::fchmod(&socket, mode)?;
    let short = c_path(Path::new(&short))?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(short.as_c_str())?)?;
    if mode != Mode::RWXU {
        // Through a descriptor: the name may be a link to something else by now.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let there = rustix::fs::open(short.as_c_str(), flags, Mode::empty())?;
        rustix::fs::chmod(short_path(&there)?.as_c_str(), mode)?;
    }
    Ok(socket)
}

/// A socket connected to the one at `path`, of whatever length. Unless it never
/// waits (`SocketFlags::NONBLOCK`), `patience` is how long connecting, and
/// anything said over it later, may wait; `None` is for ever.
///
/// # Errors
/// Those of open(2), socket(2) and connect(2).
pub fn connect(
    path: &Path,
    kind: SocketType,
    flags: SocketFlags,
    patience: Option<Duration>,
) -> Result<OwnedFd, Errno> {
    let there = OFlags::PATH | OFlags::CLOEXEC;
    let there = rustix::fs::open(c_path(path)?.as_c_str(), there, Mode::empty())?;
    let short = short_path(&there)?;
    let flags = flags | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    if patience.is_some() {
        for timeout in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&socket, timeout, patience)?;
        }
    }
    rustix::net::connect(&socket, &SocketAddrUnix::new(short.as_c_str())?)?;
    Ok(socket)
}

/// A path to what is open here (proc(5)), however long its own is.
fn short_path(there: &OwnedFd) -> Result<CString, Errno> {
    use rustix::fd::AsRawFd;
    c_path(Path::new(&format!("/proc/self/fd/{}", there.as_raw_fd())))
}

/// Takes a folder for ourselves until the result is dropped (flock(2)): those
/// who look for a socket in it, and then make one, take turns.
///
/// # Errors
/// Those of open(2) and flock(2).
pub fn lock_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let folder = rustix::fs::open(c_path(path)?.as_c_str(), OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}

fn split(path: &Path) -> Result<(&Path, &std::ffi::OsStr), Errno> {
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    Ok((dir.unwrap_or(Path::new(".")), name))
}
