//! Making namespaces, and the pause process in them.
//!
//! Three processes: this one stays where it is, and so may write the mappings
//! of a user namespace and mount for all to see; its child enters the new
//! namespaces (but cannot enter a PID namespace); that one's child is the first
//! process in all of them. It waits until the files are bound, and executes
//! the pause program then. If any of them dies, the others do, too.

use std::fs;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Gid, Pid, Signal, Uid, WaitOptions};
use rustix::thread::UnshareFlags;
use wire::sys::{Forked, Strings, place_for_exec};
use wire::{AsFd, Errno, OwnedFd};

use super::files::{Files, KINDS};
use super::mappings;
use crate::handover;
use crate::inherited::text;
use crate::pod::cli::Pause;
use crate::pod::types::Namespace;

/// How long the child may take for each step, in seconds. All of them take
/// a millisecond together.
const STEP_S: i64 = 3;

/// Why there is no pause process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The pod has one, or is about to have one.
    Busy(String),
    /// Anything else.
    Failed(String),
}

impl Failure {
    /// In words.
    pub fn text(&self) -> String {
        let (Failure::Busy(text) | Failure::Failed(text)) = self;
        text.clone()
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure::Failed(text)
    }
}

/// What the child says. Nothing more is said when its first process runs.
enum Said {
    /// It is in the new user namespace, and waits for its mappings.
    InUserNamespace,
    /// This is the first process; it waits for the files.
    First(Pid),
    /// It failed.
    Failed(String),
    /// The last of them has closed its end.
    Nothing,
}

/// Makes namespaces and the process that holds them, which goes on when this
/// returns. For a program with one thread.
///
/// # Errors
/// Says what failed; nothing is left behind then.
pub fn hold(pause: &Pause) -> Result<(), Failure> {
    if pause.user {
        mappings::check(&pause.uid_mappings, &pause.gid_mappings)?;
    }
    let files = Files::new(&pause.base_path, &pause.pod_id)?;
    let program = handover::hub_program()?;
    let claim = files.claim()?;
    let pair = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    );
    let (link, theirs) = pair.map_err(|error| format!("cannot make a socket: {}", text(error)))?;
    let child = match wire::sys::fork().map_err(|error| format!("cannot fork: {}", text(error)))? {
        Forked::Parent(child) => child,
        Forked::Child => {
            drop(link);
            let Err(reason) = enter(pause, &theirs, &program, &claim);
            send(&theirs, b'E', reason.as_bytes());
            wire::sys::exit(1)
        }
    };
    drop(theirs);
    let mut first = None;
    let done = guide(pause, &files, &link, &claim, child, &mut first);
    if done.is_err() {
        for process in [first, Some(child)].into_iter().flatten() {
            let _ = rustix::process::kill_process(process, Signal::KILL);
        }
        files.remove();
    }
    let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
    done
}

/// Does what the child cannot do itself, step by step.
fn guide(
    pause: &Pause,
    files: &Files,
    link: &OwnedFd,
    claim: &OwnedFd,
    child: Pid,
    first: &mut Option<Pid>,
) -> Result<(), Failure> {
    loop {
        match listen(link)? {
            Said::InUserNamespace => {
                let child = child.as_raw_nonzero();
                // In this order: the first takes a privilege that it may cost.
                let maps = [("gid_map", &pause.gid_mappings), ("uid_map", &pause.uid_mappings)];
                for (name, lines) in maps {
                    let path = format!("/proc/{child}/{name}");
                    fs::write(&path, lines.join("\n"))
                        .map_err(|error| format!("cannot write {path}: {error}"))?;
                }
                send(link, b'G', &[]);
            }
            Said::First(pid) => {
                *first = Some(pid);
                let pid = pid.as_raw_nonzero().get();
                files.write_pid(claim, pid)?;
                files.bind(pid)?;
                send(link, b'G', &[]);
            }
            Said::Failed(reason) => return Err(Failure::Failed(reason)),
            Said::Nothing => {
                let ended = || Failure::Failed("the child ended too early".into());
                return first.map(|_| ()).ok_or_else(ended);
            }
        }
    }
}

