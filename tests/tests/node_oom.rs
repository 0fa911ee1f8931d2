//! Containers that run out of memory in unified control groups: podman shows those that did, and only those.

use std::fs;
use std::path::PathBuf;
use tests::podman::{Podman, ROOTFS, eventually, node};

/// What a container may use; enough for a shell and a few small programs.
const LIMIT: &str = "--memory=30m";

/// Uses memory until there is none.
const HUNGRY: &str = "tail /dev/zero";

fn oom_file(podman: &Podman, name: &str) -> PathBuf {
    PathBuf::from(podman.inspect(name, ".OCIConfigPath")).with_file_name("oom")
}

/// Waits until a kill is known while the container lives. The original often looks at the counts too early, and then
/// not again before the end.
fn is_known(podman: &Podman, name: &str) {
    if podman.ours() {
        eventually("the oom file is there", || oom_file(podman, name).exists());
    }
    assert_eq!(podman.inspect(name, ".State.Running"), "true");
}

/// Waits until it has ended, and podman's exit command has seen it.
fn ends_with(podman: &Podman, name: &str, code: &str) {
    assert_eq!(podman.ok(&["wait", name]), code);
    eventually("the exit command has cleaned up", || {
        podman.inspect(name, ".State.Status") == "exited"
    });
}

/// Whether podman knows of the kill.
fn out_of_memory(podman: &Podman, name: &str) -> String {
    podman.inspect(name, ".State.OOMKilled")
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_container_that_is_killed_for_its_memory_is_shown_as_such() {
    let podman = Podman::of_node();
    podman.detached("c", &["--network=none", LIMIT], &format!("exec {HUNGRY}"));
    ends_with(&podman, "c", "137");
    assert_eq!(out_of_memory(&podman, "c"), "true");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_container_that_ends_by_itself_or_is_killed_by_hand_has_not_run_out_of_memory() {
    let podman = Podman::of_node();
    podman.detached("ends", &["--network=none", LIMIT], "exit 137");
    podman.detached("killed", &["--network=none", LIMIT], "exec sleep 1000");
    podman.ok(&["kill", "killed"]);
    for name in ["ends", "killed"] {
        ends_with(&podman, name, "137");
        assert_eq!(out_of_memory(&podman, name), "false", "{name}");
        assert!(!oom_file(&podman, name).exists(), "{name}");
    }
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_child_that_is_killed_for_its_memory_is_told_while_the_container_lives_on() {
    let podman = Podman::of_node();
    // systemd's default for a scope would be to end all of it.
    let script = format!("{HUNGRY}; echo child: $?; exec sleep 1000");
    podman.detached("c", &["--network=none", LIMIT], &script);
    podman.wait_for_log("c", "child: 137");
    is_known(&podman, "c");
    podman.ok(&["kill", "c"]);
    ends_with(&podman, "c", "137");
    assert_eq!(out_of_memory(&podman, "c"), "true");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_command_executed_in_the_container_counts_as_the_containers_own() {
    let podman = Podman::of_node();
    podman.detached("c", &["--network=none", LIMIT], "exec sleep 1000");
    let _ = podman.run(&["exec", "c", "sh", "-c", HUNGRY]).exits(137);
    is_known(&podman, "c");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_neighbour_in_the_same_slice_is_not_blamed() {
    let podman = Podman::of_node();
    let slice = Slice::new("conmotetest.slice", "30M");
    let parent = format!("--cgroup-parent={}", slice.0);
    let flags = ["--network=none", &parent];
    let polite = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done";
    podman.detached("quiet", &flags, polite);
    podman.wait_for_log("quiet", "ready");
    // Within the slice the kernel kills whoever is the worst choice, so the loud one is made that.
    podman.detached(
        "loud",
        &[&flags[..], &["--oom-score-adj=900"]].concat(),
        &format!("exec {HUNGRY}"),
    );
    ends_with(&podman, "loud", "137");
    podman.ok(&["kill", "-s", "TERM", "quiet"]);
    ends_with(&podman, "quiet", "0");
    assert_eq!(out_of_memory(&podman, "loud"), "true");
    assert_eq!(out_of_memory(&podman, "quiet"), "false");
}

/// A slice with a memory limit, for containers to be in.
struct Slice(&'static str);

impl Slice {
    fn new(name: &'static str, limit: &str) -> Self {
        let unit = format!("[Slice]\nMemoryMax={limit}\nMemorySwapMax=0\n");
        fs::write(format!("/run/systemd/system/{name}"), unit).expect("write a unit");
        node::ok("systemctl", &["daemon-reload"]);
        node::ok("systemctl", &["start", name]);
        Slice(name)
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        let _ = node::run("systemctl", &["stop", self.0]);
        let _ = fs::remove_file(format!("/run/systemd/system/{}", self.0));
    }
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_foreground_run_that_is_killed_for_its_memory_exits_with_137() {
    let podman = Podman::of_node();
    let _ = podman
        .run(&["run", "--name=c", "--network=none", LIMIT, ROOTFS, "sh", "-c", HUNGRY])
        .exits(137);
    assert_eq!(out_of_memory(&podman, "c"), "true");
}
