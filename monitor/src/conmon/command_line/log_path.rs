//! `--log-path`: which log drivers a container's output goes to.
//!
//! The grammar is conmon's, odd corners included, with one driver more: pieces
//! between colons, of which the first names the driver and the second the path;
//! a single piece that is no driver's name is a path.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A place for the container's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogDriver {
    /// A file in the format Kubernetes reads.
    K8sFile {
        /// The file, as given.
        path: PathBuf,
    },
    /// A file as Docker writes it.
    JsonFile {
        /// The file, as given.
        path: PathBuf,
    },
    /// systemd's journal.
    Journald,
    /// No log and no attaching: the container has our own stdin, stdout and
    /// stderr.
    Passthrough,
    /// Nothing is kept; other drivers stay in force.
    None,
}

/// Reads all occurrences of the option. Of several files of one format only
/// the last counts.
///
/// # Errors
/// conmon's words, for the first one that is wrong or when there is none.
pub fn parse_all(specs: &[OsString]) -> Result<Vec<LogDriver>, String> {
    if specs.is_empty() {
        return Err("Log driver not provided. Use --log-path".to_owned());
    }
    let mut drivers: Vec<LogDriver> = Vec::new();
    for spec in specs {
        let driver = parse(spec)?;
        drivers.retain(|other| std::mem::discriminant(other) != std::mem::discriminant(&driver));
        drivers.push(driver);
    }
    Ok(drivers)
}

/// Reads one occurrence.
///
/// # Errors
/// conmon's words for what is wrong with it.
pub fn parse(spec: &OsStr) -> Result<LogDriver, String> {
    let bytes = spec.as_bytes();
    let mut pieces = bytes.split(|&byte| byte == b':').filter(|piece| !piece.is_empty());
    let first = pieces.next().ok_or("log-path must not be empty")?;
    let second = pieces.next();
    let file = |path: &[u8]| LogDriver::K8sFile { path: PathBuf::from(OsStr::from_bytes(path)) };
    if bytes.starts_with(b":") && second.is_none() {
        return Ok(file(first));
    }
    match (first, second) {
        (b"off" | b"null" | b"none", _) => Ok(LogDriver::None),
        (b"passthrough", _) => Ok(LogDriver::Passthrough),
        (b"journald", _) => Ok(LogDriver::Journald),
        (b"k8s-file", None) => Err("k8s-file requires a filename".to_owned()),
        (b"k8s-file", Some(path)) => Ok(file(path)),
        // Ours; conmon knows no such driver. Without a colon it is a file.
        (b"json-file", None) if bytes.contains(&b':') => {
            Err("json-file requires a filename".to_owned())
        }
        (b"json-file", Some(path)) => {
            Ok(LogDriver::JsonFile { path: PathBuf::from(OsStr::from_bytes(path)) })
        }
        _ if !bytes.contains(&b':') => Ok(file(bytes)),
        _ => Err(format!("No such log driver {}", String::from_utf8_lossy(first))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(spec: &str) -> Result<LogDriver, String> {
        parse(OsStr::new(spec))
    }

    fn file(path: &str) -> LogDriver {
        LogDriver::K8sFile { path: PathBuf::from(path) }
    }

    fn all(specs: &[&str]) -> Result<Vec<LogDriver>, String> {
        parse_all(&specs.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_log_path_must_not_be_empty() {
        for spec in ["", ":", "::"] {
            assert_eq!(one(spec), Err("log-path must not be empty".to_owned()), "{spec:?}");
        }
    }

    #[test]
    fn a_single_piece_after_a_colon_is_always_a_file() {
        assert_eq!(one(":none"), Ok(file("none")));
        assert_eq!(one("::/x:"), Ok(file("/x")));
    }

    #[test]
    fn drivers_without_a_file_ignore_what_follows() {
        for spec in ["off", "null", "none", "none:/x", "off:"] {
            assert_eq!(one(spec), Ok(LogDriver::None), "{spec:?}");
        }
        assert_eq!(one("passthrough"), Ok(LogDriver::Passthrough));
        assert_eq!(one("journald"), Ok(LogDriver::Journald));
        assert_eq!(one("journald:/x"), Ok(LogDriver::Journald));
    }

    #[test]
    fn k8s_file_needs_a_path_and_cuts_it_at_the_next_colon() {
        for spec in ["k8s-file", "k8s-file:", "k8s-file::"] {
            assert_eq!(one(spec), Err("k8s-file requires a filename".to_owned()), "{spec:?}");
        }
        assert_eq!(one("k8s-file:/x/a"), Ok(file("/x/a")));
        assert_eq!(one("k8s-file:/x/a:b"), Ok(file("/x/a")));
        assert_eq!(one(":k8s-file::/x"), Ok(file("/x")));
    }

    #[test]
    fn json_file_is_a_driver_when_a_colon_follows() {
        let json = |path| Ok(LogDriver::JsonFile { path: PathBuf::from(path) });
        assert_eq!(one("json-file:/x/a"), json("/x/a"));
        assert_eq!(one("json-file:/x/a:b"), json("/x/a"));
        for spec in ["json-file:", "json-file::"] {
            assert_eq!(one(spec), Err("json-file requires a filename".to_owned()), "{spec:?}");
        }
        assert_eq!(one("json-file"), Ok(file("json-file")));
        assert_eq!(one(":json-file"), Ok(file("json-file")));
        let both = all(&["json-file:/a", "/k", "json-file:/b"]);
        assert_eq!(both, Ok(vec![file("/k"), LogDriver::JsonFile { path: PathBuf::from("/b") }]));
    }

    #[test]
    fn a_word_without_a_colon_is_a_file() {
        for path in ["/x/ctr.log", "json-file", "passthrough-tty", "None"] {
            assert_eq!(one(path), Ok(file(path)));
        }
    }

    #[test]
    fn any_other_word_before_a_colon_is_no_driver() {
        for (spec, name) in
            [("foo:/x", "foo"), ("foo:", "foo"), ("/x/a:b", "/x/a"), ("Json-file:/x", "Json-file")]
        {
            assert_eq!(one(spec), Err(format!("No such log driver {name}")));
        }
    }

    #[test]
    fn at_least_one_is_required_and_the_last_file_wins() {
        assert_eq!(all(&[]), Err("Log driver not provided. Use --log-path".to_owned()));
        assert_eq!(
            all(&["/a", "journald", "none", "k8s-file:/b"]),
            Ok(vec![LogDriver::Journald, LogDriver::None, file("/b")])
        );
        assert_eq!(all(&["passthrough", "passthrough"]), Ok(vec![LogDriver::Passthrough]));
        assert_eq!(all(&["/a", "x:y"]), Err("No such log driver x".to_owned()));
    }

    #[test]
    fn a_path_need_not_be_utf8() {
        let path = OsStr::from_bytes(b"/\xff");
        assert_eq!(parse(path), Ok(LogDriver::K8sFile { path: PathBuf::from(path) }));
    }
}
