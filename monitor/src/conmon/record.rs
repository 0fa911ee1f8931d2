//! The container's record: what the hub and the roles are told.

use std::num::NonZeroU64;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use wire::record::{Encoder, Tag};

use super::config::{ApiVersion, Config, Mode};
use super::setup::Paths;
use crate::oom::Watch;

/// Most arguments of the exit command; podman passes about thirty.
pub const MAX_EXIT_ARGS: usize = 1000;

/// Encodes what outlives set-up.
pub fn encode(
    config: &Config,
    paths: &Paths,
    oom: Option<&Watch>,
    oom_score_adj: Option<&str>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4096);
    let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
    record.string(Tag::Cid, config.cid.as_bytes());
    let path = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let optional = [
        (Tag::ExitDir, &config.exit_dir),
        (Tag::PersistDir, &config.persist_dir),
        (Tag::AttachPath, &paths.attach),
        (Tag::SocketLink, &paths.link),
        (Tag::NotifySocket, &config.sdnotify_socket),
    ];
    for (tag, value) in optional {
        if let Some(value) = value {
            record.string(tag, &path(value));
        }
    }
    if let Some(command) = &config.exit_command {
        record.string(Tag::ExitCommand, &path(&command.program));
        for arg in &command.args {
            record.string(Tag::ExitCommandArg, arg.as_bytes());
        }
        record.number(Tag::ExitDelay, command.delay.as_secs());
    }
    if let Some(timeout) = config.timeout {
        record.number(Tag::Timeout, timeout.as_secs());
    }
    if matches!(config.mode, Mode::Exec { .. }) {
        record.string(Tag::SyncKey, key(config).as_bytes());
    }
    if let Some(score) = oom_score_adj {
        record.string(Tag::OomScoreAdj, score.as_bytes());
    }
    if let Some(oom) = oom {
        if let Some(bundle) = &config.bundle {
            record.string(Tag::Bundle, &path(bundle));
        }
        record.string(Tag::OomCounter, &path(&oom.counter));
        record.number(Tag::OomKillsBefore, oom.before.kills);
        if let Some(ooms) = oom.before.ooms {
            record.number(Tag::OomsBefore, ooms);
        }
    }
    record.number(Tag::CloseStdin, u64::from(config.stdin && !config.leave_stdin_open));
    if let Some(file) = &config.log.k8s_file {
        // The log-writer opens it again by this name.
        let absolute = std::path::absolute(&file.path).unwrap_or_else(|_| file.path.clone());
        record.string(Tag::LogPath, &path(&absolute));
        record.number(Tag::LogSizeMax, config.log.size_max.map_or(0, NonZeroU64::get));
        record.number(Tag::NoSyncLog, u64::from(!config.log.sync));
        for (since, offset) in crate::zone::offsets() {
            record.zone(since, offset);
        }
    }
    if let Some(journal) = &config.log.journal {
        record.bytes(Tag::Journal, &journal.fields);
        record.number(Tag::JournalUnmarked, u64::from(!journal.marks));
    }
    bytes
}

/// The key of this engine's messages on the sync pipe.
pub fn key(config: &Config) -> &'static str {
    match (config.api_version, &config.mode) {
        (ApiVersion::V1, _) => "data",
        (ApiVersion::V0, Mode::Exec { .. }) => "exit_code",
        (ApiVersion::V0, _) => "pid",
    }
}
