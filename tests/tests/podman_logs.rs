//! What `podman logs` shows, and what the log file holds, for every log driver podman offers here.

use std::fs;
use std::process::Stdio;
use tests::podman::{Podman, ROOTFS, eventually};

/// Prints "one" and, when the file `/go` appears, "two".
const ONE_GO_TWO: &str = "echo one; until [ -e /go ]; do sleep 0.05; done; echo two";

#[test]
fn a_detached_container_logs_both_streams() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], "echo to stdout; echo to stderr >&2; echo more");
    podman.ok(&["wait", "c"]);
    let logs = podman.run(&["logs", "c"]).exits(0);
    assert_eq!(logs.text(), "to stdout\nmore\n");
    assert_eq!(logs.errors(), "to stderr\n");
}

#[test]
fn following_shows_lines_as_they_come_and_ends_with_the_container() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], ONE_GO_TWO);
    let following = podman.spawn(&["logs", "-f", "c"]);
    following.wait_for("one\n");
    fs::write(podman.in_rootfs("go"), "").expect("let the container go on");
    assert_eq!(following.finish().exits(0).text(), "one\ntwo\n");
}

#[test]
fn logs_can_be_asked_for_from_a_moment_on_with_times_or_from_the_end() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], ONE_GO_TWO);
    podman.wait_for_log("c", "one");
    fs::write(podman.in_rootfs("go"), "").expect("let the container go on");
    podman.ok(&["wait", "c"]);
    let timed = podman.ok(&["logs", "-t", "c"]);
    let lines: Vec<_> = timed.lines().filter_map(|line| line.split_once(' ')).collect();
    let [(first, "one"), (second, "two")] = lines[..] else {
        panic!("expected two lines with times: {timed}")
    };
    assert_eq!(podman.ok(&["logs", "--since", first, "c"]), "two");
    assert_eq!(podman.ok(&["logs", "--until", second, "c"]), "one");
    assert_eq!(podman.ok(&["logs", "--tail", "1", "c"]), "two");
}

#[test]
fn every_record_has_a_time_a_stream_and_a_tag() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], "echo out; echo err >&2; printf unfinished");
    podman.ok(&["wait", "c"]);
    let log = fs::read(podman.log_file("c")).expect("read the log");
    let log = String::from_utf8(log).expect("plain text");
    for line in log.lines() {
        let bytes = line.as_bytes();
        let shape: String = bytes
            .iter()
            .take(35)
            .map(|b| if b.is_ascii_digit() { '0' } else { char::from(*b) })
            .collect();
        assert_eq!(
            shape.replace("-00:00", "+00:00"),
            "0000-00-00T00:00:00.000000000+00:00",
            "in {line:?}"
        );
    }
    let mut rest: Vec<_> = log.lines().filter_map(|line| line.get(36..)).collect();
    rest.sort_unstable();
    assert_eq!(rest, ["stderr F err", "stdout F out", "stdout P unfinished"]);
}

#[test]
fn binary_output_is_logged_to_the_byte() {
    let Some(podman) = Podman::new() else { return };
    let _ = podman.script(&["--name", "warm-up"], "head -c 700000 /dev/urandom > /data").exits(0);
    podman.detached("c", &[], "cat /data");
    podman.ok(&["wait", "c"]);
    assert!(podman.logged("c") == fs::read(podman.in_rootfs("data")).expect("read the data"));
}

#[test]
fn lines_of_a_megabyte_are_logged_whole() {
    let Some(podman) = Podman::new() else { return };
    podman.detached(
        "c",
        &[],
        "for c in a b c; do head -c 1000000 /dev/zero | tr '\\0' $c; echo; done",
    );
    podman.ok(&["wait", "c"]);
    let expected: String = ["a", "b", "c"].iter().map(|c| c.repeat(1_000_000) + "\n").collect();
    assert!(podman.logged("c") == expected.as_bytes(), "the log file differs");
    assert!(podman.run(&["logs", "c"]).exits(0).text() == expected, "podman logs differs");
}

#[test]
fn output_without_a_final_newline_is_shown() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], "printf 'a line\\nand a half'");
    podman.ok(&["wait", "c"]);
    assert_eq!(podman.ok(&["logs", "c"]), "a line\nand a half");
    assert_eq!(podman.logged("c"), b"a line\nand a half");
}

#[test]
fn a_restarted_container_appends_to_its_log() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], "echo run");
    for runs in 2..4 {
        podman.ok(&["wait", "c"]);
        podman.ok(&["start", "c"]);
        podman.ok(&["wait", "c"]);
        assert_eq!(podman.ok(&["logs", "c"]).lines().count(), runs);
    }
}

#[test]
fn a_size_limit_keeps_the_newest_lines() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["--log-opt", "max-size=10kb"], "seq 1 5000");
    podman.ok(&["wait", "c"]);
    assert!(
        fs::read(podman.log_file("c")).expect("read the log").len() <= 10_240 + 64,
        "the log is larger than its limit"
    );
    let kept: Vec<u32> =
        podman.ok(&["logs", "c"]).lines().filter_map(|line| line.parse().ok()).collect();
    let first = *kept.first().expect("something is kept");
    assert!(first > 1, "nothing was dropped");
    assert_eq!(kept, (first..=5000).collect::<Vec<_>>());
}

#[test]
fn with_the_driver_none_output_is_shown_but_not_kept() {
    let Some(podman) = Podman::new() else { return };
    let run = podman.run(&[
        "run",
        "--name",
        "c",
        "--log-driver",
        "none",
        ROOTFS,
        "sh",
        "-c",
        "echo hi; echo no >&2",
    ]);
    let run = run.exits(0);
    assert_eq!((run.text(), run.errors()), ("hi\n".into(), "no\n".into()));
    podman.run(&["logs", "c"]).exits(125).complains("this container is not logging output");
}

#[test]
fn with_the_driver_passthrough_a_container_has_the_callers_own_streams() {
    let Some(podman) = Podman::new() else { return };
    // A plain file instead of pipes: that is what passthrough is for, and podman refuses terminals.
    let path = podman.dir().join("output");
    let script = "echo hi; echo no >&2; readlink /proc/self/fd/1; exit 6";
    let args = ["run", "--rm", "--log-driver", "passthrough", ROOTFS, "sh", "-c", script];
    let file = fs::File::create(&path).expect("create the output file");
    let mut command = podman.command(&args);
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("duplicate a file")).stderr(file);
    let status = command.status().expect("run podman");
    let text = fs::read_to_string(&path).expect("read the output");
    assert_eq!(status.code(), Some(6), "{text}");
    assert_eq!(text, format!("hi\nno\n{}\n", path.display()));
}

#[test]
fn a_detached_container_with_passthrough_writes_on_after_podman_has_gone() {
    let Some(podman) = Podman::new() else { return };
    let path = podman.dir().join("output");
    let args =
        ["run", "-d", "--name", "c", "--log-driver", "passthrough", ROOTFS, "sh", "-c", ONE_GO_TWO];
    let file = fs::File::create(&path).expect("create the output file");
    let mut command = podman.command(&args);
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("duplicate a file")).stderr(file);
    assert!(command.status().expect("run podman").success());
    let read = || fs::read_to_string(&path).expect("read the output");
    eventually("the first line is there", || read().contains("one\n"));
    fs::write(podman.in_rootfs("go"), "").expect("let the container go on");
    podman.ok(&["wait", "c"]);
    assert!(read().ends_with("two\n"), "{}", read());
}
