//! What a container's log file holds: `TIME STREAM TAG CONTENT` lines, the format that podman calls k8s-file.

use super::Podman;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A log that does not grow for so long has come to rest: a container that may write does so all the time.
const REST: Duration = Duration::from_millis(300);

impl Podman {
    /// Where a container's log file is.
    #[track_caller]
    #[must_use]
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.inspect(name, ".HostConfig.LogConfig.Path").into()
    }

    /// What a container's log gives when its records are put together.
    #[track_caller]
    #[must_use]
    pub fn logged(&self, name: &str) -> Vec<u8> {
        let path = self.log_file(name);
        joined(&fs::read(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display())))
    }

    /// Whether there is a log with something in it and nothing is added any more.
    #[must_use]
    pub fn log_rests(&self, name: &str) -> bool {
        if self.run(&["container", "exists", name]).code != 0 {
            return false;
        }
        let path = self.log_file(name);
        let length = || fs::metadata(&path).map_or(0, |log| log.len());
        let before = length();
        std::thread::sleep(REST);
        before > 0 && length() == before
    }
}

/// A newline follows the content of each record with the tag F, none that of one with P.
fn joined(log: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for record in log.split_inclusive(|byte| *byte == b'\n') {
        let mut fields = record.splitn(4, |byte| *byte == b' ').skip(2);
        let (tag, content) = (
            fields.next().expect("a record has a tag"),
            fields.next().expect("a record has content"),
        );
        all.extend_from_slice(content);
        if tag == b"P" {
            assert_eq!(all.pop(), Some(b'\n'));
        }
    }
    all
}
