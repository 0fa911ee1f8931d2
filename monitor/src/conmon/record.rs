//! The container's record: what the hub and the roles are told.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use wire::record::{Encoder, Tag};

use super::config::{ApiVersion, Config, Mode};
use super::setup::Paths;
use crate::oom::Watch;

/// Most arguments of the exit command; podman passes about thirty.
pub const MAX_EXIT_ARGS: usize = 1000;

/// Puts the record into a memfd that nobody can change any more, and begins the
/// count of what is logged with the length that the log has by now.
///
/// # Errors
/// Those of memfd_create(2) and lseek(2).
pub fn seal(record: &[u8], config: &Config) -> Result<wire::OwnedFd, wire::Errno> {
    use rustix::fs::{FileType, SeekFrom, fstat, seek};
    let sealed = wire::record::seal(record)?;
    // The first file is the one that counts.
    let first = config.log.files().next().and_then(|file| fstat(&file.fd).ok());
    let regular = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
    let logged = first.filter(|stat| regular(stat.st_mode)).map_or(0, |stat| stat.st_size);
    seek(&sealed, SeekFrom::Start(logged.unsigned_abs()))?;
    Ok(sealed)
}

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
        oom.encode(&mut record);
    }
    record.number(Tag::CloseStdin, u64::from(config.stdin && !config.leave_stdin_open));
    // The log-writer opens them again by these names.
    for (tag, file) in
        [(Tag::LogPath, &config.log.k8s_file), (Tag::JsonPath, &config.log.json_file)]
    {
        if let Some(file) = file {
            record.string(tag, &path(&file.path));
        }
    }
    if config.log.files().next().is_some() {
        let limits = [
            (Tag::LogSizeMax, config.log.size_max),
            (Tag::LogGlobalMax, config.log.global_size_max),
            (Tag::LogBackups, config.log.backups),
        ];
        for (tag, limit) in limits {
            if let Some(limit) = limit {
                record.number(tag, limit.get());
            }
        }
        for directory in config.log.allowed.iter().flatten() {
            record.string(Tag::LogAllowed, &path(directory));
        }
        record.number(Tag::NoSyncLog, u64::from(!config.log.sync));
    }
    if config.log.k8s_file.is_some() {
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
