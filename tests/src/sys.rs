//! The few system calls that the standard library has no name for, each with an owned descriptor and an error in words.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn check_size(result: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Takes a fresh descriptor from a call that just returned it.
fn own(fd: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the kernel has just given us this number and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A path as the kernel wants it.
///
/// # Errors
/// `InvalidInput` if it holds a NUL byte.
pub fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// A connected pair of `SOCK_SEQPACKET` sockets, as podman makes for each of its three "pipes" (`socketpair(2)`).
///
/// # Errors
/// What the call says, e.g. out of descriptors.
pub fn packet_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut pair = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: `pair` has room for the two numbers the call writes.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) })?;
    Ok((own(pair[0])?, own(pair[1])?))
}

/// A pipe, read end first; both ends close on exec (`pipe2(2)`).
///
/// # Errors
/// What the call says.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut pair = [0; 2];
    // SAFETY: `pair` has room for the two numbers the call writes.
    check(unsafe { libc::pipe2(pair.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok((own(pair[0])?, own(pair[1])?))
}

/// A second descriptor for the same file, with a number of at least `lowest` (`fcntl(2)`, `F_DUPFD_CLOEXEC`).
///
/// # Errors
/// What the call says.
pub fn duplicate_above(fd: impl AsFd, lowest: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain integers in, a new descriptor out.
    own(unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) })
}

/// Waits until `fd` is readable or hung up; `false` when `deadline` came first (`poll(2)`).
///
/// # Errors
/// What the call says.
pub fn readable(fd: impl AsFd, deadline: Instant) -> io::Result<bool> {
    ready(fd, libc::POLLIN, deadline)
}

/// Waits until `fd` takes data or is hung up; `false` when `deadline` came first (`poll(2)`).
///
/// # Errors
/// What the call says.
pub fn writable(fd: impl AsFd, deadline: Instant) -> io::Result<bool> {
    ready(fd, libc::POLLOUT, deadline)
}

fn ready(fd: impl AsFd, events: libc::c_short, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that the last millisecond is slept through and not spun through.
        let left =
            libc::c_int::try_from(left.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX);
        let mut one = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
        // SAFETY: one entry, and its address is good for the length of the call.
        match check(unsafe { libc::poll(&raw mut one, 1, left) }) {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// One `read(2)` into `buffer`; 0 is end of file.
///
/// # Errors
/// What the call says.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is ours and as long as we say.
    check_size(unsafe {
        libc::read(fd.as_fd().as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len())
    })
}

/// One `send(2)` without `SIGPIPE`: one packet on a packet socket.
///
/// # Errors
/// What the call says.
pub fn send(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: the bytes are ours and as many as we say.
    check_size(unsafe {
        libc::send(fd.as_fd().as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags)
    })
}

/// Ends one direction of a socket (`shutdown(2)`, `SHUT_WR`).
///
/// # Errors
/// What the call says.
pub fn shut_writing(fd: impl AsFd) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::shutdown(fd.as_fd().as_raw_fd(), libc::SHUT_WR) }).map(drop)
}

/// Connects a new socket of `kind` (`SOCK_SEQPACKET`, `SOCK_STREAM`) to the path (`unix(7)`).
///
/// # Errors
/// `InvalidInput` for a path over 107 bytes, else what the call says.
pub fn connect(kind: libc::c_int, path: &Path) -> io::Result<OwnedFd> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: all zeros is a valid address of this type.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    if bytes.len() >= address.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    // SAFETY: plain integers in, a new descriptor out.
    let socket = own(unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) })?;
    let length = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is ours and as long as we say.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// Sends one descriptor together with `bytes` (`SCM_RIGHTS`, `unix(7)`).
///
/// # Errors
/// What the call says.
pub fn send_fd(socket: impl AsFd, fd: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    send_fds(socket, &[fd.as_fd()], bytes)
}

