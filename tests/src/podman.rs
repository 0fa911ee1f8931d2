//! A real podman of its own for each end-to-end test: storage, run directory, configuration and a copy of the monitor
//! under test, all in one temporary directory that goes away with the value.
//!
//! The monitor is what `CONMON_BINARY` names, else `dist/monitor` of this workspace, which is built when it is
//! missing. It is copied, together with the role binaries next to it, into the test's directory: then the path of a
//! process's executable tells which test it belongs to, and podman, which silently falls back to another conmon when
//! it dislikes one, has no other to find.

mod find;
mod log;
pub mod node;
mod processes;
mod service;
mod session;
mod stream;
mod system;

pub use processes::{Process, eventually};
pub use service::Service;
pub use session::{Output, Session};

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{under_test, wait};

/// Stands for `--rootfs DIRECTORY` in the arguments given to [`Podman::run`] and its like.
pub const ROOTFS: &str = "@rootfs";

/// Open files and processes that containers may have at most: low, because on machines that withhold the privilege of
/// raising limits a container can only get what podman itself was left with.
const ENOUGH: u64 = 4096;

/// One podman installation, private to one test.
pub struct Podman {
    dir: PathBuf,
    monitor: PathBuf,
    whose: Whose,
}

/// Whose settings and containers podman works with.
#[derive(Clone, Copy, PartialEq)]
enum Whose {
    /// The test's own, in the test's directory.
    Own,
    /// This machine's.
    Root,
    /// Those of a user of this machine.
    User,
}

impl Podman {
    /// Sets up an installation. None where podman cannot run; see [`under_test::skipped`].
    #[must_use]
    #[allow(clippy::new_without_default, clippy::new_ret_no_self)]
    pub fn new() -> Option<Self> {
        if let Some(missing) = find::missing() {
            under_test::skipped(missing);
            return None;
        }
        let dir = find::fresh_directory();
        let monitor = find::copy_of_monitor(&dir.join("bin"));
        let podman = Self { dir, monitor, whose: Whose::Own };
        podman.make_rootfs();
        podman.write_configuration();
        Some(podman)
    }

    /// Whether the monitor under test is ours, and not the original: ours has its roles next to it.
    #[must_use]
    pub fn ours(&self) -> bool {
        self.monitor.with_file_name("exit-reaper").exists()
    }

    /// Where this test's copy of the monitor is.
    #[must_use]
    pub fn monitor(&self) -> &Path {
        &self.monitor
    }

    /// This test's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path inside the containers' root, as seen from outside.
    #[must_use]
    pub fn in_rootfs(&self, path: &str) -> PathBuf {
        self.dir.join("rootfs").join(path.trim_start_matches('/'))
    }

    /// The file that holds a container's exit status as soon as it has exited, named by the container's full id.
    #[must_use]
    pub fn exit_file(&self, id: &str) -> PathBuf {
        self.dir.join("tmp/exits").join(id)
    }

