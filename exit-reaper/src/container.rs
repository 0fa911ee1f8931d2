//! What the hub knows of one container.

use crate::life::State;
use rustix::process::Pid;
use wire::record::{ROOM, Tag};
use wire::{Errno, FdSet, Fds, OwnedFd, Record};

/// A container and every descriptor of it. Descriptors that a role has been
/// given are duplicates: these stay here, so a role can be lost.
pub(crate) struct Container {
    /// The container's first process; `None` when it never came to be.
    pub(crate) pid: Option<Pid>,
    /// Ready to read when the container dies, if it is not our child.
    pub(crate) pidfd: Option<OwnedFd>,
    /// Its status as it will be published.
    pub(crate) status: i32,
    /// Where it is in its life.
    pub(crate) state: State,
    /// When [`state`](Self::state) has lasted too long, in ms of the clock.
    pub(crate) deadline: Option<u64>,
    /// When it is to be killed (`--timeout`), in ms of the clock.
    pub(crate) kill_at: Option<u64>,
    /// Whether that happened.
    pub(crate) timed_out: bool,
    /// When to accept attach connections again, after descriptors ran out.
    pub(crate) accept_at: Option<u64>,
    /// The exit command while it runs.
    pub(crate) command: Option<Pid>,
    /// How often its start has been put off.
    pub(crate) put_off: u16,

    pub(crate) record: OwnedFd,
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: Option<OwnedFd>,
    pub(crate) stderr: Option<OwnedFd>,
    pub(crate) tty: Option<OwnedFd>,
    pub(crate) stage_read: Option<OwnedFd>,
    pub(crate) stage_write: Option<OwnedFd>,
    pub(crate) listener: Option<OwnedFd>,
    pub(crate) ctl: Option<OwnedFd>,
    pub(crate) winsz: Option<OwnedFd>,
    pub(crate) sync: Option<OwnedFd>,
    pub(crate) log: Option<OwnedFd>,
    /// Closing it closes what the engine leaked in.
    pub(crate) leaks: Option<OwnedFd>,
    /// Wakes us when memory may have run out; `None` once the engine is told.
    pub(crate) oom: Option<OwnedFd>,
    /// Where the container sends its notifications.
    pub(crate) notify: Option<OwnedFd>,
    /// When to look at the count once more, in ms of the clock.
    pub(crate) oom_at: Option<u64>,

    /// Some output has come: clients that connect from now on are observers,
    /// whatever is known of the start.
    pub(crate) output_seen: bool,
    /// The program of the process when it was adopted (device and inode), if
    /// that was the runtime's, waiting to be started.
    program: Option<(u64, u64)>,
    /// It is an exec session, whose process is started already.
    pub(crate) exec: bool,
    /// It is the pause process of a pod, and goes after all others.
    pub(crate) pause: bool,
    /// Its clients get a packet that says that all output was sent.
    pub(crate) attach_done: bool,
    /// The log may not be on disk yet.
    pub(crate) log_dirty: bool,
    /// The last notification could not be sent.
    pub(crate) notification_lost: bool,
    /// It is dead, and a log-writer has yet to say that the log is complete.
    pub(crate) awaits_log: bool,
    /// It is dead, and an attach-proxy has yet to say that it has read the last
    /// of its notifications.
    pub(crate) awaits_notifications: bool,
    /// No client may send input any more.
    pub(crate) input_closed: bool,
    /// A log-writer was lost while it had this container's output.
    pub(crate) repair: bool,
    /// The running log-writer knows this container ...
    pub(crate) writer_told: bool,
    /// ... and has its output; else the hub watches it.
    pub(crate) output_given: bool,
    /// The running attach-proxy knows this container and has its inboxes; else
    /// the hub watches them.
    pub(crate) proxy_told: bool,
}

impl Container {
    /// From an `Adopt` message. Fails when the record cannot be read.
    pub(crate) fn adopt(pid: u32, set: FdSet, fds: Fds, now: u64) -> Result<Self, Errno> {
        let mut slots: [Option<OwnedFd>; 16] = [const { None }; 16];
        for (bit, fd) in set.bits().zip(fds) {
            if let Some(slot) = slots.get_mut(bit.0.trailing_zeros() as usize) {
                *slot = Some(fd);
            }
        }
        let [
            record,
            stdin,
            stdout,
            stderr,
            tty,
            stage_read,
            stage_write,
            listener,
            ctl,
            winsz,
            sync,
            log,
            leaks,
            oom,
            notify,
            _,
        ] = slots;
        let record = record.ok_or(Errno::INVAL)?;
        let (timeout, exec, pause, attach_done) = {
            let mut room = [0; ROOM];
            let read = Record::read(&record, &mut room)?;
            let fields = read.fields();
            let exec = fields.string(Tag::SyncKey).is_some();
            let pause = fields.string(Tag::PausePidFile).is_some();
            (fields.number(Tag::Timeout), exec, pause, fields.flag(Tag::AttachDone))
        };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        Ok(Container {
            pid,
            pidfd: None,
            status: -1,
            state: State::Running,
            deadline: None,
            kill_at: timeout.map(|seconds| now.saturating_add(seconds.saturating_mul(1000))),
            timed_out: false,
            accept_at: None,
            command: None,
            put_off: 0,
            record,
            stdin,
            stdout,
            stderr,
            tty,
            stage_read,
            stage_write,
            listener,
            ctl,
            winsz,
            sync,
            log,
            leaks,
            oom,
            oom_at: None,
            notify,
            output_seen: false,
            program: pid.and_then(program),
            exec,
            pause,
            attach_done,
            log_dirty: false,
            notification_lost: false,
            awaits_log: false,
            awaits_notifications: false,
            input_closed: false,
            repair: false,
            writer_told: false,
            output_given: false,
            proxy_told: false,
        })
    }

