//! A unit that podman has generated, and the part of systemd that runs it (systemd.service(5)).

use super::{Output, Podman, Session};
use crate::notify::Host;
use crate::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A service with one main process at a time. The calling process is a child subreaper from then on, as systemd is:
/// it learns how main processes end.
pub struct Service<'a> {
    podman: &'a Podman,
    unit: String,
    name: String,
    directory: PathBuf,
    host: Host,
}

impl<'a> Service<'a> {
    /// What `podman generate systemd ARGS CONTAINER` makes.
    ///
    /// # Panics
    /// Podman fails.
    #[track_caller]
    #[must_use]
    pub fn generated(podman: &'a Podman, args: &[&str], container: &str) -> Self {
        let generate = [&["generate", "systemd", "--name"], args, &[container]].concat();
        // In one line what systemd reads as one.
        let unit = podman.ok(&generate).replace("\\\n", " ");
        let directory = podman.dir().join("service");
        fs::create_dir(&directory).expect("make the service's directory");
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .expect("become a subreaper");
        let host = Host::at(&directory.join("notify")).expect("listen to notifications");
        Self { podman, unit, name: format!("container-{container}.service"), directory, host }
    }

    /// The values of a key.
    fn all(&self, key: &str) -> impl Iterator<Item = String> {
        let lines = self.unit.lines();
        let values = lines.filter_map(move |line| line.strip_prefix(key)?.strip_prefix('='));
        let expand = |text: &str| {
            let directory = self.directory.display().to_string();
            text.replace("%t", &directory).replace("%n", &self.name).replace("%%", "%")
        };
        values.map(expand)
    }

    /// The one value of a key.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    #[must_use]
    pub fn value(&self, key: &str) -> String {
        self.all(key).next().unwrap_or_else(|| panic!("no {key} in {}", self.unit))
    }

    /// Runs the command of a key; `true` if there is none.
    fn run(&self, key: &str) -> Option<Output> {
        let line = self.all(key).next()?;
        let mut words = line.split_whitespace().peekable();
        let program = words.next().expect("a program");
        let mut command = Command::new(program);
        if program.ends_with("podman") && words.peek() != Some(&"--root") {
            // A unit for an existing container leaves out where it is.
            command.args(self.podman.arguments(&[]));
        }
        command.args(words).env("CONTAINERS_CONF", self.podman.dir().join("containers.conf"));
        command.env("NOTIFY_SOCKET", self.directory.join("notify"));
        for variable in self.all("Environment") {
            let (name, value) = variable.split_once('=').expect("a variable");
            command.env(name, value);
        }
        let mut session = Session::pipes(command);
        session.close_input();
        Some(session.finish())
    }

    /// Starts the service, as `systemctl start` does, and gives its main process.
    ///
    /// # Panics
    /// It does not become ready.
    #[track_caller]
    #[must_use]
    pub fn start(&self) -> i32 {
        for key in ["ExecStartPre", "ExecStart"] {
            if let Some(output) = self.run(key) {
                let _ = output.exits(0);
            }
        }
        let main = match &*self.value("Type") {
            "notify" => self.notified(),
            "forking" => fs::read_to_string(self.value("PIDFile")).expect("read the PIDFile"),
            other => panic!("a service of type {other}"),
        };
        let main = main.trim().parse().expect("a pid");
        let parent = fs::read_to_string(format!("/proc/{main}/stat")).expect("a main process");
        let parent = parent.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        assert_eq!(
            parent,
            Some(&*std::process::id().to_string()),
            "whose status nobody would learn"
        );
        main
    }

    /// Waits until the service is ready; its main process as it was told last.
    fn notified(&self) -> String {
        assert_eq!(self.value("NotifyAccess"), "all");
        let mut main = String::new();
        loop {
            let notification = self.host.next().expect("a notification");
            for line in notification.text.lines() {
                if let Some(pid) = line.strip_prefix("MAINPID=") {
                    pid.clone_into(&mut main);
                }
                if line == "READY=1" {
                    return main;
                }
            }
        }
    }

    /// Asks the service to stop, as `systemctl stop` does.
    ///
    /// # Panics
    /// The command fails.
    #[track_caller]
    pub fn stop(&self) {
        let _ = self.run("ExecStop").expect("an ExecStop").exits(0);
    }

    /// Waits for the end of a main process and cleans up as the unit says; the exit status, or 128 and the signal that
    /// ended it. systemd calls anything but 0 a failure, and restarts the service.
    ///
    /// # Panics
    /// It does not end.
    #[track_caller]
    #[must_use]
    pub fn ended(&self, main: i32) -> i32 {
        wait::for_end_of(main).expect("the end of the main process");
        let pid = rustix::process::Pid::from_raw(main).expect("a pid");
        let waited = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
        let (_, status) = waited.expect("a status").expect("an end");
        if let Some(output) = self.run("ExecStopPost") {
            let _ = output.exits(0);
        }
        let signal = || status.terminating_signal().map(|signal| 128 + signal);
        status.exit_status().or_else(signal).unwrap_or(-1)
    }

    /// Where the unit keeps the container's id.
    #[must_use]
    pub fn container_id(&self) -> PathBuf {
        Path::new(&self.directory).join(format!("{}.ctr-id", self.name))
    }

    /// The socket that the service notifies.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }
}