/// Sends descriptors together with `bytes`; see [`send_fd`].
///
/// # Errors
/// What the call says, e.g. too many.
pub fn send_fds(socket: impl AsFd, fds: &[BorrowedFd<'_>], bytes: &[u8]) -> io::Result<()> {
    let len = mem::size_of_val(fds) as libc::c_uint;
    // SAFETY: only computes.
    let space = unsafe { libc::CMSG_SPACE(len) } as usize;
    // Aligned as a control message wants it.
    let mut control = vec![0u64; space.div_ceil(8)];
    let mut piece =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all zeros is a valid message header; the control buffer holds
    // one entry with all descriptors, which is the one the macros hand out.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = space as _;
        let entry = libc::CMSG_FIRSTHDR(&raw const message);
        (*entry).cmsg_level = libc::SOL_SOCKET;
        (*entry).cmsg_type = libc::SCM_RIGHTS;
        (*entry).cmsg_len = libc::CMSG_LEN(len) as _;
        let data = libc::CMSG_DATA(entry).cast::<RawFd>();
        for (place, fd) in fds.iter().enumerate() {
            data.add(place).write_unaligned(fd.as_raw_fd());
        }
        check_size(libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, 0)).map(drop)
    }
}

/// Has the kernel say with each datagram who sent it (`SO_PASSCRED`, `unix(7)`).
///
/// # Errors
/// What the call says.
pub fn ask_for_senders(socket: impl AsFd) -> io::Result<()> {
    let yes: libc::c_int = 1;
    let (socket, length) = (socket.as_fd().as_raw_fd(), mem::size_of_val(&yes));
    let value = (&raw const yes).cast();
    // SAFETY: the kernel reads an int of this length, which outlives the call.
    check(unsafe {
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_PASSCRED, value, length as _)
    })
    .map(drop)
}

/// Takes a datagram that waits, and the pid of its sender; see [`ask_for_senders`].
///
/// # Errors
/// What the call says; `InvalidData` if it has no sender.
pub fn receive_from(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, i32)> {
    // Aligned as a control message wants it, with room for one `struct ucred`.
    let mut control = [0u64; 4];
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zeros is a valid message header; buffer and control outlive the call, and an entry of this type and
    // length holds a `struct ucred`.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = mem::size_of_val(&control) as _;
        let flags = libc::MSG_DONTWAIT;
        let length =
            check_size(libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, flags))?;
        let entry = libc::CMSG_FIRSTHDR(&raw const message);
        if entry.is_null() || (*entry).cmsg_type != libc::SCM_CREDENTIALS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((length, libc::CMSG_DATA(entry).cast::<libc::ucred>().read_unaligned().pid))
    }
}

/// Sends signal `signal` to process `pid` (`kill(2)`).
///
/// # Errors
/// What the call says, e.g. no such process.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Lets process `pid` open descriptors below this number only (`prlimit(2)`, the soft limit of `RLIMIT_NOFILE`).
///
/// # Errors
/// What the call says.
pub fn limit_descriptors(pid: i32, below: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills in the one structure, which is ours.
    check(unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &raw mut limit) })?;
    limit.rlim_cur = below.min(limit.rlim_max);
    // SAFETY: the call reads the one structure, which is ours.
    check(unsafe {
        libc::prlimit(pid, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut())
    })
    .map(drop)
}

