//! Calling the OCI runtime.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::{Pid, Signal};
use wire::sys::Mask;
use wire::{Errno, FdSet, OwnedFd};

use crate::conmon::config::{Config, Mode as Job};
use crate::execute::execute;
use crate::fds::{self, Ours};

/// What the runtime's process gets.
#[derive(Debug, Default)]
pub struct Stdio {
    /// `None`: `/dev/null`.
    pub stdin: Option<OwnedFd>,
    /// `None`: `/dev/null`.
    pub stdout: Option<OwnedFd>,
    /// `None`: `/dev/null`.
    pub stderr: Option<OwnedFd>,
}

impl Stdio {
    /// Pipes for what the container has: our ends go to `fds`. With a terminal
    /// there is only the one for errors, and it is the runtime's alone.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn open(
        stdin: bool,
        terminal: bool,
        fds: &mut Vec<(FdSet, OwnedFd)>,
    ) -> Result<Self, String> {
        let mut stdio = Stdio::default();
        if !terminal {
            if stdin {
                let pipe = fds::pipe(Ours::Write)?;
                stdio.stdin = Some(pipe.theirs);
                fds.push((FdSet::STDIN, pipe.ours));
            }
            let pipe = fds::pipe(Ours::Read)?;
            stdio.stdout = Some(pipe.theirs);
            fds.push((FdSet::STDOUT, pipe.ours));
        }
        let pipe = fds::pipe(Ours::Read)?;
        stdio.stderr = Some(pipe.theirs);
        fds.push((FdSet::STDERR, pipe.ours));
        Ok(stdio)
    }

    /// Lets everybody open the pipes anew by their names in /proc: a user of
    /// the container other than root may want to.
    pub fn open_to_all(&self) {
        for pipe in [&self.stdin, &self.stdout, &self.stderr].into_iter().flatten() {
            let _ = rustix::fs::fchmod(pipe, Mode::RWXU | Mode::RWXG | Mode::RWXO);
        }
    }
}

/// The runtime's arguments, in conmon's order.
pub fn arguments(config: &Config, console: Option<&Path>) -> Vec<OsString> {
    let runtime = &config.runtime;
    let mut args: Vec<OsString> = Vec::new();
    let exec = matches!(config.mode, Job::Exec { .. });
    if runtime.systemd_cgroup && !exec {
        args.push("--systemd-cgroup".into());
    }
    args.extend(runtime.args.iter().cloned());
    let bundle = config.bundle.as_deref().unwrap_or(Path::new(""));
    let pid_file = config.container_pid_file.as_os_str();
    match &config.mode {
        Job::Create => args.extend(words(&["create", "--bundle"])),
        Job::Restore { .. } => args.extend(words(&["restore", "--bundle"])),
        Job::Exec { process_spec, .. } => {
            args.extend(words(&["exec", "--pid-file"]));
            args.extend([pid_file.into(), "--process".into(), process_spec.into()]);
            args.push("--detach".into());
        }
    }
    if !exec {
        args.extend([bundle.into(), "--pid-file".into(), pid_file.into()]);
        if runtime.no_pivot {
            args.push("--no-pivot".into());
        }
        if runtime.no_new_keyring {
            args.push("--no-new-keyring".into());
        }
    }
    if let Job::Restore { image } = &config.mode {
        args.extend(words(&["--detach", "--image-path"]));
        args.extend([image.into(), "--work-path".into(), bundle.into()]);
    }
    args.extend(runtime.opts.iter().cloned());
    if let Some(console) = console {
        args.extend(["--console-socket".into(), console.into()]);
    }
    args.push(config.cid.clone());
    args
}

fn words<'a>(words: &'a [&str]) -> impl Iterator<Item = OsString> + 'a {
    words.iter().map(OsString::from)
}

/// Everything a runtime process is started with.
pub struct Call<'a> {
    /// The runtime.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [OsString],
    /// Its standard input, output and error; `None`: ours.
    pub stdio: Option<&'a Stdio>,
    /// The oom_score_adj it gets back.
    pub oom_score_adj: Option<&'a str>,
    /// `LISTEN_PID` becomes the runtime's pid, whatever it was.
    pub replace_listen_pid: bool,
}

/// Starts the runtime; it is killed if we die. Its signal mask is empty, and
/// no signal is ignored.
///
/// # Errors
/// When no process can be made. A program that cannot be executed is a
/// runtime that fails, with status 127 and a line on its standard error.
pub fn start(call: &Call<'_>) -> Result<Pid, Errno> {
    let parent = rustix::process::getpid();
    let mut child = || {
        eprintln!("{}", become_runtime(call, parent));
        127
    };
    wire::in_place::start(&mut child)
}

