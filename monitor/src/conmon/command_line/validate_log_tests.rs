use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// An empty directory that goes when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("conmote-log-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("create a directory");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn options_without_effect_are_accepted() {
    good("--log-max-files 5 --log-global-size-max 0 --log-tag t --log-label x -n n");
    good("--restore-arg x --no-container-partial-message");
}

#[test]
fn a_log_file_is_private_and_appended_to() {
    let dir = Directory::new("private");
    let path = dir.file("log");
    let log = good(&format!("-l {}", path.display())).log.k8s_file.expect("a log file");
    assert_eq!(log.path, path);
    let mode = std::fs::metadata(&path).expect("stat").permissions().mode();
    assert_eq!(mode & 0o777 & !0o640, 0, "0640 less the umask");
    std::fs::write(&path, "old\n").expect("write");
    rustix::io::write(&log.fd, b"new\n").expect("append");
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "old\nnew\n");
}

#[test]
fn a_log_file_is_written_through_a_symbolic_link() {
    let dir = Directory::new("link");
    std::os::unix::fs::symlink("target", dir.file("log")).expect("link");
    good(&format!("-l {}", dir.file("log").display()));
    assert!(dir.file("target").exists());
}

#[test]
fn a_log_file_takes_no_tag_and_no_label() {
    let dir = Directory::new("tag");
    let path = dir.file("log");
    for option in ["--log-tag", "--log-label"] {
        let args = format!("{GOOD} -l {} {option} A=b", path.display());
        assert_eq!(refused(&args), format!("k8s-file doesn't support {option}"));
    }
}

#[test]
fn only_the_last_log_file_is_made() {
    let dir = Directory::new("last");
    let (first, last) = (dir.file("first"), dir.file("last"));
    good(&format!("-l {} -l {}", first.display(), last.display()));
    assert!(!first.exists());
    assert!(last.exists());
}

#[test]
fn paths_and_ids_need_not_be_utf8() {
    let dir = Directory::new("bytes");
    let path = dir.0.join(OsStr::from_bytes(b"log\xff"));
    let cid = OsStr::from_bytes(b"\xfe");
    let mut args: Vec<&OsStr> = "-u uuid -r /bin/sh".split(' ').map(OsStr::new).collect();
    args.extend([OsStr::new("-l"), path.as_os_str(), OsStr::new("-c"), cid]);
    let options = Options::parse(&args).expect("well-formed");
    let config = config(options, LevelFilter::Warn).expect("accepted");
    assert!(path.exists());
    let pid_file = config.container_pid_file;
    assert!(pid_file.as_os_str().as_bytes().ends_with(b"/pidfile-\xfe"));
}