    /// `podman ARGS` for the caller to start; [`ROOTFS`] is replaced.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = match self.whose {
            Whose::Own => Command::new("podman"),
            Whose::Root => node::shell("podman"),
            Whose::User => node::login("podman"),
        };
        command.args(self.arguments(args));
        if self.whose == Whose::Own {
            command.env("CONTAINERS_CONF", self.dir.join("containers.conf"));
        }
        command
    }

    /// Everything that follows the word `podman` on the command line; for tests that start it in their own way.
    #[must_use]
    pub fn arguments(&self, args: &[&str]) -> Vec<String> {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let mut all = vec![];
        if self.whose == Whose::Own {
            all.extend(["--root".into(), path("storage"), "--runroot".into(), path("run")]);
            all.extend(["--tmpdir".into(), path("tmp")]);
            all.extend(["--storage-driver".into(), "vfs".into()]);
            all.extend(["--network-config-dir".into(), path("networks")]);
        }
        for arg in args {
            if *arg == ROOTFS {
                all.extend(["--rootfs".into(), path("rootfs")]);
            } else {
                all.push((*arg).to_owned());
            }
        }
        all
    }

    /// Runs `podman ARGS` to its end, with an empty input.
    #[track_caller]
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        let mut session = self.spawn(args);
        session.close_input();
        session.finish()
    }

    /// Runs `podman ARGS`, which must succeed, and returns what it printed, without blanks at either end.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).exits(0).text().trim().to_owned()
    }

    /// Starts `podman ARGS` with pipes for its input and outputs.
    #[track_caller]
    #[must_use]
    pub fn spawn(&self, args: &[&str]) -> Session {
        Session::pipes(self.command(args))
    }

    /// Starts `podman ARGS` on a terminal of its own with 24 rows and 80 columns.
    #[track_caller]
    #[must_use]
    pub fn spawn_on_terminal(&self, args: &[&str]) -> Session {
        Session::terminal(self.command(args))
    }

    /// Runs a shell script in a foreground container that is removed afterwards.
    #[track_caller]
    #[must_use]
    pub fn script(&self, flags: &[&str], script: &str) -> Output {
        self.run(&[&["run", "--rm"], flags, &[ROOTFS, "sh", "-c", script]].concat())
    }

    /// Starts a shell script in a container in the background and returns the container's id.
    #[track_caller]
    pub fn detached(&self, name: &str, flags: &[&str], script: &str) -> String {
        self.ok(&[&["run", "-d", "--name", name], flags, &[ROOTFS, "sh", "-c", script]].concat())
    }

    /// One field of `podman inspect`, named by a Go template such as `.State.ExitCode`.
    #[track_caller]
    #[must_use]
    pub fn inspect(&self, name: &str, field: &str) -> String {
        self.ok(&["inspect", name, "--format", &format!("{{{{{field}}}}}")])
    }

    /// The process that podman takes for the container's monitor.
    #[track_caller]
    #[must_use]
    pub fn monitor_pid(&self, name: &str) -> i32 {
        let pid = self.inspect(name, ".State.ConmonPid");
        pid.parse()
            .unwrap_or_else(|_| panic!("podman shows {pid:?} as the monitor's pid of {name}"))
    }

    /// Waits until a container's log shows `text`.
    #[track_caller]
    pub fn wait_for_log(&self, name: &str, text: &str) {
        self.spawn(&["logs", "-f", name]).wait_for(text);
    }

    /// All living processes that run this test's copy of the monitor or of a role, by rising pid.
    #[must_use]
    pub fn processes(&self) -> Vec<Process> {
        let mut found = processes::running_from(self.monitor.parent().unwrap_or(&self.dir));
        if !self.ours() {
            let name = self.monitor.file_name().unwrap_or_default();
            found.retain(|process| *process.name == *name);
        }
        found
    }

    fn make_rootfs(&self) {
        let bin = self.dir.join("rootfs/bin");
        for name in ["bin", "proc", "sys", "dev", "tmp", "etc", "run"] {
            let dir = self.dir.join("rootfs").join(name);
            fs::create_dir_all(&dir)
                .unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
        }
        fs::copy(find::busybox(), bin.join("busybox")).expect("copy busybox");
        let list =
            Command::new(find::busybox()).arg("--list").output().expect("run busybox --list");
        for applet in
            String::from_utf8_lossy(&list.stdout).lines().filter(|applet| *applet != "busybox")
        {
            symlink("busybox", bin.join(applet)).expect("link a busybox applet");
        }
    }

    fn write_configuration(&self) {
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let limit = |name| processes::hard_limit(&limits, name).unwrap_or(ENOUGH).min(ENOUGH);
        let (files, processes) = (limit("Max open files"), limit("Max processes"));
        let manager = if node::has_systemd() { "systemd" } else { "cgroupfs" };
        let text = format!(
            "[engine]\nconmon_path = [{:?}]\ncgroup_manager = {manager:?}\nevents_logger = \"file\"\n\
             runtime = {:?}\nlock_type = \"file\"\n[containers]\nnetns = \"host\"\nlog_driver = \"k8s-file\"\n\
             default_ulimits = [\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"]\n",
            self.monitor,
            find::runtime().unwrap_or_default()
        );
        fs::write(self.dir.join("containers.conf"), text).expect("write containers.conf");
    }

    fn remove_everything(&self) {
        for args in [["rm", "-fa", "-t0"], ["pod", "rm", "-fa"]] {
            let mut session = Session::pipes(self.command(&args));
            session.close_input();
            let output = session.finish();
            if output.code != 0 {
                eprintln!("cleaning up: {output}");
            }
        }
    }

    /// Ends the processes that should not be there any more and returns them.
    fn end_what_is_left(&self) -> Vec<Process> {
        if processes::wait_until(wait::limit(), || self.processes().is_empty()).is_ok() {
            return Vec::new();
        }
        let left = self.processes();
        left.iter().for_each(Process::kill);
        // A monitor that was stuck kept podman from removing its container.
        self.remove_everything();
        left
    }
}

impl Drop for Podman {
    /// Whatever a test did, once its containers are removed nothing of the monitor may be left.
    fn drop(&mut self) {
        self.remove_everything();
        let left = self.end_what_is_left();
        for mount in processes::mounts_below(&self.dir) {
            let _ = Command::new("umount").arg("-l").arg(mount).status();
        }
        if let Err(e) = fs::remove_dir_all(&self.dir) {
            eprintln!("cannot remove {}: {e}", self.dir.display());
        }
        if !left.is_empty() && !std::thread::panicking() {
            panic!("all containers are removed, but these processes stay: {left:?}");
        }
    }
}

/// The command line `name ARGS`, for messages.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
