//! Containers that run out of memory, as podman's user sees it: `podman inspect` tells that they did, and only then.

use std::fs;
use std::path::{Path, PathBuf};
use tests::podman::{Podman, ROOTFS, Session, eventually};

/// What a container may use; enough for a shell and a few small programs.
const LIMIT: &str = "--memory=20m";

/// Uses memory until there is none.
const HUNGRY: &str = "tail /dev/zero";

/// Where cgroup v1 accounts for memory.
const V1: &str = "/sys/fs/cgroup/memory";

/// Starts a shell script in a container in the background. The working directory is the test's own: versions of
/// conmon before 2.1.13 make the file `oom` there instead of in the bundle, so podman does not find it.
fn detached(podman: &Podman, name: &str, flags: &[&str], script: &str) {
    let run = ["run", "-d", "--name", name];
    let mut command = podman.command(&[&run[..], flags, &[ROOTFS, "sh", "-c", script]].concat());
    command.current_dir(podman.dir());
    let mut session = Session::pipes(command);
    session.close_input();
    let _ = session.finish().exits(0);
}

/// Waits until it has ended, and podman's exit command has seen it.
fn ends_with(podman: &Podman, name: &str, code: &str) {
    assert_eq!(podman.ok(&["wait", name]), code);
    eventually("the exit command has cleaned up", || {
        podman.inspect(name, ".State.Status") == "exited"
    });
}

/// The file that tells podman, wherever the monitor under test makes it.
fn oom_file(podman: &Podman, name: &str) -> PathBuf {
    let config = PathBuf::from(podman.inspect(name, ".OCIConfigPath"));
    let bundle = config.parent().expect("the configuration is in the bundle");
    if podman.ours() || !podman.dir().join("oom").exists() {
        bundle.join("oom")
    } else {
        podman.dir().join("oom")
    }
}

fn assert_out_of_memory(podman: &Podman, name: &str) {
    if podman.ours() {
        assert_eq!(podman.inspect(name, ".State.OOMKilled"), "true");
    } else {
        assert!(oom_file(podman, name).exists());
    }
}

#[test]
fn a_container_that_is_killed_for_its_memory_is_shown_as_such() {
    let Some(podman) = Podman::new() else { return };
    detached(&podman, "c", &[LIMIT], &format!("exec {HUNGRY}"));
    ends_with(&podman, "c", "137");
    assert_out_of_memory(&podman, "c");
}

#[test]
fn a_container_that_ends_by_itself_or_is_killed_by_hand_has_not_run_out_of_memory() {
    let Some(podman) = Podman::new() else { return };
    detached(&podman, "ends", &[LIMIT], "exit 137");
    detached(&podman, "killed", &[LIMIT], "echo ready; sleep 1000");
    podman.wait_for_log("killed", "ready");
    podman.ok(&["kill", "killed"]);
    for name in ["ends", "killed"] {
        ends_with(&podman, name, "137");
        assert_eq!(podman.inspect(name, ".State.OOMKilled"), "false", "{name}");
        assert!(!oom_file(&podman, name).exists(), "{name}");
    }
}

#[test]
fn a_child_that_is_killed_for_its_memory_is_told_while_the_container_lives_on() {
    let Some(podman) = Podman::new() else { return };
    let script = format!("{HUNGRY}; echo child: $?; read x");
    detached(&podman, "c", &[LIMIT, "-i"], &script);
    podman.wait_for_log("c", "child: 137");
    eventually("the oom file is there", || oom_file(&podman, "c").exists());
    assert_eq!(podman.inspect("c", ".State.Running"), "true");
    podman.ok(&["kill", "c"]);
    ends_with(&podman, "c", "137");
    assert_out_of_memory(&podman, "c");
}

#[test]
fn a_command_executed_in_the_container_counts_as_the_containers_own() {
    let Some(podman) = Podman::new() else { return };
    detached(&podman, "c", &[LIMIT], "echo ready; sleep 1000");
    podman.wait_for_log("c", "ready");
    let mut command = podman.command(&["exec", "c", "tail", "/dev/zero"]);
    command.current_dir(podman.dir());
    let _ = Session::pipes(command).finish().exits(137);
    eventually("the oom file is there", || oom_file(&podman, "c").exists());
    assert_eq!(podman.inspect("c", ".State.Running"), "true");
}

#[test]
fn a_container_that_ran_out_of_memory_starts_again_without_that_memory() {
    let Some(podman) = Podman::new() else { return };
    let script = format!("[ -e /tmp/again ] && exit 4; touch /tmp/again; exec {HUNGRY}");
    detached(&podman, "c", &[LIMIT], &script);
    ends_with(&podman, "c", "137");
    assert_out_of_memory(&podman, "c");
    podman.ok(&["start", "c"]);
    ends_with(&podman, "c", "4");
    let bundle_file = oom_file(&podman, "c");
    assert!(!podman.ours() || !bundle_file.exists(), "{} is old", bundle_file.display());
}

#[test]
fn a_neighbour_under_the_same_limit_is_not_blamed() {
    let Some(parent) = Parent::new(20 << 20) else {
        return eprintln!("skipped: no cgroup v1 to make a group in");
    };
    let Some(podman) = Podman::new() else { return };
    if !podman.ours() {
        return eprintln!("skipped: the original blames every container below the limit");
    }
    let flag = format!("--cgroup-parent={}", parent.name());
    detached(
        &podman,
        "quiet",
        &[&flag],
        "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    );
    podman.wait_for_log("quiet", "ready");
    detached(&podman, "loud", &[&flag], &format!("exec {HUNGRY}"));
    ends_with(&podman, "loud", "137");
    podman.ok(&["kill", "-s", "TERM", "quiet"]);
    ends_with(&podman, "quiet", "0");
    assert_eq!(podman.inspect("loud", ".State.OOMKilled"), "true");
    assert_eq!(podman.inspect("quiet", ".State.OOMKilled"), "false");
}

/// A control group with a memory limit, for containers to be in; removed in the end.
struct Parent(PathBuf);

impl Parent {
    fn new(limit: u64) -> Option<Self> {
        let group = Path::new(V1).join(format!("conmote-test-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        let parent = Parent(group);
        for name in ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"] {
            let _ = fs::write(parent.0.join(name), limit.to_string());
        }
        Some(parent)
    }

    fn name(&self) -> String {
        format!("/{}", self.0.file_name().unwrap_or_default().display())
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        // It is in the other hierarchies as well by now, and podman leaves its monitors' groups in it.
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        for hierarchy in hierarchies {
            let group = hierarchy.path().join(self.name().trim_start_matches('/'));
            for inner in fs::read_dir(&group).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(inner.path());
            }
            let _ = fs::remove_dir(&group);
        }
    }
}
