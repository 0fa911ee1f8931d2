//! Further commands in a running container: `podman exec` with and without input, terminal and attached caller.

use std::fs;
use tests::podman::{Podman, ROOTFS, eventually};

/// A podman with a container named `c` that does nothing.
fn with_idle_container() -> Option<Podman> {
    let podman = Podman::new()?;
    podman.detached("c", &[], "sleep 1000");
    Some(podman)
}

#[test]
fn an_exec_exits_with_the_status_of_its_command() {
    let Some(podman) = with_idle_container() else { return };
    for code in [0, 1, 3, 255] {
        let output =
            podman.run(&["exec", "c", "sh", "-c", &format!("echo hi; exit {code}")]).exits(code);
        assert_eq!(output.text(), "hi\n");
    }
    let _ = podman.run(&["exec", "c", "sh", "-c", "kill -TERM $$"]).exits(143);
    let _ = podman.run(&["exec", "c", "sh", "-c", "kill -KILL $$"]).exits(137);
}

#[test]
fn the_first_bytes_of_a_quick_exec_are_never_lost() {
    let Some(podman) = with_idle_container() else { return };
    for round in 0..20 {
        let output = podman.run(&["exec", "c", "echo", "quick"]).exits(0);
        assert_eq!(output.text(), "quick\n", "in round {round}");
    }
}

#[test]
fn ten_megabytes_come_out_of_an_exec_unchanged() {
    let Some(podman) = with_idle_container() else { return };
    let _ =
        podman.run(&["exec", "c", "sh", "-c", "head -c 10000000 /dev/urandom > /data"]).exits(0);
    let output = podman.run(&["exec", "c", "cat", "/data"]).exits(0);
    assert!(
        output.stdout == fs::read(podman.in_rootfs("data")).expect("read the data"),
        "what came out differs"
    );
}

#[test]
fn ten_megabytes_go_through_the_input_of_an_exec_and_back_unchanged() {
    let Some(podman) = with_idle_container() else { return };
    let data: Vec<u8> = (0_u32..2_500_000).flat_map(u32::to_le_bytes).collect();
    let mut session = podman.spawn(&["exec", "-i", "c", "cat"]);
    session.send(&data);
    session.close_input();
    assert!(session.finish().exits(0).stdout == data, "what came back differs");
}

#[test]
fn an_exec_keeps_its_two_outputs_apart() {
    let Some(podman) = with_idle_container() else { return };
    let output = podman.run(&["exec", "c", "sh", "-c", "echo out; echo err >&2"]).exits(0);
    assert_eq!((output.text(), output.errors()), ("out\n".into(), "err\n".into()));
}

#[test]
fn an_exec_without_input_does_not_wait_for_any() {
    let Some(podman) = with_idle_container() else { return };
    let mut session = podman.spawn(&["exec", "c", "wc", "-c"]);
    session.send(b"not for you\n");
    assert_eq!(session.finish().exits(0).text(), "0\n");
}

#[test]
fn an_exec_on_a_terminal_follows_its_size_and_takes_keys() {
    let Some(podman) = with_idle_container() else { return };
    let script = "trap 'exit 9' INT; tty; while read line; do stty size; done; sleep 1000";
    let mut session = podman.spawn_on_terminal(&["exec", "-it", "c", "sh", "-c", script]);
    session.wait_for("/dev/pts/0\r\n");
    session.resize(41, 99);
    eventually("stty says 41 99", || {
        session.send(b"\r");
        String::from_utf8_lossy(&session.shown()).contains("41 99\r\n")
    });
    // The newline is for a shell that has just missed the signal, on its way into `read`.
    session.send(b"\x03\r");
    let _ = session.finish().exits(9);
}

#[test]
fn an_exec_with_a_terminal_but_without_input_shows_its_output() {
    let Some(podman) = with_idle_container() else { return };
    assert_eq!(
        podman.run(&["exec", "-t", "c", "sh", "-c", "echo hi; exit 3"]).exits(3).text(),
        "hi\r\n"
    );
}

#[test]
fn a_detached_exec_runs_on_alone() {
    let Some(podman) = with_idle_container() else { return };
    let script = "echo started > /one; until [ -e /go ]; do sleep 0.05; done; echo ended > /two";
    podman.ok(&["exec", "-d", "c", "sh", "-c", script]);
    eventually("the command runs", || podman.in_rootfs("one").exists());
    fs::write(podman.in_rootfs("go"), "").expect("let the command go on");
    eventually("the command ends by itself", || podman.in_rootfs("two").exists());
}

#[test]
fn several_execs_run_side_by_side() {
    let Some(podman) = with_idle_container() else { return };
    let mut sessions: Vec<_> = (0..5).map(|_| podman.spawn(&["exec", "-i", "c", "cat"])).collect();
    for (number, session) in sessions.iter_mut().enumerate() {
        session.send(format!("for {number}\n").as_bytes());
    }
    for (number, session) in sessions.iter().enumerate() {
        session.wait_for(&format!("for {number}\n"));
    }
    for mut session in sessions {
        session.close_input();
        let _ = session.finish().exits(0);
    }
}

#[test]
fn an_exec_ends_when_its_container_is_removed() {
    let Some(podman) = with_idle_container() else { return };
    let session = podman.spawn(&["exec", "c", "sh", "-c", "echo ready; sleep 1000"]);
    session.wait_for("ready");
    podman.ok(&["rm", "-f", "-t", "0", "c"]);
    let output = session.finish();
    assert_ne!(output.code, 0, "{output}");
}

#[test]
fn an_exec_leaves_nothing_behind() {
    let Some(podman) = with_idle_container() else { return };
    let before = podman.processes();
    let _ = podman.run(&["exec", "c", "sh", "-c", "echo hi; sleep 0.1 & exit 3"]).exits(3);
    let _ = podman.run(&["exec", "c", "nosuch"]);
    eventually("only the container's own monitor is left", || podman.processes() == before);
}

#[test]
fn an_exec_of_a_command_that_does_not_exist_is_explained() {
    let Some(podman) = with_idle_container() else { return };
    podman.run(&["exec", "c", "nosuch"]).exits(127).complains(
        "exec: \"nosuch\": executable file not found in $PATH: OCI runtime attempted to invoke a command that was not \
         found",
    );
    podman.run(&["exec", "c", "/etc"]).exits(126).complains("exec: \"/etc\": permission denied");
    let _ = podman.run(&["exec", "nobody", "true"]).exits(125);
    let _ = podman.run(&["exec", "--bogus", "c", "true"]).exits(125);
}

#[test]
fn a_health_check_tells_by_exec_whether_the_container_is_well() {
    let Some(podman) = Podman::new() else { return };
    let args = [
        "run",
        "-d",
        "--name",
        "c",
        "--health-cmd",
        "test -e /well",
        "--health-interval",
        "disable",
    ];
    podman.ok(&[&args[..], &[ROOTFS, "sleep", "1000"]].concat());
    assert_eq!(podman.run(&["healthcheck", "run", "c"]).exits(1).text(), "unhealthy\n");
    fs::write(podman.in_rootfs("well"), "").expect("make the container well");
    let _ = podman.run(&["healthcheck", "run", "c"]).exits(0);
    assert_eq!(podman.inspect("c", ".State.Health.Status"), "healthy");
}
