//! Starting the OCI runtime from a program with threads, and waiting for it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use wire::sys::{Mask, Strings};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

use super::service::Call;
use super::settings::Settings;
use super::types::Map;
use crate::execute::strings;
use crate::fds::c_path;
use crate::inherited::text;
use crate::runtime::{Stdio, path_without_search};
use crate::supervise::Meanwhile;

/// How long a runtime may go on for nobody, or for a client that is gone.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The descriptors of a runtime.
#[derive(Debug, Default)]
pub struct ForRuntime {
    /// Its standard input, output and error.
    pub stdio: Stdio,
    /// What it has from 3 on.
    pub more: Vec<OwnedFd>,
}

impl From<Stdio> for ForRuntime {
    fn from(stdio: Stdio) -> Self {
        ForRuntime { stdio, more: Vec::new() }
    }
}

/// A runtime at work. Not waited for when it is dropped.
#[derive(Debug)]
pub struct Runtime<'a> {
    /// Its process.
    pub pid: Pid,
    pidfd: OwnedFd,
    /// Who wants it to work, as long as that is so.
    call: Option<&'a Call>,
    /// When it is killed.
    kill_at: Option<Instant>,
}

/// Starts the runtime with these arguments and this environment on top of our
/// own. Its standard input, output and error are `/dev/null` where it is to
/// have none. It is killed if we die, at `kill_at`, and some time after the
/// client of `call` has gone.
///
/// # Errors
/// When no process can be made, or a text has a NUL in it. A program that
/// cannot be executed is a runtime that fails, with status 127 and a line on
/// its standard error.
pub fn start<'a>(
    settings: &Settings,
    args: &[OsString],
    environment: &Map,
    fds: ForRuntime,
    call: Option<&'a Call>,
    kill_at: Option<Instant>,
) -> Result<Runtime<'a>, String> {
    let program = &settings.runtime;
    start_program(program, program.as_os_str(), args, environment, fds, call, kill_at)
}

/// The same with any program, called by this name.
///
/// # Errors
/// As [`start`].
pub fn start_program<'a>(
    program: &Path,
    name: &OsStr,
    args: &[OsString],
    environment: &Map,
    ForRuntime { stdio, more }: ForRuntime,
    call: Option<&'a Call>,
    kill_at: Option<Instant>,
) -> Result<Runtime<'a>, String> {
    let named = |reason: &str| format!("cannot run {}: {reason}", program.display());
    let failed = |error: Errno| named(&text(error));
    let path = path_without_search(program);
    let program = c_path(Path::new(&path)).map_err(failed)?;
    let names = std::iter::once(name);
    let names: Vec<CString> = names
        .chain(args.iter().map(OsString::as_os_str))
        .map(|arg| CString::new(arg.as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|_| named("an argument has a NUL byte in it"))?;
    let mut room = Vec::new();
    let names = strings(&names, &mut room).map_err(failed)?;
    let variables =
        merged(environment).ok_or_else(|| named("an environment variable has a NUL byte in it"))?;
    let mut room = Vec::new();
    let variables = strings(&variables, &mut room).map_err(failed)?;
    stdio.open_to_all();
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let null = rustix::fs::open(c"/dev/null", flags, Mode::empty()).map_err(failed)?;
    let Stdio { stdin, stdout, stderr } = &stdio;
    let fds = [stdin, stdout, stderr].map(|fd| fd.as_ref().unwrap_or(&null));
    // Out of the way of the numbers that they are to have.
    let first_free = 3 + i32::try_from(more.len()).unwrap_or(i32::MAX - 3);
    let away = |fd: OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, first_free);
    let more: Vec<OwnedFd> =
        more.into_iter().map(away).collect::<Result<_, _>>().map_err(failed)?;

    let parent = rustix::process::getpid();
    let mut child = || become_runtime(parent, fds, &more, &program, names, variables);
    let pid = wire::in_place::start(&mut child).map_err(failed)?;
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(|error| {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        failed(error)
    })?;
    Ok(Runtime { pid, pidfd, call, kill_at })
}

/// In the child, in memory that is the parent's: system calls only.
fn become_runtime(
    parent: Pid,
    fds: [&OwnedFd; 3],
    more: &[OwnedFd],
    program: &CStr,
    names: Strings<'_>,
    environment: Strings<'_>,
) -> i32 {
    use wire::sys::{Disposition, SIGPIPE, block_only, exec, on_signal, place_for_exec};
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    if rustix::process::getppid() != Some(parent) {
        // It was killed just before, and nobody waits for us.
        return 127;
    }
    let prepared = on_signal(SIGPIPE, Disposition::Default)
        .and_then(|()| block_only(Mask::default()))
        .and_then(|()| {
            // Those above are free to be overwritten once these are in place.
            let mut numbers = fds.into_iter().chain(more).zip(0..);
            numbers.try_for_each(|(fd, number)| place_for_exec(fd, number))
        });
    let error = match prepared {
        Ok(()) => exec(None, program, names, environment),
        Err(error) => error,
    };
    let program = program.to_str().unwrap_or("?");
    wire::report::plain(format_args!("cannot execute {program}: {error}"));
    127
}

/// Our environment, with these variables added or changed. `None` if one has a
/// NUL in it.
fn merged(more: &Map) -> Option<Vec<CString>> {
    let own = std::env::vars_os().filter(|(own, _)| more.iter().all(|(name, _)| own != &**name));
    let own = own.map(|(name, value)| [name, value].map(OsString::into_vec));
    // Of a name that is there twice, the last counts.
    let new = more
        .iter()
        .enumerate()
        .filter(|(at, (name, _))| more.iter().skip(at + 1).all(|(later, _)| later != name));
    let new = new.map(|(_, (name, value))| [name, value].map(|text| text.clone().into_bytes()));
    own.chain(new).map(|pair| CString::new(pair.join(&b'=')).ok()).collect()
}

impl Meanwhile for Runtime<'_> {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.call.map(Call::gone_fd).into_iter().chain([self.pidfd.as_fd()]).collect()
    }

    fn look(&mut self, runtime: Pid) {
        // Killed halfway it may leave anything behind, so it gets its time.
        if self.call.take_if(|call| call.gone()).is_some() {
            let at = Instant::now() + PATIENCE;
            self.kill_at = Some(self.kill_at.map_or(at, |kill_at| kill_at.min(at)));
        }
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            let _ = rustix::process::kill_process(runtime, Signal::KILL);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_request_adds_to_the_environment_and_changes_it() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let more = vec![pair("PATH", "/x"), pair("NEW", "a=b"), pair("NEW", "c")];
        let merged = merged(&more).unwrap();
        let count =
            |start: &[u8]| merged.iter().filter(|text| text.as_bytes().starts_with(start)).count();
        assert_eq!(count(b"PATH="), 1);
        assert!(merged.contains(&c"PATH=/x".to_owned()));
        assert_eq!(count(b"NEW="), 1);
        assert!(merged.contains(&c"NEW=c".to_owned()));
        assert!(super::merged(&vec![pair("A", "\0")]).is_none());
    }
}
