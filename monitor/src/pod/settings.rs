//! What the server was started with, and its way to the workers: a record.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use log::LevelFilter;
use wire::record::{Encoder, Fields, Tag};

/// Name of the RPC socket in the folder of the server.
pub const SOCKET: &str = "conmon.sock";
/// Name of the fd socket in the same folder.
pub const FD_SOCKET: &str = "conmon-fd.sock";
/// Name of the file with the server's pid in the same folder.
pub const PID_FILE: &str = "pidfile";

/// What a pod's server and its workers need to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The OCI runtime.
    pub runtime: PathBuf,
    /// The folder of the server: socket, pid file, pid files of execs.
    pub runtime_dir: PathBuf,
    /// Where the runtime keeps its containers; `None`: where it likes.
    pub runtime_root: Option<PathBuf>,
    /// Which messages of the server are shown.
    pub log_level: LevelFilter,
    /// The oom_score_adj of whoever started the server: what it starts gets it
    /// back. `None`: it never changed.
    pub oom_score_adj: Option<String>,
}

impl Settings {
    /// Path of the RPC socket.
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir.join(SOCKET)
    }

    /// Path of the fd socket.
    pub fn fd_socket(&self) -> PathBuf {
        self.runtime_dir.join(FD_SOCKET)
    }

    /// As the content of a record.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        record
            .string(Tag::Runtime, self.runtime.as_os_str().as_bytes())
            .string(Tag::RuntimeDir, self.runtime_dir.as_os_str().as_bytes())
            .string(Tag::RpcSocket, self.socket().as_os_str().as_bytes())
            .string(Tag::FdSocket, self.fd_socket().as_os_str().as_bytes())
            .string(Tag::LogLevel, self.log_level.as_str().as_bytes());
        if let Some(root) = &self.runtime_root {
            record.string(Tag::RuntimeRoot, root.as_os_str().as_bytes());
        }
        if let Some(score) = &self.oom_score_adj {
            record.string(Tag::OomScoreAdj, score.as_bytes());
        }
        bytes
    }

    /// From the fields of a record. `None` when it is not one of a server.
    pub fn decode(fields: Fields<'_>) -> Option<Self> {
        let text = |tag| {
            let string = fields.string(tag)?.to_bytes();
            Some(OsStr::from_bytes(string).to_owned())
        };
        let utf_8 = |tag| text(tag).and_then(|text: OsString| text.into_string().ok());
        Some(Settings {
            runtime: text(Tag::Runtime)?.into(),
            runtime_dir: text(Tag::RuntimeDir)?.into(),
            runtime_root: text(Tag::RuntimeRoot).map(PathBuf::from),
            log_level: utf_8(Tag::LogLevel)?.parse().ok()?,
            oom_score_adj: utf_8(Tag::OomScoreAdj),
        })
    }

    /// The last part of the runtime's path.
    pub fn runtime_name(&self) -> &OsStr {
        self.runtime.file_name().unwrap_or(Path::new("runtime").as_os_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings like any other.
    pub(crate) fn example() -> Settings {
        Settings {
            runtime: "/usr/bin/runc".into(),
            runtime_dir: "/run/pod".into(),
            runtime_root: Some("/run/runc".into()),
            log_level: LevelFilter::Info,
            oom_score_adj: Some("0".into()),
        }
    }

    #[test]
    fn a_worker_knows_what_the_server_was_started_with() {
        let bare = Settings { runtime_root: None, oom_score_adj: None, ..example() };
        for settings in [example(), bare] {
            let bytes = settings.encode();
            let decoded = Fields::new(&bytes).and_then(Settings::decode);
            assert_eq!(decoded, Some(settings));
        }
        assert_eq!(Fields::new(&wire::record::MAGIC).and_then(Settings::decode), None);
    }
}
