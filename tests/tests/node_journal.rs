//! Container output in a real journal, as `journalctl` and `podman logs` show it.

use std::fs;
use tests::podman::{Podman, eventually, node};

/// Prints "one" and, when the file `/tmp/go` appears, "two".
const ONE_GO_TWO: &str = "echo one; until [ -e /tmp/go ]; do sleep 0.1; done; echo two";

/// One field of all the entries that a container's output has made, in the order they came.
fn field(id: &str, field: &str) -> Vec<String> {
    // podman writes its events to the journal as well, but without the short id.
    let (full, short) = (format!("CONTAINER_ID_FULL={id}"), format!("CONTAINER_ID={}", &id[..12]));
    let fields = format!("--output-fields={field}");
    let args = ["--no-pager", "-q", "-o", "json", &fields, &full, &short];
    let json = node::ok("journalctl", &args);
    let entries = json.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).expect("journalctl prints JSON");
        entry.get(field).and_then(|value| value.as_str()).unwrap_or("-").to_owned()
    });
    entries.collect()
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn the_default_log_is_the_journal_and_podman_logs_reads_it_back() {
    let podman = Podman::of_node();
    let id = podman.detached(
        "c",
        &["--network=none"],
        "echo to stdout; echo to stderr >&2; printf rest",
    );
    podman.ok(&["wait", "c"]);
    let logs = podman.run(&["logs", "c"]).exits(0);
    assert_eq!(logs.text(), "to stdout\nrest");
    assert_eq!(logs.errors(), "to stderr\n");
    let mut lines: Vec<_> = field(&id, "PRIORITY").into_iter().zip(field(&id, "MESSAGE")).collect();
    lines.sort();
    let expected = [("3", "to stderr\n"), ("6", "rest"), ("6", "to stdout\n")];
    assert_eq!(lines, expected.map(|(priority, text)| (priority.to_owned(), text.to_owned())));
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn entries_say_which_container_they_are_from() {
    let podman = Podman::of_node();
    let flags = ["--network=none", "--log-opt", "tag=the tag", "--log-opt", "label=A=b"];
    let flags = if podman.ours() { &flags[..] } else { &flags[..3] };
    let id = podman.detached("c", flags, "echo hello");
    podman.ok(&["wait", "c"]);
    for (name, value) in [
        ("CONTAINER_ID", &id[..12]),
        ("CONTAINER_NAME", "c"),
        ("CONTAINER_TAG", "the tag"),
        ("SYSLOG_IDENTIFIER", "the tag"),
        ("_TRANSPORT", "journal"),
    ] {
        assert_eq!(field(&id, name), [value], "{name}");
    }
    assert_eq!(node::ok("journalctl", &["-q", "-o", "cat", "CONTAINER_TAG=the tag"]), "hello");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn following_shows_lines_as_they_come_and_ends_with_the_container() {
    let podman = Podman::of_node();
    podman.detached("c", &["--network=none"], ONE_GO_TWO);
    let following = podman.spawn(&["logs", "-f", "c"]);
    following.wait_for("one\n");
    fs::write(podman.in_rootfs("tmp/go"), "").expect("let the container go on");
    assert_eq!(following.finish().exits(0).text(), "one\ntwo\n");
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn output_reaches_the_journal_that_was_started_anew() {
    let podman = Podman::of_node();
    let id = podman.detached("c", &["--network=none"], ONE_GO_TWO);
    eventually("the first line is in the journal", || field(&id, "MESSAGE") == ["one\n"]);
    node::ok("systemctl", &["restart", "systemd-journald.service"]);
    fs::write(podman.in_rootfs("tmp/go"), "").expect("let the container go on");
    assert_eq!(podman.ok(&["wait", "c"]), "0");
    eventually("both lines are in the journal", || field(&id, "MESSAGE") == ["one\n", "two\n"]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_log_writer_belongs_to_the_control_group_of_its_monitor() {
    let podman = Podman::of_node();
    if !podman.ours() {
        return;
    }
    let id = podman.detached("c", &["--network=none"], "echo hello; exec sleep 1000");
    podman.wait_for_log("c", "hello");
    assert_eq!(field(&id, "_SYSTEMD_UNIT"), [format!("libpod-conmon-{id}.scope")]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn the_file_driver_works_beside_the_journal() {
    let podman = Podman::of_node();
    podman.detached("c", &["--network=none", "--log-driver=k8s-file"], "seq 1 2000");
    podman.ok(&["wait", "c"]);
    let expected: String = (1..=2000).map(|number| format!("{number}\n")).collect();
    assert!(podman.logged("c") == expected.as_bytes());
    assert_eq!(podman.run(&["logs", "c"]).exits(0).text(), expected);
}
