//! Becoming the hub: the record, the `Adopt` message, and the exec.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use wire::sys::{Mask, Strings};
use wire::{AsFd, BorrowedFd, Errno, FdSet, Link, Message, OwnedFd};

use crate::execute::strings;
use crate::fds::c_path;
use crate::inherited::text;

/// The program that we are (proc(5)).
const OWN: &str = "/proc/self/exe";

/// The program that is the hub, and the first process of a pod.
const HUB: &str = "exit-reaper";

/// The programs of the roles, which live beside ours.
#[derive(Debug)]
pub struct Programs {
    path: PathBuf,
    hub: OwnedFd,
    writer: OwnedFd,
    proxy: OwnedFd,
    monitor: OwnedFd,
}

/// A log-writer that runs before there is a hub.
#[derive(Debug)]
pub struct Writer {
    link: Link,
    pid: Pid,
}

impl Writer {
    fn number(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }
}

impl Programs {
    /// Finds them, so that a broken installation is noticed before a container
    /// is started. They are held open: an upgrade does not mix versions.
    ///
    /// # Errors
    /// Says which program is missing.
    pub fn find() -> Result<Self, String> {
        let own = own_path()?;
        let beside = |name: &str| open_beside(&own, name);
        Ok(Programs {
            path: own.with_file_name(HUB),
            hub: beside(HUB)?,
            writer: beside("log-writer")?,
            proxy: beside("attach-proxy")?,
            // Not by its name, which may be another program's by now.
            monitor: rustix::fs::open(OWN, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| format!("cannot open {OWN}: {}; mount /proc", text(error)))?,
        })
    }
}

/// Starts the log-writer while there is nothing else to do: of an exec session
/// whose end somebody waits for, its start is a tenth. It gets none of the
/// `inherited` descriptors. The hub takes it over, or it ends with us. `None`: it
/// is for the hub to try.
pub fn start_writer(programs: &Programs, inherited: &[i32]) -> Option<Writer> {
    let variables = environment();
    let mut room = Vec::new();
    let variables = strings(&variables, &mut room).ok()?;
    match wire::spawn_role(programs.writer.as_fd(), c"log-writer", variables, inherited) {
        Ok((link, pid)) => Some(Writer { link, pid }),
        Err(error) => {
            log::debug!("cannot start log-writer yet: {}", text(error));
            None
        }
    }
}

/// Opens the hub's program, to be executed.
///
/// # Errors
/// Says that it is missing.
pub fn hub_program() -> Result<OwnedFd, String> {
    open_beside(&own_path()?, HUB)
}

fn own_path() -> Result<PathBuf, String> {
    std::fs::read_link(OWN).map_err(|error| format!("cannot read {OWN}: {error}; mount /proc"))
}

