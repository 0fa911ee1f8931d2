//! podman on a node of today, with the settings that Debian gives it: crun, control groups made by systemd, the journal.

use std::fs;
use tests::podman::{Podman, ROOTFS, eventually, node};

/// A container that ends by itself with status 5 when it is asked to.
const POLITE: &str = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.2; done";

fn group_of(pid: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("the process lives");
    text.trim().trim_start_matches("0::").to_owned()
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn podman_is_as_debian_sets_it_up_but_for_the_monitor() {
    let podman = Podman::of_node();
    let format = "{{.Host.Conmon.Path}} {{.Host.CgroupManager}} {{.Host.OCIRuntime.Name}} {{.Host.LogDriver}}";
    let expected = format!("{} systemd crun journald", podman.monitor().display());
    assert_eq!(podman.ok(&["info", "--format", format]), expected);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn container_and_monitor_are_in_scopes_of_their_own_which_go_away_with_them() {
    let podman = Podman::of_node();
    let id = podman.detached("c", &["--network=none"], "echo ready; exec sleep 1000");
    podman.wait_for_log("c", "ready");
    let payload = group_of(&podman.inspect("c", ".State.Pid"));
    let monitor = group_of(&podman.monitor_pid("c").to_string());
    assert_eq!(payload, format!("/machine.slice/libpod-{id}.scope/container"));
    assert_eq!(monitor, format!("/machine.slice/libpod-conmon-{id}.scope"));
    podman.ok(&["rm", "-f", "-t", "0", "c"]);
    for group in [payload, monitor] {
        let path = format!("/sys/fs/cgroup{group}");
        eventually("the control group is gone", || !fs::exists(&path).expect("look for a group"));
    }
    assert_eq!(node::ok("systemctl", &["list-units", "--failed", "--plain", "--no-legend"]), "");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn statuses_of_run_and_exec_arrive() {
    let podman = Podman::of_node();
    let output = podman.script(&["--network=none"], "echo hi; exit 3").exits(3);
    assert_eq!(output.text(), "hi\n");
    podman.detached("c", &["--network=none"], "exec sleep 1000");
    let output = podman.run(&["exec", "c", "sh", "-c", "echo inside; exit 7"]).exits(7);
    assert_eq!(output.text(), "inside\n");
    let _ = podman.run(&["exec", "c", "nosuch"]).exits(127);
    let _ = podman.run(&["run", "--network=none", ROOTFS, "nosuch"]).exits(127);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_terminal_can_be_attached_to_and_talked_to() {
    let podman = Podman::of_node();
    podman.detached(
        "c",
        &["--network=none", "-it"],
        "echo ready; read line; echo got $line; exit 4",
    );
    podman.wait_for_log("c", "ready");
    let mut client = podman.spawn_on_terminal(&["attach", "c"]);
    client.send(b"words\r");
    client.wait_for("got words");
    let _ = client.finish();
    assert_eq!(podman.ok(&["wait", "c"]), "4");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_container_is_stopped_restarted_and_stopped_again() {
    let podman = Podman::of_node();
    podman.detached("c", &["--network=none"], POLITE);
    podman.wait_for_log("c", "ready");
    let before = podman.monitor_pid("c");
    podman.ok(&["restart", "-t", "60", "c"]);
    assert_ne!(podman.monitor_pid("c"), before);
    eventually("both starts are in the log", || podman.ok(&["logs", "c"]) == "ready\nready");
    podman.ok(&["stop", "-t", "60", "c"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "5");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_pod_with_its_infra_container_comes_and_goes() {
    let podman = Podman::of_node();
    podman.ok(&["pod", "create", "--network=none", "p"]);
    podman.ok(&["run", "-d", "--pod=p", "--name=c", ROOTFS, "sh", "-c", POLITE]);
    podman.wait_for_log("c", "ready");
    eventually("one monitor each for c and the infra container", || podman.processes().len() == 2);
    podman.ok(&["pod", "stop", "-t", "60", "p"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "5");
    eventually("both monitors are gone", || podman.processes().is_empty());
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_failing_health_check_is_seen_and_its_timer_goes_away() {
    let podman = Podman::of_node();
    let check = ["--network=none", "--health-cmd=test -e /tmp/well", "--health-interval=1s"];
    let flags = [&check[..], &["--health-retries=1", "--health-start-period=0s"]].concat();
    fs::write(podman.in_rootfs("tmp/well"), "").expect("make the container well");
    let id = podman.detached("c", &flags, "exec sleep 1000");
    let health = |state: &str| {
        eventually(state, || podman.inspect("c", ".State.Health.Status") == state);
    };
    health("healthy");
    fs::remove_file(podman.in_rootfs("tmp/well")).expect("make the container unwell");
    health("unhealthy");
    podman.ok(&["rm", "-f", "-t", "0", "c"]);
    let timers = || node::ok("systemctl", &["list-timers", "--all", "--plain", "--no-legend"]);
    eventually("its timer is gone", || !timers().contains(&id));
}
