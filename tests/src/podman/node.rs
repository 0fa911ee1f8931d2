//! podman as a node has it: the machine's own settings, containers and services, nothing of it private to the test.
//!
//! Such tests need a machine that nobody else uses, and one test at a time: `cargo xtask vm` brings both. Its
//! `containers.conf` names the monitor under test, and nothing else in it is changed.

use super::{Output, Podman, Session, Whose, find};
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

/// The user that tests log in as.
const USER: &str = "user";

impl Podman {
    /// The podman of this machine's administrator.
    ///
    /// # Panics
    /// Where systemd is not in charge: such a test is for a node, and must not pass anywhere else.
    #[must_use]
    pub fn of_node() -> Self {
        assert!(has_systemd(), "there is no systemd with unified control groups here");
        let podman = Self {
            dir: find::fresh_directory(),
            monitor: find::monitor().into(),
            whose: Whose::Root,
        };
        podman.make_rootfs();
        podman
    }

    /// The podman of somebody who has just logged in, and is not root.
    ///
    /// # Panics
    /// As [`Self::of_node`], or when there is no such user.
    #[must_use]
    pub fn of_user() -> Self {
        let mut podman = Self::of_node();
        podman.whose = Whose::User;
        // The runtime makes mount points as it needs them.
        let id = ok("id", &["-u", USER]).parse().expect("a user's number");
        for path in ["", "rootfs", "rootfs/etc", "rootfs/run", "rootfs/dev", "rootfs/tmp"] {
            let path = podman.dir.join(path);
            chown(&path, Some(id), Some(id)).expect("give a directory to the user");
        }
        podman
    }
}

/// Whether systemd is in charge of this machine and of one unified tree of control groups.
#[must_use]
pub fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
        && Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// A program as started from the administrator's shell: not part of a service, as podman sees it.
pub(super) fn shell(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_remove("INVOCATION_ID");
    command
}

/// A program as started from the shell of a user who has logged in.
pub(super) fn login(program: &str) -> Command {
    let mut command = Command::new("systemd-run");
    command.args(["--quiet", "--collect", "--wait", "--pipe", "--property=PAMName=login"]);
    command.args([
        &format!("--uid={USER}"),
        "--property=WorkingDirectory=~",
        "--",
        "env",
        "-u",
        "INVOCATION_ID",
        program,
    ]);
    command
}

/// Runs a program of this machine to its end, with an empty input.
#[track_caller]
#[must_use]
pub fn run(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args);
    let mut session = Session::pipes(command);
    session.close_input();
    session.finish()
}

/// The same for a program that must succeed; what it printed, without blanks at either end.
#[track_caller]
pub fn ok(program: &str, args: &[&str]) -> String {
    run(program, args).exits(0).text().trim().to_owned()
}