/// Writes to `fd` until it takes no more, and leaves it non-blocking (`fcntl(2)`, `O_NONBLOCK`). Returns how many bytes
/// there are in it now.
///
/// # Errors
/// What the calls say.
pub fn fill(fd: impl AsFd) -> io::Result<usize> {
    let number = fd.as_fd().as_raw_fd();
    // SAFETY: plain integers.
    let flags = check(unsafe { libc::fcntl(number, libc::F_GETFL) })?;
    // SAFETY: plain integers.
    check(unsafe { libc::fcntl(number, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    let mut sum = 0;
    for size in [4096, 1] {
        // SAFETY: as many bytes as we say, of a constant.
        while let Ok(count) =
            check_size(unsafe { libc::write(number, [b'.'; 4096].as_ptr().cast(), size) })
        {
            sum += count;
        }
    }
    Ok(sum)
}

/// A descriptor that becomes readable when `pid` ends (`pidfd_open(2)`).
///
/// # Errors
/// What the call says, e.g. no such process.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers in, a new descriptor out.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    own(libc::c_int::try_from(fd).unwrap_or(-1))
}

/// A descriptor that becomes readable whenever anything changes in the directory (`inotify(7)`).
///
/// # Errors
/// What the call says, e.g. no such directory.
pub fn watch_directory(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    // SAFETY: plain integers in, a new descriptor out.
    let fd = own(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
    let events = libc::IN_CREATE
        | libc::IN_MODIFY
        | libc::IN_MOVED_TO
        | libc::IN_MOVED_FROM
        | libc::IN_DELETE
        | libc::IN_ATTRIB;
    // SAFETY: the path is ours and ends in NUL.
    check(unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), events) })?;
    Ok(fd)
}

/// A named pipe with mode 0600 (`mkfifo(3)`).
///
/// # Errors
/// What the call says, e.g. the name is taken.
pub fn make_fifo(path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: the path is ours and ends in NUL.
    check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).map(drop)
}

/// In a new child, between fork and exec: puts each `(from, number)` where the program expects it and closes all the rest
/// on exec. Safe there: system calls only. Each `from` must be above every `number` (see [`duplicate_above`]).
///
/// # Errors
/// What the calls say.
pub fn place_fds(pairs: &[(RawFd, RawFd)]) -> io::Result<()> {
    // SAFETY: plain integers; marks, closes nothing.
    check(unsafe {
        libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int)
    })?;
    for (from, number) in pairs {
        // SAFETY: plain integers; this runs in a child of its own.
        check(unsafe { libc::dup2(*from, *number) })?;
    }
    Ok(())
}

/// In a new child, too: writes `CLOCK_MONOTONIC` (`clock_gettime(2)`), seconds and nanoseconds.
///
/// # Errors
/// What the calls say.
pub fn write_time(to: impl AsFd) -> io::Result<()> {
    // SAFETY: all zeros is a valid time.
    let mut now: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: the time is ours to be written.
    check(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) })?;
    let numbers = [now.tv_sec, now.tv_nsec];
    let length = mem::size_of_val(&numbers);
    // SAFETY: the numbers are ours and as long as we say.
    check_size(unsafe { libc::write(to.as_fd().as_raw_fd(), numbers.as_ptr().cast(), length) })
        .map(drop)
}

/// Makes every descriptor from `first` on close on exec (`close_range(2)`).
///
/// # Errors
/// What the call says.
pub fn close_on_exec_from(first: libc::c_uint) -> io::Result<()> {
    // SAFETY: plain integers; marks, closes nothing.
    check(unsafe {
        libc::close_range(first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as libc::c_int)
    })
    .map(drop)
}

/// Where something is mounted in a directory (`/proc/self/mounts`), the last mount first.
pub fn mounted_below(directory: &Path) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    places.map(PathBuf::from).filter(|place| place.starts_with(directory)).collect()
}

/// Unmounts, whoever still uses it (`umount2(2)`, `MNT_DETACH`).
///
/// # Errors
/// What the call says, e.g. nothing is mounted there.
pub fn unmount(path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: a NUL-terminated path that outlives the call.
    check(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Gives this thread a network namespace of its own, with a loopback interface that is up, and says where it is. Without
/// the right to do so, it is everybody's.
///
/// # Errors
/// The interface cannot be set up.
pub fn own_network() -> io::Result<String> {
    // SAFETY: no memory is involved; only this thread changes.
    let (tid, unshared) = unsafe { (libc::gettid(), libc::unshare(libc::CLONE_NEWNET)) };
    let path = format!("/proc/{}/task/{tid}/ns/net", std::process::id());
    if unshared < 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::EPERM) { Ok(path) } else { Err(error) };
    }
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zero is a valid request, and its address is good for the length of the call (netdevice(7)).
    let done = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(path) }
}