/// In the child: does not return unless something fails, and says what.
fn become_runtime(call: &Call<'_>, parent: Pid) -> String {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if let Err(error) = wire::sys::block_only(Mask::default()) {
        return format!("cannot unblock signals for the runtime: {error}");
    }
    if let Some(stdio) = call.stdio
        && let Err(error) = connect(stdio)
    {
        return format!("cannot connect the runtime's standard input and output: {error}");
    }
    let listen_pid = match listen_pid(call.replace_listen_pid, parent) {
        Ok(pid) => pid.map(|pid| ("LISTEN_PID", pid)),
        Err(text) => return text,
    };
    if let Some(score) = call.oom_score_adj {
        let _ = fs::write("/proc/self/oom_score_adj", score);
    }
    let path = path_without_search(call.program);
    let error = execute(&path, call.program.as_os_str(), call.args, listen_pid);
    let reason = crate::inherited::text(error);
    format!("cannot execute the runtime {}: {reason}", call.program.display())
}

/// A bare name is that of a file in the working directory.
pub fn path_without_search(program: &Path) -> OsString {
    if program.as_os_str().as_encoded_bytes().contains(&b'/') {
        return program.into();
    }
    Path::new(".").join(program).into()
}

fn connect(stdio: &Stdio) -> Result<(), Errno> {
    // First, for whatever fails next is told there.
    if let Some(pipe) = &stdio.stderr {
        rustix::stdio::dup2_stderr(pipe)?;
    }
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, Mode::empty())?;
    stdio.open_to_all();
    rustix::stdio::dup2_stdin(stdio.stdin.as_ref().unwrap_or(&null))?;
    rustix::stdio::dup2_stdout(stdio.stdout.as_ref().unwrap_or(&null))?;
    rustix::stdio::dup2_stderr(stdio.stderr.as_ref().unwrap_or(&null))
}

/// `LISTEN_PID` names who the sockets of `LISTEN_FDS` are for
/// (sd_listen_fds(3)). Whoever addressed them to us means the runtime.
fn listen_pid(replace: bool, parent: Pid) -> Result<Option<String>, String> {
    let Some(value) = env::var_os("LISTEN_PID") else { return Ok(None) };
    let pid: Option<i32> = value.to_str().and_then(|text| text.parse().ok());
    let Some(pid) = pid.filter(|pid| *pid > 0) else {
        let start: String = value.to_string_lossy().chars().take(10).collect();
        return Err(format!("Invalid LISTEN_PID {start}"));
    };
    let ours = rustix::process::getpid().as_raw_nonzero();
    Ok((replace || pid == parent.as_raw_nonzero().get()).then(|| ours.to_string()))
}

/// What a runtime left in the container's pid file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PidFile {
    /// A pid.
    Pid(i32),
    /// Something else, or nothing; conmon takes that as pid 0.
    Garbage,
}

/// Reads the pid file.
///
/// # Errors
/// GLib's words, which engines have always shown.
pub fn read_pid_file(path: &Path) -> Result<PidFile, String> {
    match fs::read(path) {
        Ok(bytes) => Ok(parse_pid(&bytes)),
        Err(error) => Err(format!(
            "Failed to open file \u{201c}{}\u{201d}: {}",
            path.display(),
            crate::conmon::strerror::strerror(&error)
        )),
    }
}

fn parse_pid(bytes: &[u8]) -> PidFile {
    // `parse` would take a sign, too.
    let digits = bytes.trim_ascii_end();
    let text = digits.iter().all(u8::is_ascii_digit).then(|| str::from_utf8(digits).ok());
    match text.flatten().and_then(|text| text.parse().ok()) {
        Some(pid) if pid > 0 => PidFile::Pid(pid),
        _ => PidFile::Garbage,
    }
}

/// Tells two versions of a file apart: device, inode, size, change time.
pub fn stamp(path: &Path) -> Option<(u64, u64, u64, i64, i64)> {
    use std::os::unix::fs::MetadataExt;
    let data = fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
}

/// Shows a command line in a log message.
pub fn display(program: &Path, args: &[OsString]) -> String {
    let mut text = program.display().to_string();
    for arg in args {
        text.push(' ');
        text.push_str(&OsStr::new(arg).to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_believed_only_if_it_holds_a_pid() {
        assert_eq!(parse_pid(b"123"), PidFile::Pid(123));
        assert_eq!(parse_pid(b"123\n"), PidFile::Pid(123));
        for garbage in [&b""[..], b"0", b"-1", b"+1", b"x", b"1x", b"99999999999999"] {
            assert_eq!(parse_pid(garbage), PidFile::Garbage);
        }
    }

    #[test]
    fn a_bare_runtime_name_is_not_searched_for() {
        assert_eq!(path_without_search(Path::new("runc")), "./runc");
        assert_eq!(path_without_search(Path::new("/a/runc")), "/a/runc");
    }
}
