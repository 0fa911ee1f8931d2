//! One running podman command: its input, what it has printed so far, and its end.

use super::stream::{Stream, contains};
use super::system;
use crate::wait;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// About as fast as anybody types.
const BETWEEN_KEYS: Duration = Duration::from_millis(40);

/// What a finished command printed and returned.
#[derive(Debug)]
pub struct Output {
    /// Exit status, or 128 plus the signal that ended it.
    pub code: i32,
    /// All of its standard output; of a terminal, everything shown.
    pub stdout: Vec<u8>,
    /// All of its standard error; empty with a terminal.
    pub stderr: Vec<u8>,
    command: String,
}

impl Output {
    /// Demands an exit status.
    #[track_caller]
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit status {code}: {self}");
        self
    }

    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Demands that standard error has `text` in it.
    #[track_caller]
    pub fn complains(&self, text: &str) {
        assert!(self.errors().contains(text), "expected to be told {text:?}: {self}");
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shorten =
            |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..2000).unwrap_or(bytes)).into_owned();
        let (stdout, stderr) = (shorten(&self.stdout), shorten(&self.stderr));
        write!(f, "{} exited with {}\nstdout: {stdout}\nstderr: {stderr}", self.command, self.code)
    }
}

/// A running podman command. Dropping it kills it.
pub struct Session {
    command: String,
    child: Child,
    input: Option<File>,
    output: Stream,
    errors: Stream,
    unread: Option<File>,
    terminal: Option<OwnedFd>,
}

impl Session {
    /// Starts a command with a pipe for each of its input and outputs.
    #[track_caller]
    #[must_use]
    pub fn pipes(command: Command) -> Self {
        let mut session = Self::unread(command);
        session.start_reading();
        session
    }

    /// The same, but nobody reads its standard output until [`Self::start_reading`].
    #[track_caller]
    #[must_use]
    pub fn unread(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start podman");
        let input = child.stdin.take().map(|pipe| File::from(OwnedFd::from(pipe)));
        let unread = child.stdout.take().map(|pipe| File::from(OwnedFd::from(pipe)));
        let errors = Stream::default();
        if let Some(pipe) = child.stderr.take() {
            errors.fill_from(File::from(OwnedFd::from(pipe)));
        }
        watch(&child);
        let command = super::shown(&command);
        Self { command, child, input, output: Stream::default(), errors, unread, terminal: None }
    }

    /// Starts a command on a new terminal of 24 rows and 80 columns, which it controls.
    #[track_caller]
    #[must_use]
    pub fn terminal(mut command: Command) -> Self {
        let (terminal, theirs) = system::open_terminal().expect("open a pty");
        system::set_size(&terminal, 24, 80).expect("resize the pty");
        let copy = || theirs.try_clone().expect("duplicate a pty");
        command.stdin(copy()).stdout(copy()).stderr(copy());
        system::controls_terminal(&mut command);
        let child = command.spawn().expect("start podman");
        drop(theirs);
        let shown = super::shown(&command);
        drop(command); // It holds the other end open, and we would never see the end.
        let (output, errors) = (Stream::default(), Stream::default());
        output.fill_from(File::from(terminal.try_clone().expect("duplicate a pty")));
        errors.close();
        watch(&child);
        let input = terminal.try_clone().ok().map(File::from);
        Self {
            command: shown,
            child,
            input,
            output,
            errors,
            unread: None,
            terminal: Some(terminal),
        }
    }

    /// From here on somebody reads standard output.
    pub fn start_reading(&mut self) {
        if let Some(pipe) = self.unread.take() {
            self.output.fill_from(pipe);
        }
    }

    /// Gives the terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        if let Some(terminal) = &self.terminal {
            system::set_size(terminal, rows, columns).expect("resize the pty");
        }
    }

    /// Writes all of `bytes` to the command's input.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        let sent = self.input.as_mut().map(|input| input.write_all(bytes));
        assert!(matches!(sent, Some(Ok(()))), "cannot send input to {}: {sent:?}", self.command);
    }

    /// Types keys on the command's terminal, each when the one before has been read: podman finds its detach keys
    /// only when they come one by one, as from a person.
    #[track_caller]
    pub fn press(&mut self, keys: &[u8]) {
        for key in keys {
            self.send(&[*key]);
            let terminal = self.terminal.as_ref().expect("a session on a terminal");
            // The kernel hands keys over to the other end in its own time, and until then does not count them.
            thread::sleep(BETWEEN_KEYS);
            super::eventually("podman reads a key", || {
                system::unread_keys(terminal).is_ok_and(|unread| unread == 0)
            });
        }
    }

    /// Ends the command's input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends the podman process itself a signal.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        system::kill(self.child.id().cast_signed(), signal).expect("send podman a signal");
    }

    /// Stops the podman process, as Ctrl-Z does, and returns when it has stopped.
    pub fn stop(&self) {
        self.signal(libc::SIGSTOP);
        system::wait_until_stopped(&self.child).expect("wait for podman to stop");
    }

    /// Waits until standard output has `text` in it.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        let held = self.output.wait(|bytes| contains(bytes, text.as_bytes()));
        assert!(held, "{} never showed {text:?}, but {}", self.command, self.so_far());
    }

    /// Waits until standard output is at least `length` bytes long.
    #[track_caller]
    pub fn wait_for_length(&self, length: usize) {
        let held = self.output.wait(|bytes| bytes.len() >= length);
        assert!(held, "{} never showed {length} bytes, but {}", self.command, self.so_far());
    }

    /// Standard output up to now.
    #[must_use]
    pub fn shown(&self) -> Vec<u8> {
        self.output.bytes()
    }

    /// Waits for the command's end, having it read its input to the end where it wants to.
    #[track_caller]
    #[must_use]
    pub fn finish(mut self) -> Output {
        self.start_reading();
        let status = self.child.wait().expect("wait for podman");
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let ended = self.output.wait_for_end() && self.errors.wait_for_end();
        assert!(ended, "{} has exited, but some process still holds its output open", self.command);
        Output {
            code,
            stdout: self.output.bytes(),
            stderr: self.errors.bytes(),
            command: self.command.clone(),
        }
    }

    fn so_far(&self) -> String {
        let bytes = self.output.bytes();
        let end = bytes.get(bytes.len().saturating_sub(500)..).unwrap_or_default();
        let errors = String::from_utf8_lossy(&self.errors.bytes()).into_owned();
        format!(
            "{} bytes ending in {:?}, stderr {errors:?}",
            bytes.len(),
            String::from_utf8_lossy(end)
        )
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Kills a command that is stuck, whatever the test waits for at that moment.
fn watch(child: &Child) {
    let pidfd = system::pidfd(child).expect("open a pidfd");
    // Most commands take a fifth of a second.
    let stuck = i32::try_from(3 * wait::limit().as_millis()).unwrap_or(i32::MAX);
    thread::spawn(move || {
        if !system::ends_within(&pidfd, stuck) {
            system::kill_by_pidfd(&pidfd);
        }
    });
}
