//! Checkpoint and restore: a container is frozen into files, its monitor ends, and later both go on.

use tests::podman::{Podman, eventually, node};

/// Counts for ever, a line each time.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.5; done";

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_restored_container_goes_on_where_it_was_with_a_new_monitor() {
    let podman = Podman::of_node();
    // If this fails, the test cannot be made on this kernel, and so it has not passed.
    let _ = node::run("criu", &["check"]).exits(0);
    podman.detached("c", &["--network=none", "--log-driver=k8s-file"], COUNT);
    podman.wait_for_log("c", "2\n");
    let before = podman.monitor_pid("c");
    podman.ok(&["container", "checkpoint", "c"]);
    assert_eq!(podman.inspect("c", ".State.Checkpointed"), "true");
    eventually("the monitor has ended", || podman.processes().is_empty());
    let logged = podman.logged("c");
    podman.ok(&["container", "restore", "c"]);
    assert_ne!(podman.monitor_pid("c"), before);
    eventually("the output goes on", || podman.logged("c").len() > logged.len() + 4);
    let text = String::from_utf8(podman.logged("c")).expect("text");
    let numbers: Vec<usize> = text.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len()), "counted on without a gap: {numbers:?}");
    let _ = podman.run(&["exec", "c", "sh", "-c", "exit 7"]).exits(7);
    podman.ok(&["stop", "-t", "0", "c"]);
    assert_eq!(podman.inspect("c", ".State.ExitCode"), "137");
}