    /// Every descriptor that output can come from.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (FdSet, &OwnedFd)> {
        [
            (FdSet::STDOUT, &self.stdout),
            (FdSet::STDERR, &self.stderr),
            (FdSet::TTY, &self.tty),
            (FdSet::STAGE_READ, &self.stage_read),
        ]
        .into_iter()
        .filter_map(|(bit, fd)| Some((bit, fd.as_ref()?)))
    }

    /// What the log-writer needs to read the output.
    pub(crate) fn output_fds(&self) -> impl Iterator<Item = (FdSet, &OwnedFd)> {
        let write = self.stage_write.as_ref().map(|fd| (FdSet::STAGE_WRITE, fd));
        self.outputs().chain(write)
    }

    /// What commands and input go to.
    pub(crate) fn input_fds(&self) -> impl Iterator<Item = (FdSet, &OwnedFd)> {
        let stdin = if self.input_closed { &None } else { &self.stdin };
        [(FdSet::STDIN, stdin), (FdSet::TTY, &self.tty)]
            .into_iter()
            .filter_map(|(bit, fd)| Some((bit, fd.as_ref()?)))
            .chain(self.inboxes())
    }

    /// What an attach-proxy is started for as soon as something comes in: the
    /// FIFOs that engines write commands to, and the notify socket.
    pub(crate) fn inboxes(&self) -> impl Iterator<Item = (FdSet, &OwnedFd)> {
        let all =
            [(FdSet::CTL, &self.ctl), (FdSet::WINSZ, &self.winsz), (FdSet::NOTIFY, &self.notify)];
        all.into_iter().filter_map(|(bit, fd)| Some((bit, fd.as_ref()?)))
    }

    /// Whether it takes what attached clients send, or did so once: then the
    /// attach-proxy reads it and drops it, so that they do not block.
    pub(crate) fn takes_input(&self) -> bool {
        self.input_closed || self.stdin.is_some() || self.tty.is_some()
    }

    /// Whether its own program runs, as far as that can be told: the process
    /// of a created container is the runtime's until it is started.
    pub(crate) fn is_started(&self) -> bool {
        let now = self.pid.and_then(program);
        self.exec || (self.program.is_some() && now.is_some() && self.program != now)
    }

    /// The earliest of its timers, in ms of the clock.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        [self.deadline, self.kill_at, self.accept_at, self.oom_at].into_iter().flatten().min()
    }
}

/// Device and inode of the program that a process executes (proc(5)).
fn program(pid: Pid) -> Option<(u64, u64)> {
    use core::fmt::Write;
    let mut path = heapless::String::<24>::new();
    write!(path, "/proc/{}/exe\0", pid.as_raw_nonzero()).ok()?;
    let path = core::ffi::CStr::from_bytes_with_nul(path.as_bytes()).ok()?;
    let stat = rustix::fs::stat(path).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

/// An attached client. The hub keeps its socket for the roles that serve it.
pub(crate) struct Client {
    pub(crate) container: wire::Key,
    pub(crate) socket: OwnedFd,
    /// Connected before the container was started: output waits for it.
    pub(crate) owner: bool,
    /// May still send input.
    pub(crate) input: bool,
    /// The end of its input is the end of the container's.
    pub(crate) closes: bool,
    /// The running log-writer knows it.
    pub(crate) writer_told: bool,
    /// The running attach-proxy knows it.
    pub(crate) proxy_told: bool,
}

impl Client {
    /// Who has just connected to `container`, named `own`. With `first` that
    /// was while the runtime was at work.
    pub(crate) fn new(own: wire::Key, container: &Container, socket: OwnedFd, first: bool) -> Self {
        Client {
            container: own,
            socket,
            owner: !container.output_seen && (first || !container.is_started()),
            input: container.takes_input(),
            closes: false,
            writer_told: false,
            proxy_told: false,
        }
    }
}
