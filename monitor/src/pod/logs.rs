//! The logs of a container, as a request names them.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::Mode;
use wire::record::{Encoder, Tag};
use wire::{AsFd, FdSet, OwnedFd};

use super::types::{LogDriver, LogDriverType};
use crate::fds;
use crate::inherited::text;

/// Permissions of a new log: those that conmonrs gives, which some collectors of JSON logs count on.
fn mode(kind: LogDriverType) -> Mode {
    match kind {
        LogDriverType::Json => Mode::from_raw_mode(0o644),
        _ => Mode::from_raw_mode(0o600),
    }
}

/// The name that readers of the journal know the server by.
const JOURNAL_NAME: &str = "conmonrs";

/// The logs of one container, open.
#[derive(Debug, Default)]
pub struct Logs {
    /// For the kubelet.
    cri: Option<LogFile>,
    json: Option<LogFile>,
    journal: bool,
    /// Bytes that a file may have: the smallest of all limits.
    max_size: Option<u64>,
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: OwnedFd,
}

impl Logs {
    /// Opens them, or makes them. What is in them stays, until
    /// [`begin`](Self::begin).
    ///
    /// # Errors
    /// Says which cannot be opened, or is one too many.
    pub fn open(drivers: &[LogDriver]) -> Result<Self, String> {
        let mut logs = Logs::default();
        for driver in drivers {
            let (place, name) = match driver.kind {
                LogDriverType::Journald => {
                    logs.journal = true;
                    continue;
                }
                LogDriverType::ContainerRuntimeInterface => {
                    (&mut logs.cri, "containerRuntimeInterface")
                }
                LogDriverType::Json => (&mut logs.json, "json"),
            };
            if place.is_some() {
                return Err(format!("cannot log to '{}', too: one {name} log is all", driver.path));
            }
            *place = Some(open(driver)?);
            let limits = logs.max_size.into_iter().chain([driver.max_size]);
            logs.max_size = limits.filter(|limit| *limit > 0).min();
        }
        Ok(logs)
    }

    fn files(&self) -> impl Iterator<Item = &LogFile> {
        [&self.cri, &self.json].into_iter().flatten()
    }

    /// Empties them: the container that writes to them exists now.
    pub fn begin(&self) {
        for log in self.files() {
            // A device or a FIFO has no length.
            let _ = rustix::fs::ftruncate(&log.file, 0);
        }
    }

    /// What the hub and the log-writer are to know of them.
    pub fn encode<Put: FnMut(&[u8])>(&self, id: &str, record: &mut Encoder<Put>) {
        for (tag, log) in [(Tag::LogPath, &self.cri), (Tag::JsonPath, &self.json)] {
            if let Some(log) = log {
                // The log-writer opens it again by this name.
                let path = std::path::absolute(&log.path).unwrap_or_else(|_| log.path.clone());
                record.string(tag, path.as_os_str().as_bytes());
            }
        }
        if let Some(limit) = self.max_size {
            record.number(Tag::LogSizeMax, limit);
        }
        record.number(Tag::NoSyncLog, 1);
        if self.cri.is_some() {
            for (since, offset) in crate::zone::offsets() {
                record.zone(since, offset);
            }
        }
        if self.journal {
            // An id with a newline would make a field of its own.
            let id: String = id.chars().filter(|letter| !letter.is_control()).collect();
            record.bytes(Tag::Journal, format!("CONTAINER_ID_FULL={id}\n").as_bytes());
            record.number(Tag::JournalUnmarked, 1);
            record.string(Tag::WriterName, JOURNAL_NAME.as_bytes());
        }
    }

    /// One descriptor for all files, for the hub.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn fds(&self) -> Result<Vec<(FdSet, OwnedFd)>, String> {
        let files: Vec<_> = self.files().map(|log| log.file.as_fd()).collect();
        let one = fds::tie_logs(&files)
            .map_err(|error| format!("cannot keep the logs open: {}", text(error)))?;
        Ok(one.map(|one| (FdSet::LOG, one)).into_iter().collect())
    }
}

fn open(driver: &LogDriver) -> Result<LogFile, String> {
    let path = PathBuf::from(&driver.path);
    let file = fds::open_log(&path, mode(driver.kind)).map_err(|error| {
        let error = std::io::Error::from_raw_os_error(error.raw_os_error());
        format!("open log file path '{}': {error}", driver.path)
    })?;
    Ok(LogFile { path, file })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use wire::record::Fields;

    fn driver(path: &str, max_size: u64) -> LogDriver {
        LogDriver { path: path.into(), max_size, ..LogDriver::default() }
    }

    #[test]
    fn a_log_is_private_and_empty_once_the_container_is_there() {
        let path = std::env::temp_dir().join(format!("conmote-logs-{}", std::process::id()));
        let name = path.to_str().unwrap();
        std::fs::write(&path, "of an earlier container").unwrap();
        let logs = Logs::open(&[driver(name, 0)]).unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), b"");
        logs.begin();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        std::fs::remove_file(&path).unwrap();
        let json = LogDriver { kind: LogDriverType::Json, ..driver(name, 9) };
        let logs = Logs::open(&[driver(name, 0), json]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(logs.fds().unwrap().len(), 1);
        assert_eq!(logs.max_size, Some(9));
        let refused = Logs::open(&[driver(name, 0), driver(name, 0)]).unwrap_err();
        assert!(refused.ends_with("one containerRuntimeInterface log is all"), "{refused}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_named() {
        assert_eq!(
            Logs::open(&[driver("/does/not/exist", 0)]).unwrap_err(),
            "open log file path '/does/not/exist': No such file or directory (os error 2)"
        );
    }

    #[test]
    fn an_id_cannot_add_a_field_to_the_journal() {
        let journald = LogDriver { kind: LogDriverType::Journald, ..LogDriver::default() };
        let mut bytes = Vec::new();
        let mut record = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        Logs::open(&[journald]).unwrap().encode("a\nPRIORITY=0", &mut record);
        let journal = Fields::new(&bytes).unwrap().all(Tag::Journal).next();
        assert_eq!(journal, Some(&b"CONTAINER_ID_FULL=aPRIORITY=0\n"[..]));
    }
}
