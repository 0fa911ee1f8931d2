//! How containers end, as podman's user sees it: exit statuses, stop and kill, time limits, restarts, removal.

use std::fs;
use std::time::{Duration, Instant};
use tests::podman::{Podman, ROOTFS, eventually};

/// A container that ends by itself with status 5 when it is asked to.
const POLITE: &str = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";

#[test]
fn podman_runs_the_monitor_under_test_and_no_other() {
    let Some(podman) = Podman::new() else { return };
    assert_eq!(
        podman.ok(&["info", "--format", "{{.Host.Conmon.Path}}"]),
        podman.monitor().display().to_string()
    );
    podman.detached("c", &[], "sleep 1000");
    let exe =
        fs::read_link(format!("/proc/{}/exe", podman.monitor_pid("c"))).expect("the monitor lives");
    let expected = if podman.ours() {
        podman.monitor().with_file_name("exit-reaper")
    } else {
        podman.monitor().into()
    };
    assert_eq!(exe, expected);
}

#[test]
fn a_foreground_run_exits_with_the_status_of_its_command() {
    let Some(podman) = Podman::new() else { return };
    for code in [0, 1, 3, 255] {
        let output = podman.script(&[], &format!("echo hi; exit {code}")).exits(code);
        assert_eq!(output.text(), "hi\n");
    }
}

#[test]
fn a_command_that_dies_by_a_signal_gives_128_plus_its_number() {
    let Some(podman) = Podman::new() else { return };
    // In its own pid namespace the command would be process 1, which its own signals cannot end.
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        let _ = podman.script(&["--pid=host"], &format!("kill -{signal} $$")).exits(code);
    }
}

#[test]
fn killing_a_foreground_container_ends_its_podman_with_137() {
    let Some(podman) = Podman::new() else { return };
    let session =
        podman.spawn(&["run", "--name", "c", ROOTFS, "sh", "-c", "echo ready; sleep 1000"]);
    session.wait_for("ready");
    podman.ok(&["kill", "c"]);
    let _ = session.finish().exits(137);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "137");
}

#[test]
fn ending_a_foreground_podman_passes_the_signal_on_to_its_container() {
    let Some(podman) = Podman::new() else { return };
    let session = podman.spawn(&["run", "--rm", "--name", "c", ROOTFS, "sh", "-c", POLITE]);
    session.wait_for("ready");
    // Until podman itself has noticed, it loses signals, or ends of them.
    eventually("podman knows that the container runs", || {
        podman.inspect("c", ".State.Status") == "running"
    });
    session.signal(libc::SIGTERM);
    let _ = session.finish().exits(5);
}

#[test]
fn stop_lets_a_polite_container_choose_its_status() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], POLITE);
    podman.wait_for_log("c", "ready");
    podman.ok(&["stop", "-t", "60", "c"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "5");
}

#[test]
fn stop_kills_a_container_that_does_not_listen() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], "trap '' TERM; echo ready; while :; do sleep 0.05; done");
    podman.wait_for_log("c", "ready");
    podman.ok(&["stop", "-t", "1", "c"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "137");
}

#[test]
fn wait_returns_the_status_when_the_container_ends() {
    let Some(podman) = Podman::new() else { return };
    let id = podman.detached("c", &[], POLITE);
    podman.wait_for_log("c", "ready");
    assert!(!podman.exit_file(&id).exists());
    let waiting = podman.spawn(&["wait", "c"]);
    podman.ok(&["kill", "-s", "TERM", "c"]);
    assert_eq!(waiting.finish().exits(0).text().trim(), "5");
    assert_eq!(podman.inspect("c", ".State.Status"), "exited");
}

#[test]
fn a_time_limit_ends_the_container() {
    let Some(podman) = Podman::new() else { return };
    let start = Instant::now();
    let output = podman.run(&[
        "run",
        "--timeout",
        "1",
        "--name",
        "c",
        ROOTFS,
        "sh",
        "-c",
        "echo hi; sleep 1000",
    ]);
    let took = start.elapsed();
    assert_eq!(output.exits(255).text(), "hi\n");
    assert!(took >= Duration::from_secs(1), "ended before its time, after {took:?}");
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "-1");
    assert_eq!(podman.inspect("c", ".State.Running"), "false");
}

#[test]
fn a_container_that_ends_in_time_keeps_its_own_status() {
    let Some(podman) = Podman::new() else { return };
    let _ = podman.script(&["--timeout", "60"], "exit 4").exits(4);
}

#[test]
fn a_failing_container_is_restarted_as_often_as_its_policy_allows() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["--restart", "on-failure:2"], "echo again; exit 9");
    eventually("the container was restarted twice and then left alone", || {
        podman.ok(&["inspect", "c", "--format", "{{.RestartCount}} {{.State.Status}}"])
            == "2 exited"
    });
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "9");
    assert_eq!(podman.ok(&["logs", "c"]).lines().count(), 3);
}

#[test]
fn a_container_that_succeeds_is_not_restarted() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["--restart", "on-failure:2"], "echo once");
    assert_eq!(podman.ok(&["wait", "c"]), "0");
    eventually("the exit command has cleaned up", || podman.processes().is_empty());
    assert_eq!(podman.inspect("c", ".RestartCount"), "0");
    assert_eq!(podman.ok(&["logs", "c"]), "once");
}

#[test]
fn a_container_started_with_rm_disappears_when_it_ends() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["--rm"], POLITE);
    podman.wait_for_log("c", "ready");
    podman.ok(&["kill", "-s", "TERM", "c"]);
    eventually("the container is gone", || podman.run(&["container", "exists", "c"]).code == 1);
}

#[test]
fn a_restarted_container_has_a_new_monitor_and_runs_again() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], "echo started; sleep 1000");
    podman.wait_for_log("c", "started");
    let before = podman.monitor_pid("c");
    podman.ok(&["restart", "-t", "0", "c"]);
    assert_ne!(podman.monitor_pid("c"), before);
    eventually("both starts are in the log", || podman.ok(&["logs", "c"]) == "started\nstarted");
    eventually("the first monitor has gone", || {
        !podman.processes().iter().any(|process| process.pid == before)
    });
}

#[test]
fn a_paused_container_still_belongs_to_its_monitor() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], POLITE);
    podman.wait_for_log("c", "ready");
    podman.ok(&["pause", "c"]);
    assert_eq!(podman.inspect("c", ".State.Status"), "paused");
    podman.ok(&["unpause", "c"]);
    assert!(podman.ok(&["top", "c", "args"]).contains("sleep"));
    podman.ok(&["stop", "-t", "60", "c"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "5");
}

#[test]
fn after_a_container_is_removed_nothing_of_it_is_left() {
    let Some(podman) = Podman::new() else { return };
    let id = podman.detached("c", &["-i"], "sleep 1000");
    podman.ok(&["exec", "c", "true"]);
    podman.ok(&["rm", "-f", "-t", "0", "c"]);
    eventually("no process of the monitor is left", || podman.processes().is_empty());
    for place in ["storage/vfs-containers", "run/vfs-containers", "tmp/exits", "tmp/socket"] {
        assert!(!podman.dir().join(place).join(&id).exists(), "{place} still has the container");
    }
    for subsystem in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        let group = subsystem.path().join("libpod_parent").join(format!("libpod-{id}"));
        assert!(!group.exists(), "{} is left", group.display());
    }
}
