//! A monitor that was called: the engine's side of its pipes, files and sockets.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command};

use crate::attach::Client;
use crate::error::{Context, Error, Result};
use crate::k8s_log::{self, Record};
use crate::paths::Paths;
use crate::pipe::{Message, Pipe};
use crate::{sys, under_test, wait};

/// The foreground process, after its end.
#[derive(Debug)]
pub struct Finished {
    /// Exit status; 128 + n if signal n ended it.
    pub status: i32,
    /// All it wrote there, unless the test took it.
    pub stdout: String,
    /// All it wrote there, unless the test took it.
    pub stderr: String,
}

/// A monitor that was called. Dropping it ends the foreground process; the rest is up to [`crate::Scratch`].
#[derive(Debug)]
pub struct Session {
    /// Where everything is.
    pub paths: Paths,
    foreground: Child,
    sync: Option<Pipe>,
    start: Option<Pipe>,
    attach: Option<Pipe>,
}

impl Session {
    pub(crate) fn new(
        foreground: Child,
        paths: Paths,
        sync: Option<Pipe>,
        start: Option<Pipe>,
        attach: Option<Pipe>,
    ) -> Session {
        Session { paths, foreground, sync, start, attach }
    }

    /// Writes one byte to the start pipe: the monitor may go on. Nothing if it has none.
    ///
    /// # Errors
    /// Never for a monitor that is gone: its exit status says more.
    pub fn release(&mut self) -> Result {
        if let Some(Pipe(fd)) = &self.start {
            let _ = sys::send(fd, &[0]);
        }
        Ok(())
    }

    /// Closes the start pipe.
    pub fn close_start_pipe(&mut self) {
        self.start = None;
    }

    /// Closes the engine's end of the sync pipe.
    pub fn close_sync_pipe(&mut self) {
        self.sync = None;
    }

    /// The pid of the foreground process.
    pub fn foreground_pid(&self) -> i32 {
        self.foreground.id() as i32
    }

    /// Waits for the foreground process and for the end of what it wrote (which the monitor in the background must not
    /// hold open, or podman hangs).
    ///
    /// # Errors
    /// It does not end in time.
    pub fn foreground(&mut self) -> Result<Finished> {
        let stdout = self.foreground.stdout.take().map(read_all).transpose()?;
        let stderr = self.foreground.stderr.take().map(read_all).transpose()?;
        // It is our child: its number stays its own until we have waited for it.
        wait::for_end_of(self.foreground_pid())?;
        let status = self.foreground.wait().context("wait")?;
        let status = status.code().or_else(|| Some(128 + status.signal()?));
        Ok(Finished {
            status: status.unwrap_or(-1),
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
        })
    }

    /// Waits for the foreground process to end well.
    ///
    /// # Errors
    /// It ended with a status that isn't 0, or with words on stderr.
    pub fn backgrounded(&mut self) -> Result {
        let finished = self.foreground()?;
        if finished.status != 0 || !finished.stderr.is_empty() {
            return Err(Error::new(format!("the monitor's foreground failed: {finished:?}")));
        }
        Ok(())
    }

    /// The next message on the sync pipe; `None` at its end.
    ///
    /// # Errors
    /// As [`Pipe::message`]; or it has no sync pipe.
    pub fn message(&mut self) -> Result<Option<Message>> {
        let pipe = self.sync.as_mut().ok_or_else(|| Error::new("no sync pipe"))?;
        pipe.message().context("sync pipe")
    }

    /// The next message on the attach pipe; `None` at its end.
    ///
    /// # Errors
    /// As [`Pipe::message`]; or it has no attach pipe.
    pub fn attach_message(&mut self) -> Result<Option<Message>> {
        let pipe = self.attach.as_mut().ok_or_else(|| Error::new("no attach pipe"))?;
        pipe.message().context("attach pipe")
    }

    /// The container's pid, from the next message on the sync pipe.
    ///
    /// # Errors
    /// The message says that creation failed, or there is none.
    pub fn pid(&mut self) -> Result<i32> {
        match self.message()? {
            Some(message) if message.value > 0 => i32::try_from(message.value).context("pid"),
            Some(message) => {
                Err(Error::new(format!("not created: {} {:?}", message.value, message.text)))
            }
            None => Err(Error::new("not created: the sync pipe ended without a message")),
        }
    }

