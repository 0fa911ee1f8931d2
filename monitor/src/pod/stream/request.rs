//! What a streaming session is: from the worker that was asked for it to the
//! process that serves it, by way of the hub, in a record.

use wire::event::now_ms;
use wire::record::{Encoder, Fields, Tag};

use crate::pod::types::{
    CgroupManager, ExecSyncContainerRequest, ServeAttachContainerRequest, ServeExecContainerRequest,
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Run a command.
    Exec(ServeExecContainerRequest),
    /// Take part in the container's own input and output.
    Attach(ServeAttachContainerRequest),
    /// Connect to ports in the network namespace at this path.
    PortForward(String),
}

impl Job {
    /// Its name, in URLs and records.
    pub fn name(&self) -> &'static str {
        match self {
            Job::Exec(_) => "exec",
            Job::Attach(_) => "attach",
            Job::PortForward(_) => "port-forward",
        }
    }
}

/// A session that nobody has begun yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is.
    pub job: Job,
    /// What its client has to know.
    pub token: String,
    /// When that is worth nothing any more, in ms of CLOCK_MONOTONIC.
    pub until: u64,
}

const TTY: u64 = 1;
const STDIN: u64 = 1 << 1;
const STDOUT: u64 = 1 << 2;
const STDERR: u64 = 1 << 3;
const CGROUPFS: u64 = 1 << 4;

impl Request {
    /// Whether its time is over.
    pub fn expired(&self) -> bool {
        self.until <= now_ms()
    }

    /// As the content of a record. NULs in a text end it: no id and no path has
    /// any, and a command cannot.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        let plain = |text: &str| text.split('\0').next().unwrap_or_default().as_bytes().to_vec();
        record.string(Tag::StreamKind, self.job.name().as_bytes());
        record.string(Tag::StreamToken, self.token.as_bytes());
        record.number(Tag::StreamUntil, self.until);
        let flags = |set: &[(bool, u64)]| {
            set.iter().filter(|(on, _)| *on).fold(0, |flags, (_, bit)| flags | bit)
        };
        match &self.job {
            Job::Exec(exec) => {
                let cgroupfs = exec.cgroup_manager == CgroupManager::Cgroupfs;
                let set = [
                    (exec.tty, TTY),
                    (exec.stdin, STDIN),
                    (exec.stdout, STDOUT),
                    (exec.stderr, STDERR),
                    (cgroupfs, CGROUPFS),
                ];
                record.string(Tag::Cid, &plain(&exec.id)).number(Tag::StreamFlags, flags(&set));
                for word in &exec.command {
                    record.string(Tag::StreamWord, &plain(word));
                }
            }
            Job::Attach(attach) => {
                let set = [(attach.stdin, STDIN), (attach.stdout, STDOUT), (attach.stderr, STDERR)];
                record.string(Tag::Cid, &plain(&attach.id)).number(Tag::StreamFlags, flags(&set));
            }
            Job::PortForward(path) => {
                record.string(Tag::StreamWord, &plain(path));
            }
        }
        bytes
    }

    /// From the fields of a record. `None` when it is not one of a session.
    pub fn decode(fields: Fields<'_>) -> Option<Self> {
        let utf_8 = |text: &std::ffi::CStr| text.to_str().ok().map(str::to_owned);
        let text = |tag| fields.string(tag).and_then(utf_8);
        let flags = fields.number(Tag::StreamFlags).unwrap_or(0);
        let flag = |bit| flags & bit != 0;
        let words = || fields.strings(Tag::StreamWord).filter_map(utf_8);
        let job = match &*text(Tag::StreamKind)? {
            "exec" => Job::Exec(ServeExecContainerRequest {
                id: text(Tag::Cid)?,
                command: words().collect(),
                tty: flag(TTY),
                stdin: flag(STDIN),
                stdout: flag(STDOUT),
                stderr: flag(STDERR),
                cgroup_manager: if flag(CGROUPFS) {
                    CgroupManager::Cgroupfs
                } else {
                    CgroupManager::Systemd
                },
                ..ServeExecContainerRequest::default()
            }),
            "attach" => Job::Attach(ServeAttachContainerRequest {
                id: text(Tag::Cid)?,
                stdin: flag(STDIN),
                stdout: flag(STDOUT),
                stderr: flag(STDERR),
                ..ServeAttachContainerRequest::default()
            }),
            "port-forward" => Job::PortForward(words().next()?),
            _ => return None,
        };
        let (token, until) = (text(Tag::StreamToken)?, fields.number(Tag::StreamUntil)?);
        Some(Request { job, token, until })
    }
}

/// The same for the code that runs commands.
pub fn as_command(request: &ServeExecContainerRequest) -> ExecSyncContainerRequest {
    ExecSyncContainerRequest {
        id: request.id.clone(),
        command: request.command.clone(),
        terminal: request.tty,
        cgroup_manager: request.cgroup_manager,
        ..ExecSyncContainerRequest::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_served_as_it_was_asked_for() {
        let exec = ServeExecContainerRequest {
            id: "abc".into(),
            command: ["sh", "-c", "", "ü"].map(String::from).to_vec(),
            tty: true,
            stderr: true,
            ..ServeExecContainerRequest::default()
        };
        let other = ServeExecContainerRequest {
            stdin: true,
            stdout: true,
            cgroup_manager: CgroupManager::Cgroupfs,
            ..ServeExecContainerRequest::default()
        };
        let attach = ServeAttachContainerRequest {
            id: "abc".into(),
            stdin: true,
            stderr: true,
            ..ServeAttachContainerRequest::default()
        };
        let jobs = [
            Job::Exec(exec),
            Job::Exec(other),
            Job::Attach(attach),
            Job::PortForward("/run/netns/x".into()),
        ];
        for job in jobs {
            let request = Request { job, token: "t".into(), until: 7 };
            let bytes = request.encode();
            assert_eq!(Request::decode(Fields::new(&bytes).unwrap()), Some(request));
        }
        assert_eq!(Request::decode(Fields::new(&wire::record::MAGIC).unwrap()), None);
    }
}
