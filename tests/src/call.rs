//! One call of the monitor's conmon command line, written the way podman writes it.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::container::Container;
use crate::error::{Context, Result};
use crate::paths::Paths;
use crate::pipe::Pipe;
use crate::scratch::Scratch;
use crate::session::Session;
use crate::{sys, under_test};

/// Low descriptor numbers are kept free for what the monitor is to inherit.
const ABOVE_ALL_PLACES: i32 = 100;

/// A command line in the making. It starts out as podman's; each method changes one thing. Options are known by the
/// spelling they have here: `-c -u -r -b -p -n -l -t -i -e`, all others long.
#[derive(Debug)]
pub struct Call {
    options: Vec<(OsString, Option<OsString>)>,
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
    directory: PathBuf,
    paths: Paths,
    pipes: Pipes,
    inherited: Vec<OwnedFd>,
    stdio: [Option<Stdio>; 3],
    umask: Option<libc::mode_t>,
    witness: Option<OwnedFd>,
}

/// Which of the three sockets the monitor is given.
#[derive(Clone, Copy, Debug)]
struct Pipes {
    sync: bool,
    start: bool,
    attach: bool,
}

impl Call {
    /// No options at all; sync and start pipes as for a container.
    ///
    /// # Errors
    /// The small runtime or the monitor is missing, or the directories cannot be made.
    pub fn bare(scratch: &Scratch) -> Result<Call> {
        let paths = Paths::new(scratch, None)?;
        let runtime_root = scratch.directory("runtime")?;
        Ok(Call {
            options: Vec::new(),
            program: under_test::binary()?,
            env: vec![scratch.marker(), ("SMALL_RUNTIME_ROOT".into(), runtime_root.into())],
            directory: scratch.path().to_owned(),
            paths,
            pipes: Pipes { sync: true, start: true, attach: false },
            inherited: Vec::new(),
            stdio: [const { None }; 3],
            umask: None,
            witness: None,
        })
    }

    /// `podman run`'s call: create a container.
    ///
    /// # Errors
    /// As [`Call::bare`].
    pub fn create(scratch: &Scratch, container: &Container) -> Result<Call> {
        let call = Call::bare(scratch)?;
        container.write_config(scratch, &call.paths.bundle)?;
        let id = call.paths.id.clone();
        Ok(call.common(&id, container)?.log_driver("k8s-file"))
    }

    /// `podman exec`'s call: run one more process in a container that runs.
    ///
    /// # Errors
    /// As [`Call::bare`].
    pub fn exec(scratch: &Scratch, container: &Session, process: &Container) -> Result<Call> {
        let mut call = Call::bare(scratch)?;
        let session = call.paths.id.clone();
        call.paths.id.clone_from(&container.paths.id);
        call.pipes.attach = true;
        call.directory.clone_from(&call.paths.bundle);
        let spec = call.paths.bundle.join("process.json");
        process.write_process(scratch, &spec)?;
        let call = call.common(&session, process)?;
        Ok(call.set("-l", "none").flag("-e").flag("--exec-attach").set("--exec-process-spec", spec))
    }

    fn common(self, unique: &str, container: &Container) -> Result<Call> {
        let runtime = under_test::small_runtime()?;
        let paths = self.paths.clone();
        let mut call = self
            .api_1()
            .set("-c", &paths.id)
            .set("-u", unique)
            .set("-r", &runtime)
            .set("-b", &paths.bundle)
            .set("-p", &paths.container_pid)
            .set("-n", "some_name")
            .set("--exit-dir", &paths.exits)
            .flag("--full-attach")
            .set("--log-level", "warning")
            .add("--runtime-arg", "--log-format=json")
            .add("--runtime-arg", "--log")
            .add("--runtime-arg", paths.bundle.join("oci-log"))
            .set("--conmon-pidfile", &paths.monitor_pid)
            .set("--exit-command", &runtime);
        for argument in
            [OsStr::new("note"), paths.exit_note.as_os_str(), OsStr::new("--rm"), OsStr::new("")]
        {
            call = call.add("--exit-command-arg", argument);
        }
        if container.terminal {
            call = call.flag("-t");
        }
        if container.stdin {
            call = call.flag("-i");
        }
        Ok(call)
    }

    /// Logs to the container's log file with this driver.
    pub fn log_driver(self, driver: &str) -> Call {
        let mut value = OsString::from(format!("{driver}:"));
        value.push(&self.paths.log);
        self.set("-l", value)
    }

    /// Gives the option this value, in place of any it had.
    pub fn set(mut self, name: &str, value: impl AsRef<OsStr>) -> Call {
        let value = Some(value.as_ref().to_owned());
        match self.options.iter_mut().find(|(known, _)| known == name) {
            Some(option) => option.1 = value,
            None => self.options.push((name.into(), value)),
        }
        self
    }

    /// Gives the option once more, with this value.
    pub fn add(mut self, name: &str, value: impl AsRef<OsStr>) -> Call {
        self.options.push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    /// Adds an option without value.
    pub fn flag(mut self, name: &str) -> Call {
        self.options.push((name.into(), None));
        self
    }

    /// Takes the option away, wherever it occurs.
    pub fn without(mut self, name: &str) -> Call {
        self.options.retain(|(known, _)| known != name);
        self
    }

    /// Adds arguments as they are.
    pub fn args<S: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = S>) -> Call {
        self.options.extend(arguments.into_iter().map(|argument| (argument.into(), None)));
        self
    }

    /// API version 1, as podman says it.
    fn api_1(self) -> Call {
        self.set("--api-version", "1")
    }

    /// API version 0, as CRI-O says it: by silence.
    pub fn api_0(self) -> Call {
        self.without("--api-version")
    }

    /// Without exit command.
    pub fn no_exit_command(self) -> Call {
        self.without("--exit-command").without("--exit-command-arg")
    }