    /// The pid of the monitor in the background, from its pid file.
    ///
    /// # Errors
    /// There is no such file in time.
    pub fn monitor(&self) -> Result<i32> {
        wait::for_file(&self.paths.monitor_pid, "the monitor's pid", |content| {
            std::str::from_utf8(content?).ok()?.parse().ok()
        })
    }

    /// Waits until the monitor in the background is gone.
    ///
    /// # Errors
    /// It is not gone in time.
    pub fn monitor_gone(&self) -> Result {
        wait::for_end_of(self.monitor()?).context("the monitor")
    }

    fn runtime(&self, arguments: &[&str]) -> Result {
        let output = Command::new(under_test::small_runtime()?)
            .env("SMALL_RUNTIME_ROOT", &self.paths.runtime_root)
            .args(arguments)
            .output()
            .context("cannot run the small runtime")?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!("runtime {arguments:?} failed: {stderr}")));
        }
        Ok(())
    }

    /// Lets the created container run, as the engine does after the pid has come.
    ///
    /// # Errors
    /// The runtime refuses.
    pub fn start(&self) -> Result {
        self.runtime(&["start", &self.paths.id])
    }

    /// Sends the container a signal by name or number.
    ///
    /// # Errors
    /// The runtime refuses.
    pub fn kill(&self, signal: &str) -> Result {
        self.runtime(&["kill", &self.paths.id, signal])
    }

    /// The exit file of this container.
    pub fn exit_file(&self) -> PathBuf {
        self.paths.exits.join(&self.paths.id)
    }

    /// Waits for the exit file and gives the status in it.
    ///
    /// # Errors
    /// It does not appear in time, or holds anything but a number.
    pub fn exit_code(&self) -> Result<i32> {
        let content = wait::for_file(&self.exit_file(), "an exit status", |content| {
            content.map(<[u8]>::to_vec)
        })?;
        let text = String::from_utf8_lossy(&content);
        text.parse().context(format_args!("exit file {text:?}"))
    }

    /// The log as it is now, every byte of it checked.
    ///
    /// # Errors
    /// It cannot be read, or a line isn't a record.
    pub fn log(&self) -> Result<Vec<Record>> {
        let path = &self.paths.log;
        let bytes = fs::read(path).context(format_args!("cannot read {}", path.display()))?;
        k8s_log::parse(&bytes)
    }

    /// Waits until the log satisfies `done`, and gives it.
    ///
    /// # Errors
    /// It does not in time.
    pub fn log_until(&self, what: &str, done: impl Fn(&[Record]) -> bool) -> Result<Vec<Record>> {
        wait::for_file(&self.paths.log, what, |content| {
            let content = content?;
            // A write may be seen in part: judge whole lines only.
            let end = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let records = k8s_log::parse(content.get(..end)?).ok()?;
            done(&records).then_some(records)
        })
    }

    /// A client on the attach socket, made by the monitor a little later if need be.
    ///
    /// # Errors
    /// There is no socket in time.
    pub fn attach(&self) -> Result<Client> {
        Client::connect_when_ready(&self.paths.bundle)
    }

    /// Writes bytes to a FIFO of the bundle, `ctl` or `winsz`, as podman does.
    ///
    /// # Errors
    /// It is not there, or nobody reads it.
    pub fn write_fifo(&self, name: &str, bytes: &[u8]) -> Result {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.paths.bundle.join(name);
        let mut options = fs::OpenOptions::new();
        let fifo = options.write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let mut fifo = fifo.context(format_args!("cannot open {}", path.display()))?;
        fifo.write_all(bytes).context(format_args!("cannot write {}", path.display()))
    }

    /// Waits for the note of the exit command.
    ///
    /// # Errors
    /// There is none in time.
    pub fn exit_note(&self) -> Result<crate::note::Note> {
        crate::note::wait_for(&self.paths.exit_note)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Ok(None) = self.foreground.try_wait() {
            let _ = self.foreground.kill();
            let _ = self.foreground.wait();
        }
    }
}

fn read_all(fd: impl AsFd) -> Result<String> {
    let deadline = wait::deadline();
    let mut all = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        if !sys::readable(fd.as_fd(), deadline).context("poll")? {
            let text = String::from_utf8_lossy(&all);
            return Err(Error::new(format!("the monitor's output stays open; so far: {text:?}")));
        }
        let length =
            sys::read(fd.as_fd(), &mut buffer).context("cannot read the monitor's output")?;
        if length == 0 {
            return Ok(String::from_utf8_lossy(&all).into_owned());
        }
        all.extend(buffer.iter().take(length));
    }
}