/// In the child: enters the namespaces, and has a child there.
fn enter(
    pause: &Pause,
    link: &OwnedFd,
    program: &OwnedFd,
    claim: &OwnedFd,
) -> Result<std::convert::Infallible, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: Errno| format!("cannot {what}: {}", text(error))
    };
    if pause.user {
        let made = wire::sys::unshare(UnshareFlags::NEWUSER);
        made.map_err(failed("make a user namespace"))?;
        send(link, b'U', &[]);
        wait(link)?;
        // Not permitted where setgroups(2) is denied, and then nothing is lost.
        let _ = rustix::thread::set_thread_groups(&[]);
        rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)
            .and_then(|()| rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT))
            .map_err(failed("become root of the user namespace; is id 0 mapped?"))?;
    }
    let others = KINDS
        .iter()
        .filter(|kind| kind.namespace != Namespace::User && is_wanted(pause, kind.namespace));
    for kind in others {
        let what = format!("make a {} namespace", kind.name);
        wire::sys::unshare(kind.flag).map_err(failed(&what))?;
    }
    match wire::sys::fork().map_err(failed("fork"))? {
        Forked::Child => become_first(link, program, claim),
        Forked::Parent(pid) => {
            send(link, b'P', &pid.as_raw_nonzero().get().to_ne_bytes());
            wire::sys::exit(0)
        }
    }
}

fn is_wanted(pause: &Pause, namespace: Namespace) -> bool {
    match namespace {
        Namespace::Ipc => pause.ipc,
        Namespace::Pid => pause.pid,
        Namespace::Net => pause.net,
        Namespace::User => pause.user,
        Namespace::Uts => pause.uts,
    }
}

/// In the child's child: becomes the pause process. Returns only to say why it
/// did not.
fn become_first(
    link: &OwnedFd,
    program: &OwnedFd,
    claim: &OwnedFd,
) -> Result<std::convert::Infallible, String> {
    wait(link)?;
    let prepare = || {
        // What it reads. Process 1 of a namespace never gets what comes before
        // it does so, unless that is blocked already.
        wire::sys::block_only(handover::READ_SIGNALS)?;
        // A group of its own, which the hub can kill.
        rustix::process::setsid()?;
        rustix::process::chdir(c"/")?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let null = rustix::fs::open(c"/dev/null", flags, Mode::empty())?;
        // The lock goes with it, and ends with it.
        place_for_exec(claim, 0)?;
        place_for_exec(&null, 1)?;
        place_for_exec(&null, 2)
    };
    let error = match prepare() {
        Err(error) => error,
        Ok(()) => {
            let mut room = [std::ptr::null(); 2];
            match Strings::new(&mut room, [c"pause"]) {
                Some(name) => wire::sys::exec(Some(program.as_fd()), c"", name, Strings::none()),
                None => Errno::TOOBIG,
            }
        }
    };
    Err(format!("cannot start the pause process: {}", text(error)))
}

/// Waits until the parent says that it may go on. Its end ends us.
fn wait(link: &OwnedFd) -> Result<(), String> {
    match rustix::net::recv(link, &mut [0u8; 1], RecvFlags::empty()) {
        Ok((_, 1)) => Ok(()),
        _ => wire::sys::exit(1),
    }
}

fn send(link: &OwnedFd, kind: u8, more: &[u8]) {
    // Who is not there any more is noticed by what does not come back.
    let _ = rustix::net::send(link, &[&[kind], more].concat(), SendFlags::NOSIGNAL);
}

/// What the child says next.
fn listen(link: &OwnedFd) -> Result<Said, Failure> {
    let mut packet = [0u8; 1024];
    let patience = Timespec { tv_sec: STEP_S, tv_nsec: 0 };
    let count = match rustix::event::poll(&mut [PollFd::new(link, PollFlags::IN)], Some(&patience))
    {
        Ok(0) => return Err(Failure::Failed("the kernel took too long for a namespace".into())),
        _ => rustix::net::recv(link, &mut packet, RecvFlags::empty()),
    };
    let (_, count) = count.map_err(|error| format!("cannot hear of the child: {}", text(error)))?;
    Ok(match packet.get(..count).and_then(<[u8]>::split_first) {
        None => Said::Nothing,
        Some((b'U', _)) => Said::InUserNamespace,
        Some((b'P', pid)) => pid
            .try_into()
            .ok()
            .and_then(|pid| Pid::from_raw(i32::from_ne_bytes(pid)))
            .map_or(Said::Nothing, Said::First),
        Some((_, reason)) => Said::Failed(String::from_utf8_lossy(reason).into_owned()),
    })
}