    /// With one more environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Call {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Another program to call, e.g. a link to the monitor.
    pub fn program(mut self, program: &Path) -> Call {
        program.clone_into(&mut self.program);
        self
    }

    /// In another working directory.
    pub fn directory(mut self, directory: &Path) -> Call {
        directory.clone_into(&mut self.directory);
        self
    }

    /// Under another umask; the caller's own otherwise.
    pub fn umask(mut self, mask: libc::mode_t) -> Call {
        self.umask = Some(mask);
        self
    }

    /// Has the time (`CLOCK_MONOTONIC`, seconds and nanoseconds as two native 64-bit numbers) written to this descriptor
    /// right before the monitor is executed.
    pub fn at_exec(mut self, witness: OwnedFd) -> Call {
        self.witness = Some(witness);
        self
    }

    /// Lets the monitor inherit this descriptor, as podman does for `--preserve-fds` and for reserved ports. The first one
    /// has number 3, the pipes come after all of them.
    pub fn inherit(mut self, fd: OwnedFd) -> Call {
        self.inherited.push(fd);
        self
    }

    /// Without sync pipe.
    pub fn no_sync_pipe(mut self) -> Call {
        self.pipes.sync = false;
        self
    }

    /// Without start pipe.
    pub fn no_start_pipe(mut self) -> Call {
        self.pipes.start = false;
        self
    }

    /// Without attach pipe.
    pub fn no_attach_pipe(mut self) -> Call {
        self.pipes.attach = false;
        self
    }

    /// Standard input, output or error (0, 1, 2) of the monitor; else `/dev/null`, and what the harness captures.
    pub fn stdio(mut self, number: usize, stdio: impl Into<Stdio>) -> Call {
        if let Some(place) = self.stdio.get_mut(number) {
            *place = Some(stdio.into());
        }
        self
    }

    /// Where everything of this call is.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Starts the monitor; it waits on its start pipe, if it has one, until [`Session::release`].
    ///
    /// # Errors
    /// The program cannot be run, or descriptors cannot be made.
    pub fn spawn(self) -> Result<Session> {
        let mut command = Command::new(&self.program);
        for (name, value) in &self.options {
            command.arg(name);
            command.args(value);
        }
        // As engines do, whatever the environment of the tests is: it counts
        // as the monitor's memory.
        let handed_on = ["HOME", "PATH", "TMPDIR", "TZ", "LANG", "LC_ALL", "XDG_RUNTIME_DIR"];
        let own = handed_on.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        command.current_dir(&self.directory).env_clear().envs(own).envs(self.env.iter().cloned());
        let [stdin, stdout, stderr] = self.stdio;
        command.stdin(stdin.unwrap_or_else(Stdio::null));
        command.stdout(stdout.unwrap_or_else(Stdio::piped));
        command.stderr(stderr.unwrap_or_else(Stdio::piped));

        // What the child gets, in the order of its numbers from 3 on.
        let mut theirs = Vec::new();
        for fd in &self.inherited {
            theirs.push(sys::duplicate_above(fd.as_fd(), ABOVE_ALL_PLACES).context("dup")?);
        }
        let mut make_pipe = |wanted: bool, variable: &str| -> Result<Option<Pipe>> {
            if !wanted {
                return Ok(None);
            }
            let (ours, child) = sys::packet_pair().context("socketpair")?;
            theirs.push(sys::duplicate_above(child, ABOVE_ALL_PLACES).context("dup")?);
            command.env(variable, (theirs.len() + 2).to_string());
            Ok(Some(Pipe::new(ours)))
        };
        let sync = make_pipe(self.pipes.sync, "_OCI_SYNCPIPE")?;
        let start = make_pipe(self.pipes.start, "_OCI_STARTPIPE")?;
        let attach = make_pipe(self.pipes.attach, "_OCI_ATTACHPIPE")?;

        let places: Vec<_> =
            (3..).zip(&theirs).map(|(number, fd)| (fd.as_raw_fd(), number)).collect();
        let umask = self.umask;
        let witness = self.witness.map(|fd| sys::duplicate_above(fd, ABOVE_ALL_PLACES));
        let witness = witness.transpose().context("dup")?;
        let in_child = move || {
            if let Some(mask) = umask {
                // SAFETY: cannot fail, touches no memory.
                unsafe { libc::umask(mask) };
            }
            sys::place_fds(&places)?;
            witness.as_ref().map_or(Ok(()), sys::write_time)
        };
        // SAFETY: between fork and exec, `in_child` makes system calls only.
        unsafe { command.pre_exec(in_child) };
        let child =
            command.spawn().context(format_args!("cannot run {}", self.program.display()))?;
        Ok(Session::new(child, self.paths, sync, start, attach))
    }

    /// Starts the monitor, releases it and waits for the foreground process: for calls that are to fail at once, and
    /// for `--sync`.
    ///
    /// # Errors
    /// As [`Call::spawn`]; or the foreground does not end.
    pub fn finish(self) -> Result<crate::session::Finished> {
        let mut session = self.spawn()?;
        session.release()?;
        session.foreground()
    }

    /// Creates the container and waits until the engine knows its pid. It does not run yet.
    ///
    /// # Errors
    /// As [`Call::spawn`]; or the foreground process or the sync pipe says that it failed.
    pub fn created(self) -> Result<Session> {
        let mut session = self.spawn()?;
        session.release()?;
        session.backgrounded()?;
        session.pid()?;
        Ok(session)
    }

    /// Creates the container and starts it.
    ///
    /// # Errors
    /// As [`Call::created`]; or the runtime cannot start it.
    pub fn running(self) -> Result<Session> {
        let session = self.created()?;
        session.start()?;
        Ok(session)
    }
}
