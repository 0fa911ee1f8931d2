//! Input, output and terminals of containers in the foreground, and descriptors that the caller passes on.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use tests::podman::{Podman, ROOTFS, Session, eventually};

#[test]
fn ten_megabytes_go_through_standard_input_and_back_unchanged() {
    let Some(podman) = Podman::new() else { return };
    let data = noise(10_000_000);
    let mut session = podman.spawn(&["run", "--rm", "-i", ROOTFS, "cat"]);
    session.send(&data);
    session.close_input();
    assert!(session.finish().exits(0).stdout == data, "what came back differs");
}

#[test]
fn ten_megabytes_on_each_output_stay_apart() {
    let Some(podman) = Podman::new() else { return };
    let data = noise(10_000_000);
    fs::write(podman.in_rootfs("data"), &data).expect("write the data");
    let output = podman.script(&[], "cat /data & cat /data >&2; wait").exits(0);
    assert!(output.stdout == data, "standard output differs");
    assert!(output.stderr == data, "standard error differs");
}

#[test]
fn a_reader_that_pauses_holds_the_container_up_and_loses_nothing() {
    let Some(podman) = Podman::new() else { return };
    let mut session =
        Session::unread(podman.command(&["run", "--name", "c", ROOTFS, "seq", "1", "2000000"]));
    eventually("the container waits for its reader", || podman.log_rests("c"));
    assert_eq!(podman.inspect("c", ".State.Running"), "true");
    session.start_reading();
    let expected: String = (1..=2_000_000).map(|n| format!("{n}\n")).collect();
    assert!(session.finish().exits(0).text() == expected, "the reader saw something else");
    assert!(podman.logged("c") == expected.as_bytes(), "the log has something else");
}

#[test]
fn a_container_without_input_reads_nothing_and_does_not_wait() {
    let Some(podman) = Podman::new() else { return };
    let mut session = podman.spawn(&["run", "--rm", ROOTFS, "sh", "-c", "wc -c"]);
    session.send(b"not for you\n");
    assert_eq!(session.finish().exits(0).text(), "0\n");
}

#[test]
fn output_after_the_end_of_input_still_arrives() {
    let Some(podman) = Podman::new() else { return };
    let mut session =
        podman.spawn(&["run", "--rm", "-i", ROOTFS, "sh", "-c", "cat; echo end of input; exit 2"]);
    session.send(b"some\n");
    session.wait_for("some\n");
    session.close_input();
    assert_eq!(session.finish().exits(2).text(), "some\nend of input\n");
}

#[test]
fn a_container_that_ignores_its_input_can_end() {
    let Some(podman) = Podman::new() else { return };
    let mut session = podman.spawn(&[
        "run",
        "--rm",
        "-i",
        ROOTFS,
        "sh",
        "-c",
        "exec <&-; echo closed; read x; exit 8",
    ]);
    session.wait_for("closed");
    session.send(b"nobody reads this\n");
    let _ = session.finish().exits(8);
}

#[test]
fn a_container_on_a_terminal_follows_its_size() {
    let Some(podman) = Podman::new() else { return };
    let script = "stty size; tty; while read line; do stty size; done";
    let mut session = podman.spawn_on_terminal(&["run", "--rm", "-it", ROOTFS, "sh", "-c", script]);
    session.wait_for("/dev/pts/0\r\n");
    for (rows, columns) in [(33, 101), (50, 20)] {
        session.resize(rows, columns);
        let size = format!("{rows} {columns}\r\n");
        // Podman passes the new size on in its own time, so ask until the container has it.
        eventually(&format!("stty says {size:?}"), || {
            session.send(b"\r");
            String::from_utf8_lossy(&session.shown()).contains(&size)
        });
    }
    session.send(b"\x04");
    let _ = session.finish().exits(0);
}

#[test]
fn a_container_starts_with_the_size_of_its_callers_terminal() {
    let Some(podman) = Podman::new() else { return };
    let script = "for i in $(seq 100); do stty size; sleep 0.05; done";
    let session = podman.spawn_on_terminal(&["run", "--rm", "-it", ROOTFS, "sh", "-c", script]);
    session.wait_for("24 80\r\n");
}

