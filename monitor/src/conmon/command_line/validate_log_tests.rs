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
    for driver in ["k8s-file", "json-file"] {
        for option in ["--log-tag", "--log-label"] {
            let args = format!("{GOOD} -l {driver}:{} {option} A=b", path.display());
            assert_eq!(refused(&args), format!("{driver} doesn't support {option}"));
        }
    }
}

#[test]
fn limits_and_backups_count_when_they_are_asked_for() {
    let log = good("--log-max-files 5 --log-size-max 0 --log-global-size-max -1").log;
    assert_eq!((log.backups, log.size_max, log.global_size_max), (None, None, None));
    let log = good("--log-rotate --log-size-max 7 --log-global-size-max 0x10").log;
    let number = NonZeroU64::new;
    assert_eq!(
        (log.backups, log.size_max, log.global_size_max),
        (number(1), number(7), number(16))
    );
    assert_eq!(good("--log-rotate --log-max-files 3").log.backups, number(3));
}

#[test]
fn a_log_outside_the_allowed_directories_is_not_made() {
    let (logs, others) = (Directory::new("allowed"), Directory::new("allowed-not"));
    let args = |log: &Path| {
        let allowed = logs.file("").display().to_string();
        format!("{GOOD} -l {} --log-allowlist-dir {allowed}", log.display())
    };
    assert!(check(&args(&logs.file("log"))).is_ok());
    let log = others.file("log");
    assert_eq!(
        refused(&args(&log)),
        format!(
            "log file {} is in no directory given with --log-allowlist-dir; log to one of those",
            log.display()
        )
    );
    assert!(!log.exists());
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
