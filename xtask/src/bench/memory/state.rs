//! What a container can be in the middle of while its memory is measured; with a monitor, and the same without one.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::cgroup::{Groups, born};
use tests::{Call, Client, Container, Context, Error, Result, Scratch, Session, under_test};

/// What goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing.
    Idle,
    /// A line of 100 bytes every 100 ms, into a k8s-file log.
    Logging,
    /// A client is attached to a container without stdin.
    Attached,
    /// A client is attached to a container with a terminal.
    Terminal,
    /// An exec session, with its client, in a container that others use as well.
    Exec,
}

/// All that keeps one container going; dropping it is not enough to end it, that is up to the scratch.
pub(super) struct Held {
    _session: Session,
    _client: Option<Client>,
}

/// What starts containers of one state, over a runtime that does not stay in the monitors' group.
pub(super) struct Starter<'a> {
    pub(super) state: State,
    pub(super) scratch: &'a Scratch,
    pub(super) runtime: PathBuf,
    pub(super) groups: Option<&'a Groups>,
    /// The least program.
    pub(super) bare: String,
    /// The container that exec sessions are in.
    host: Option<Session>,
}

impl<'a> Starter<'a> {
    /// With everything that all containers share.
    pub(super) fn new(
        state: State,
        scratch: &'a Scratch,
        runtime: PathBuf,
        groups: Option<&'a Groups>,
        bare: String,
    ) -> Result<Starter<'a>> {
        let mut starter = Starter { state, scratch, runtime, groups, bare, host: None };
        if state == State::Exec {
            let call = Call::create(scratch, &starter.program("pause"))?.no_exit_command();
            starter.host = Some(starter.started(call.set("-r", &starter.runtime))?);
        }
        Ok(starter)
    }

    fn program(&self, verb: &str) -> Container {
        Container::new([self.bare.as_str(), verb])
    }

    /// The container that this state takes.
    fn container(&self) -> Container {
        match self.state {
            State::Idle | State::Attached | State::Exec => self.program("pause"),
            State::Logging => self.program("drip"),
            State::Terminal => self.program("pause").terminal().stdin(),
        }
    }

    /// One more.
    pub(super) fn one_more(&self) -> Result<Held> {
        if let Some(host) = &self.host {
            let call = Call::exec(self.scratch, host, &self.container())?.no_exit_command();
            return self.exec(call.set("-r", &self.runtime));
        }
        let call = Call::create(self.scratch, &self.container())?.no_exit_command();
        let session = self.started(call.set("-r", &self.runtime))?;
        let client = match self.state {
            State::Attached | State::Terminal => Some(session.attach()?),
            State::Idle | State::Logging | State::Exec => None,
        };
        Ok(Held { _session: session, _client: client })
    }

    fn started(&self, call: Call) -> Result<Session> {
        let mut session = born(self.groups, || call.spawn())?;
        session.release()?;
        session.backgrounded()?;
        session.pid()?;
        session.start()?;
        Ok(session)
    }

    fn exec(&self, call: Call) -> Result<Held> {
        let mut session = born(self.groups, || call.spawn())?;
        session.release()?;
        session.attach_message()?;
        let client = Client::connect(&session.paths.bundle)?;
        session.release()?;
        session.backgrounded()?;
        session.pid()?;
        Ok(Held { _session: session, _client: Some(client) })
    }
}

/// The same containers with nobody beside them.
pub(super) struct Alone<'a> {
    state: State,
    scratch: &'a Scratch,
    runtime: PathBuf,
    root: PathBuf,
    bare: String,
    started: usize,
    /// Where the runtime sends terminals; nobody takes them out of the connections, and so they stay.
    console: Option<(UnixListener, PathBuf)>,
    terminals: Vec<UnixStream>,
}

impl<'a> Alone<'a> {
    /// With everything that all containers share.
    pub(super) fn new(state: State, scratch: &'a Scratch, bare: String) -> Result<Alone<'a>> {
        let console = match state {
            State::Terminal => {
                let path = scratch.join("console");
                Some((UnixListener::bind(&path).context("cannot wait for terminals")?, path))
            }
            _ => None,
        };
        let mut alone = Alone {
            state,
            scratch,
            runtime: under_test::small_runtime()?,
            root: scratch.directory("runtime")?,
            bare,
            started: 0,
            console,
            terminals: vec![],
        };
        if state == State::Exec {
            alone.container("host", &Container::new([alone.bare.as_str(), "pause"]))?;
        }
        Ok(alone)
    }

    /// One more.
    pub(super) fn one_more(&mut self) -> Result {
        self.started += 1;
        let id = self.started.to_string();
        let program = |verb: &str| Container::new([self.bare.as_str(), verb]);
        match self.state {
            State::Exec => self.exec(&id, &program("pause")),
            State::Logging => self.container(&id, &program("drip")),
            State::Terminal => self.container(&id, &program("pause").terminal()),
            State::Idle | State::Attached => self.container(&id, &program("pause")),
        }
    }

    fn container(&mut self, id: &str, container: &Container) -> Result {
        let bundle = self.scratch.directory(id)?;
        container.write_config(self.scratch, &bundle)?;
        let mut create = self.runtime();
        create.arg("create").arg("--bundle").arg(&bundle).arg("--pid-file").arg(bundle.join("pid"));
        if let Some((_, path)) = &self.console {
            create.arg("--console-socket").arg(path);
        }
        self.run(create.arg(id))?;
        if let Some((listener, _)) = &self.console {
            self.terminals.push(listener.accept().context("no terminal comes")?.0);
        }
        let mut start = self.runtime();
        self.run(start.args(["start", id]))
    }

    fn exec(&mut self, id: &str, process: &Container) -> Result {
        let folder = self.scratch.directory(id)?;
        let spec = folder.join("process.json");
        process.write_process(self.scratch, &spec)?;
        let mut exec = self.runtime();
        exec.arg("exec").arg("--pid-file").arg(folder.join("pid"));
        exec.arg("--process").arg(spec).args(["--detach", "host"]);
        self.run(&mut exec)
    }

    fn runtime(&self) -> Command {
        let mut command = Command::new(&self.runtime);
        command.env("SMALL_RUNTIME_ROOT", &self.root);
        command
    }

    fn run(&mut self, command: &mut Command) -> Result {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().context("cannot run the small runtime")?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::new(format!("the small runtime failed: {status}"))),
        }
    }
}

/// Processes of the least program, waiting; gone when dropped.
#[derive(Default)]
pub(super) struct Bare(Vec<Child>);

impl Bare {
    /// One more, in the place of a monitor.
    pub(super) fn one_more(&mut self, bare: &Path, groups: Option<&Groups>) -> Result {
        let mut command = Command::new(bare);
        command.arg("pause").env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        let child = born(groups, || {
            command.stderr(Stdio::null()).spawn().context("cannot run the least program")
        });
        self.0.push(child?);
        Ok(())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
