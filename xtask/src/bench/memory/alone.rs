//! The containers whose memory is measured, without the monitors; and the least that could stand in a monitor's place.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::cgroup::{Groups, born};
use super::starter::CONTAINERS;
use super::state::State;
use tests::{Call, Container, Context, Error, Result, Scratch, under_test};

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
            State::Logging => self.called(&program("drip")),
            State::Terminal => self.called(&program("pause").terminal()),
            State::Idle | State::Attached => self.called(&program("pause")),
            State::Pod => {
                let pause = program("pause");
                (0..CONTAINERS).try_for_each(|one| self.container(&format!("{id}-{one}"), &pause))
            }
        }
    }

    /// In the directories that an engine makes for its call of a monitor: they are memory, too.
    fn called(&mut self, container: &Container) -> Result {
        let paths = Call::create(self.scratch, container)?.paths().clone();
        self.created(&paths.id, &paths.bundle, &paths.container_pid)
    }

    fn container(&mut self, id: &str, container: &Container) -> Result {
        let bundle = self.scratch.directory(id)?;
        container.write_config(self.scratch, &bundle)?;
        self.created(id, &bundle, &bundle.join("pid"))
    }

    fn created(&mut self, id: &str, bundle: &Path, pid_file: &Path) -> Result {
        let mut create = self.runtime();
        create.arg("create").arg("--bundle").arg(bundle).arg("--pid-file").arg(pid_file);
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
