//! A directory for one test, and reading logs back.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removed with everything in it when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("conmote-log-writer-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names of the files in it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path as system calls take it.
pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// One record of a log.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Line {
    pub(crate) stamp: String,
    pub(crate) stream: String,
    pub(crate) tag: u8,
    pub(crate) content: Vec<u8>,
}

/// The records of a log; every byte of it must belong to one.
pub(crate) fn parse(log: &[u8]) -> Vec<Line> {
    assert!(log.is_empty() || log.ends_with(b"\n"), "the log ends in a record");
    let lines = log.split_inclusive(|byte| *byte == b'\n');
    lines
        .map(|line| {
            assert!(line.len() > 45, "short record {line:?}");
            assert_eq!((line[35], line[42], line[44]), (b' ', b' ', b' '));
            Line {
                stamp: String::from_utf8(line[..35].to_vec()).unwrap(),
                stream: String::from_utf8(line[36..42].to_vec()).unwrap(),
                tag: line[43],
                content: line[45..line.len() - 1].to_vec(),
            }
        })
        .collect()
}

/// What was printed to a stream, from the records of a log.
pub(crate) fn printed(log: &[u8], stream: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in parse(log).iter().filter(|line| line.stream == stream) {
        bytes.extend_from_slice(&line.content);
        match line.tag {
            b'F' => bytes.push(b'\n'),
            tag => assert_eq!(tag, b'P'),
        }
    }
    bytes
}