#[test]
fn ctrl_c_on_the_terminal_interrupts_the_command() {
    let Some(podman) = Podman::new() else { return };
    let script = "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut session = podman.spawn_on_terminal(&["run", "--rm", "-it", ROOTFS, "sh", "-c", script]);
    session.wait_for("ready");
    session.send(b"\x03");
    let output = session.finish().exits(9);
    assert!(output.text().contains("interrupted\r\n"), "{output}");
}

#[test]
fn a_shell_on_a_terminal_can_be_talked_to() {
    let Some(podman) = Podman::new() else { return };
    let mut session = podman.spawn_on_terminal(&["run", "--rm", "-it", ROOTFS, "sh"]);
    session.wait_for("# ");
    session.send(b"echo $((6 * 7))\r");
    session.wait_for("42\r\n");
    session.send(b"exit 4\r");
    let _ = session.finish().exits(4);
}

#[test]
fn ctrl_d_on_the_terminal_ends_the_input() {
    let Some(podman) = Podman::new() else { return };
    let mut session = podman.spawn_on_terminal(&[
        "run",
        "--rm",
        "-it",
        ROOTFS,
        "sh",
        "-c",
        "echo ready; cat; exit 4",
    ]);
    session.wait_for("ready");
    session.send(b"abc\r\x04");
    let output = session.finish().exits(4);
    assert!(output.text().ends_with("abc\r\nabc\r\n"), "{output}");
}

#[test]
fn a_terminals_output_is_logged_and_shown_complete() {
    let Some(podman) = Podman::new() else { return };
    let args = ["run", "--name", "c", "-t", ROOTFS, "seq", "1", "20000"];
    let shown = podman.run(&args).exits(0).text();
    let expected: String = (1..=20_000).map(|n| format!("{n}\r\n")).collect();
    assert!(shown == expected, "{} bytes shown instead of {}", shown.len(), expected.len());
    let logged = podman.run(&["logs", "c"]).exits(0).text();
    assert!(logged == expected, "{} bytes logged instead of {}", logged.len(), expected.len());
}

#[test]
fn a_container_user_can_open_its_own_output_again() {
    let Some(podman) = Podman::new() else { return };
    let output = podman
        .script(&["--user", "1000:1000"], "echo hi > /dev/stdout; echo no > /dev/stderr")
        .exits(0);
    assert_eq!((output.text(), output.errors()), ("hi\n".into(), "no\n".into()));
}

#[test]
fn descriptors_passed_on_by_the_caller_arrive_at_their_numbers() {
    let Some(podman) = Podman::new() else { return };
    let (input, output) = (podman.dir().join("input"), podman.dir().join("output"));
    fs::write(&input, "from the caller\n").expect("write the input file");
    let script = "cat <&3; echo to the caller >&4; exit 3";
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 3<\"$1\" 4>\"$2\"; shift 2; exec podman \"$@\"", "sh"])
        .arg(input)
        .arg(&output);
    command.args(podman.arguments(&[
        "run",
        "--rm",
        "--preserve-fds",
        "2",
        ROOTFS,
        "sh",
        "-c",
        script,
    ]));
    command.env("CONTAINERS_CONF", podman.dir().join("containers.conf"));
    assert_eq!(Session::pipes(command).finish().exits(3).text(), "from the caller\n");
    assert_eq!(fs::read_to_string(output).expect("read the output file"), "to the caller\n");
}

#[test]
fn a_published_port_is_reserved_until_the_exit_is_known_and_free_from_then_on() {
    let Some(podman) = Podman::new() else { return };
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .expect("find a port");
    let publish = format!("{port}:80");
    let args = [
        "run",
        "-d",
        "--name",
        "c",
        "--network",
        "bridge",
        "-p",
        &publish,
        ROOTFS,
        "sleep",
        "1000",
    ];
    let started = podman.run(&args);
    if started.code != 0 {
        assert!(!started.errors().contains("conmon"), "{started}");
        eprintln!("skipped: no bridge network here: {started}");
        return;
    }
    let id = started.text().trim().to_owned();
    let taken =
        TcpListener::bind(port).expect_err("the port must be reserved while the container runs");
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    podman.ok(&["kill", "c"]);
    eventually("the exit file appears", || podman.exit_file(&id).exists());
    let free = TcpListener::bind(port);
    assert!(free.is_ok(), "the exit is known, but {free:?}");
}

/// Bytes of every value without a pattern that a mistake could hide in (xorshift64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}
