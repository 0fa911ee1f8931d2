//! Containers of a user who is not root.

use tests::podman::{Podman, ROOTFS, eventually, node};

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_user_runs_executes_and_reads_logs() {
    let podman = Podman::of_user();
    assert_eq!(podman.ok(&["info", "--format", "{{.Host.Security.Rootless}}"]), "true");
    let output = podman.script(&["--network=none"], "id -u; exit 3").exits(3);
    assert_eq!(output.text(), "0\n");
    podman.detached("c", &["--network=none"], "echo hello; echo bad >&2; exec sleep 1000");
    podman.wait_for_log("c", "hello");
    let _ = podman.run(&["exec", "c", "sh", "-c", "exit 7"]).exits(7);
    let logs = podman.run(&["logs", "c"]).exits(0);
    assert_eq!((logs.text().as_str(), logs.errors().as_str()), ("hello\n", "bad\n"));
    podman.ok(&["stop", "-t", "0", "c"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "137");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_users_monitor_outlives_the_session_that_started_it() {
    let podman = Podman::of_user();
    podman.detached(
        "c",
        &["--network=none"],
        "trap 'exit 5' TERM; echo ready; while :; do sleep 0.2; done",
    );
    podman.wait_for_log("c", "ready");
    let monitor = podman.monitor_pid("c");
    let status = std::fs::read_to_string(format!("/proc/{monitor}/status")).expect("it lives");
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    assert_eq!(uid.split_whitespace().next(), Some("1000"), "the monitor is the user's");
    let group = std::fs::read_to_string(format!("/proc/{monitor}/cgroup")).expect("it lives");
    assert!(group.contains("/user@1000.service/user.slice/libpod-conmon-"), "{group}");
    podman.ok(&["stop", "-t", "60", "c"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "5");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_users_container_that_runs_out_of_memory_is_shown_as_such() {
    let podman = Podman::of_user();
    let run = ["run", "--name=c", "--network=none", "--memory=30m", ROOTFS];
    let _ = podman.run(&[&run[..], &["sh", "-c", "tail /dev/zero"]].concat()).exits(137);
    assert_eq!(podman.inspect("c", ".State.OOMKilled"), "true");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_users_output_is_in_the_journal_under_the_user() {
    let podman = Podman::of_user();
    let id = podman.detached("c", &["--network=none"], "echo from a user");
    podman.ok(&["wait", "c"]);
    let (full, short) = (format!("CONTAINER_ID_FULL={id}"), format!("CONTAINER_ID={}", &id[..12]));
    let args = ["-q", "-o", "cat", "_UID=1000", &full, &short];
    eventually("the line is in the journal", || node::ok("journalctl", &args) == "from a user");
}
