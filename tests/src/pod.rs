//! A pod server and its containers, as CRI-O has them.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use monitor::client::Client;
use monitor::pod::types::{
    AttachRequest, CgroupManager, CreateContainerRequest, ExecSyncContainerRequest,
    ExecSyncContainerResponse, LogDriver,
};

use crate::container::Container;
use crate::error::{Context, Error, Result};
use crate::k8s_log::{self, Record};
use crate::scratch::Scratch;
use crate::{attach, bundle};
use crate::{sys, under_test, wait};

/// A server's command line in the making.
#[derive(Debug)]
pub struct Server<'a> {
    scratch: &'a Scratch,
    /// `--runtime-dir`.
    pub directory: PathBuf,
    /// What is run, under the name `conmonrs`.
    pub program: PathBuf,
    /// `--runtime`.
    pub runtime: PathBuf,
    /// `--runtime-root`.
    pub runtime_root: Option<PathBuf>,
    real: bool,
    env: Vec<(String, String)>,
}

impl<'a> Server<'a> {
    /// With the small runtime, in a directory of its own.
    ///
    /// # Errors
    /// The small runtime is missing, or the directory cannot be made.
    pub fn new(scratch: &'a Scratch) -> Result<Server<'a>> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = scratch.directory("runtime")?;
        let root = root.to_str().ok_or_else(|| Error::new("odd name of the scratch directory"))?;
        Ok(Server {
            scratch,
            directory: scratch.directory(format!("pod{count}"))?,
            program: under_test::binary()?,
            runtime: under_test::small_runtime()?,
            runtime_root: None,
            real: false,
            env: vec![("SMALL_RUNTIME_ROOT".into(), root.into())],
        })
    }

    /// With a real runtime, whose containers have a root of their own; `None` where there is none, or where it would need
    /// other privileges.
    ///
    /// # Errors
    /// As [`Server::new`].
    pub fn real(scratch: &'a Scratch) -> Result<Option<Server<'a>>> {
        let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
        let runc =
            folders.iter().map(|folder| Path::new(folder).join("runc")).find(|path| path.exists());
        // SAFETY: plain integers.
        let Some(runc) = runc.filter(|_| unsafe { libc::geteuid() } == 0) else {
            under_test::skipped("it takes root and runc");
            return Ok(None);
        };
        let mut server = Server::new(scratch)?;
        server.runtime = runc;
        server.runtime_root = Some(scratch.directory("runc")?);
        server.real = true;
        Ok(Some(server))
    }

    /// With one more environment variable.
    pub fn env(mut self, name: &str, value: impl ToString) -> Server<'a> {
        self.env.push((name.to_owned(), value.to_string()));
        self
    }

    /// The command, to be run with whatever else a test wants of it.
    ///
    /// # Errors
    /// There is nothing to test.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.arg0("conmonrs").args(["--log-driver", "stdout"]);
        command.arg("--runtime").arg(&self.runtime).arg("--runtime-dir").arg(&self.directory);
        if let Some(root) = &self.runtime_root {
            command.arg("--runtime-root").arg(root);
        }
        // As small as an engine's: it is part of what the server keeps.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        let (name, value) = self.scratch.marker();
        command.env(name, value).current_dir(self.scratch.path()).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs it, with its messages and those of the server in a file; gives what
    /// the process has to say that a client waits for.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn run(&self) -> Result<Output> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path());
        let mut command = self.command()?;
        command.stdout(log.context("cannot make the server's log")?);
        command.stderr(Stdio::piped()).output().context("cannot run the server")
    }

    /// The file with the server's own messages.
    pub fn log_path(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Starts the server.
    ///
    /// # Errors
    /// It says that it cannot.
    pub fn start(self) -> Result<Pod<'a>> {
        let output = self.run()?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!("no server: {stderr}")));
        }
        let pid = fs::read_to_string(self.directory.join("pidfile")).context("no pid file")?;
        let pid = pid.parse().context(format_args!("pid file {pid:?}"))?;
        let client = Client::connect(&self.directory.join("conmon.sock"));
        let client = client.context("cannot reach the server")?;
        Ok(Pod { server: self, pid, client })
    }
}

/// A server that runs, and a connection to it.
#[derive(Debug)]
pub struct Pod<'a> {
    /// How it was started.
    pub server: Server<'a>,
    /// Its process.
    pub pid: i32,
    /// The connection.
    pub client: Client,
}

/// A container's files and its request, to be changed at will.
#[derive(Debug)]
pub struct PodContainer {
    /// What the server is asked.
    pub request: CreateContainerRequest,
    /// The log file.
    pub log: PathBuf,
    /// The exit file.
    pub exit: PathBuf,
    /// The bundle.
    pub bundle: PathBuf,
    runtime: PathBuf,
    runtime_root: PathBuf,
    real: bool,
}