fn open_beside(own: &Path, name: &str) -> Result<OwnedFd, String> {
    let path = own.with_file_name(name);
    c_path(&path)
        .and_then(|path| {
            rustix::fs::open(path.as_c_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        })
        .map_err(|error| {
            format!("cannot open {}: {}; install it beside monitor", path.display(), text(error))
        })
}

/// A container that the hub is to take over.
#[derive(Debug)]
pub struct Container {
    /// Its pid; `None`: it never came to be, and its status is -1.
    pub pid: Option<i32>,
    /// The sealed record.
    pub record: OwnedFd,
    /// Its descriptors, by what they are.
    pub fds: Vec<(FdSet, OwnedFd)>,
}

/// What the hub of a pod begins with.
#[derive(Debug)]
pub struct Pod {
    /// The listening RPC socket.
    pub listener: OwnedFd,
    /// The sealed record of the server.
    pub record: OwnedFd,
}

/// What the hub is to do.
#[derive(Debug)]
pub enum Work {
    /// To take care of a container until it is gone; with the log-writer, if one
    /// runs already.
    Container(Container, Option<Writer>),
    /// To serve a pod until it is told to end.
    Pod(Pod),
}

/// Becomes the hub, with this work, and shown with this name beside its own.
/// `signals` is the signalfd whose signals are blocked. Returns only to say why
/// it did not.
pub fn become_hub(programs: &Programs, signals: &OwnedFd, name: &CStr, work: &Work) -> String {
    match hand_over(programs, signals, name, work) {
        Ok(error) => format!("cannot execute {}: {}", programs.path.display(), text(error)),
        Err(error) => format!("cannot hand over to {}: {}", programs.path.display(), text(error)),
    }
}

fn hand_over(
    programs: &Programs,
    signals: &OwnedFd,
    name: &CStr,
    work: &Work,
) -> Result<Errno, Errno> {
    let (link, theirs) = Link::pair()?;
    let mut start = vec![signals.as_fd(), programs.writer.as_fd(), programs.proxy.as_fd()];
    match work {
        Work::Container(container, writer) => {
            start.extend(writer.as_ref().map(|writer| writer.link.as_fd()));
            let writer = writer.as_ref().map_or(0, Writer::number);
            link.send(&Message::Start { pod: false, writer }, &start)?;
            send_adopt(&link, container)?;
        }
        Work::Pod(pod) => {
            start.extend([programs.monitor.as_fd(), pod.listener.as_fd(), pod.record.as_fd()]);
            link.send(&Message::Start { pod: true, writer: 0 }, &start)?;
        }
    }
    let mut room = [ptr::null(); 3];
    let names = Strings::new(&mut room, [c"exit-reaper", name]).ok_or(Errno::TOOBIG)?;
    let variables = environment();
    let mut room = Vec::new();
    let variables = strings(&variables, &mut room)?;
    wire::sys::on_signal(wire::sys::SIGPIPE, wire::sys::Disposition::Default)?;
    wire::sys::place_for_exec(&theirs, 0)?;
    Ok(wire::sys::exec(Some(programs.hub.as_fd()), c"", names, variables))
}

/// Hands a container to the hub at the other end of `link`.
///
/// # Errors
/// Those of sendmsg(2).
pub fn send_adopt(link: &Link, container: &Container) -> Result<(), Errno> {
    let mut fds = vec![(FdSet::RECORD, container.record.as_fd())];
    fds.extend(container.fds.iter().map(|(bit, fd)| (*bit, fd.as_fd())));
    fds.sort_by_key(|(bit, _)| bit.0);
    let set = fds.iter().fold(FdSet::default(), |set, (bit, _)| set.with(*bit));
    let fds: Vec<BorrowedFd<'_>> = fds.into_iter().map(|(_, fd)| fd).collect();
    let pid = container.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
    link.send(&Message::Adopt { pid, fds: set }, &fds)
}

/// Our environment, `NAME=value` each.
pub fn environment() -> Vec<CString> {
    let variables = std::env::vars_os().map(|(name, value)| {
        let mut text = name.into_vec();
        text.push(b'=');
        text.extend(value.into_vec());
        CString::new(text)
    });
    variables.flatten().collect()
}

/// Signals that are read from a signalfd instead of being delivered. SIGUSR1
/// and SIGPIPE are blocked beside them and never read: they mean nothing here.
pub const READ_SIGNALS: Mask =
    Mask::of(&[wire::sys::SIGCHLD, wire::sys::SIGTERM, wire::sys::SIGINT, wire::sys::SIGQUIT]);

/// Blocks the signals and makes the signalfd that the hub will read; both
/// survive the exec.
///
/// # Errors
/// Those of sigprocmask(2) and signalfd(2).
pub fn block_signals() -> Result<OwnedFd, Errno> {
    use wire::sys::{Disposition, SIGPIPE, SIGUSR1, on_signal};
    // Whoever started us may have had them ignored, and then they are lost.
    for signal in [wire::sys::SIGCHLD, wire::sys::SIGTERM, wire::sys::SIGINT, wire::sys::SIGQUIT] {
        on_signal(signal, Disposition::Default)?;
    }
    wire::sys::block_only(Mask(READ_SIGNALS.0 | Mask::of(&[SIGUSR1, SIGPIPE]).0))?;
    wire::sys::signalfd(READ_SIGNALS)
}