impl Pod<'_> {
    /// One more connection.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(&self.socket()).context("cannot reach the server")
    }

    /// The RPC socket.
    pub fn socket(&self) -> PathBuf {
        self.server.directory.join("conmon.sock")
    }

    /// The server's own messages so far.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn messages(&self) -> Result<String> {
        fs::read_to_string(self.server.log_path()).context("no log of the server")
    }

    /// Everything for a container but the container.
    ///
    /// # Errors
    /// A directory or `config.json` cannot be made.
    pub fn prepare(&self, container: &Container) -> Result<PodContainer> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = self.server.scratch;
        let bundle = scratch.directory(format!("ctr{count}"))?;
        container.write_config(scratch, &bundle)?;
        let real = self.server.real;
        if real {
            bundle::isolate(&bundle)?;
        }
        let (log, exit) = (bundle.join("log"), bundle.join("exit"));
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let request = CreateContainerRequest {
            id: format!("{}-ctr{count}", scratch.id()),
            bundle_path: text(&bundle),
            terminal: container.terminal,
            stdin: container.stdin,
            exit_paths: vec![text(&exit)],
            log_drivers: vec![LogDriver { path: text(&log), ..LogDriver::default() }],
            cgroup_manager: CgroupManager::Cgroupfs,
            ..CreateContainerRequest::default()
        };
        let runtime = self.server.runtime.clone();
        let root = self.server.runtime_root.clone().filter(|_| real);
        let runtime_root = root.unwrap_or_else(|| scratch.join("runtime"));
        Ok(PodContainer { request, log, exit, bundle, runtime, runtime_root, real })
    }

    /// A container that exists and has not started; and its pid.
    ///
    /// # Errors
    /// The server cannot create it.
    pub fn create(&self, container: &Container) -> Result<PodContainer> {
        let prepared = self.prepare(container)?;
        let created = self.client.create_container(&prepared.request);
        created.context("cannot create the container")?;
        Ok(prepared)
    }

    /// A container that runs.
    ///
    /// # Errors
    /// The server cannot create it, or the runtime cannot start it.
    pub fn running(&self, container: &Container) -> Result<PodContainer> {
        let created = self.create(container)?;
        created.start()?;
        Ok(created)
    }

    /// Runs a command in a container.
    ///
    /// # Errors
    /// The server cannot try.
    pub fn exec<S: Into<String>>(
        &self,
        container: &PodContainer,
        command: impl IntoIterator<Item = S>,
        timeout_sec: u64,
    ) -> Result<ExecSyncContainerResponse> {
        let request = container.exec(command, timeout_sec);
        self.client.exec_sync_container(&request).context("exec")
    }

    /// Listens for attach clients of a container and connects one.
    ///
    /// # Errors
    /// The server cannot listen, or does not.
    pub fn attach(&self, container: &PodContainer, closes: bool) -> Result<attach::Client> {
        let socket = container.bundle.join("attach");
        let request = AttachRequest {
            id: container.request.id.clone(),
            socket_path: socket.to_string_lossy().into_owned(),
            stop_after_stdin_eof: closes,
            ..AttachRequest::default()
        };
        self.client.attach_container(&request).context("attach")?;
        attach::Client::connect(&container.bundle)
    }

    /// Asks the server to end, and waits until it has.
    ///
    /// # Errors
    /// It is still there after [`wait::limit`].
    pub fn stop(&self) -> Result {
        sys::kill(self.pid, libc::SIGINT).context("no server to end")?;
        wait::for_end_of(self.pid)
    }
}

impl PodContainer {
    /// The request for running a command in it.
    pub fn exec<S: Into<String>>(
        &self,
        command: impl IntoIterator<Item = S>,
        timeout_sec: u64,
    ) -> ExecSyncContainerRequest {
        ExecSyncContainerRequest {
            id: self.request.id.clone(),
            command: command.into_iter().map(Into::into).collect(),
            timeout_sec,
            cgroup_manager: CgroupManager::Cgroupfs,
            ..ExecSyncContainerRequest::default()
        }
    }

    fn runtime(&self, arguments: &[&str]) -> Result {
        let output = Command::new(&self.runtime)
            .env("SMALL_RUNTIME_ROOT", &self.runtime_root)
            .arg("--root")
            .arg(&self.runtime_root)
            .args(arguments)
            .output()
            .context("cannot run the runtime")?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!("runtime {arguments:?} failed: {stderr}")));
        }
        Ok(())
    }

    /// Lets it run.
    ///
    /// # Errors
    /// The runtime refuses.
    pub fn start(&self) -> Result {
        self.runtime(&["start", &self.request.id])
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// The runtime refuses.
    pub fn kill(&self, signal: &str) -> Result {
        self.runtime(&["kill", &self.request.id, signal])
    }

    /// Waits for its exit file and gives what is in it.
    ///
    /// # Errors
    /// It does not appear in time.
    pub fn exit(&self) -> Result<String> {
        wait::for_file(&self.exit, "an exit status", |content| {
            content.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        })
    }

    /// Its log as it is now.
    ///
    /// # Errors
    /// It cannot be read, or a line isn't a record.
    pub fn log(&self) -> Result<Vec<Record>> {
        let bytes = fs::read(&self.log).context("no log")?;
        k8s_log::parse(&bytes)
    }

    /// What a stream wrote, put together again from its log.
    ///
    /// # Errors
    /// As [`PodContainer::log`].
    pub fn logged(&self, stream: &str) -> Result<Vec<u8>> {
        Ok(k8s_log::content(&self.log()?, stream))
    }
}

impl Drop for PodContainer {
    fn drop(&mut self) {
        if self.real {
            // Its control groups are nowhere in the scratch directory.
            let _ = self.runtime(&["delete", "--force", &self.request.id]);
        }
    }
}
