//! What this monitor promises beyond the original, which fails these tests: it is small, nobody can hold it up, and
//! its parts can be killed. Skipped when the monitor under test has no roles next to it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use tests::podman::{Podman, Process, ROOTFS, Session, eventually};
use tests::wait;

/// "At once", on a busy machine: podman itself needs a good part of a second.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The most memory an idle container's monitor may have written to, in kB.
const PRIVATE_DIRTY_KB: u64 = 16;

/// Sends its input back to the byte, with a terminal or without, and says when it can.
const ECHO: &str = "[ -t 0 ] && stty raw -echo; echo ready; exec cat";

/// Whether there is an exit file, or podman has read it and cleaned up already.
fn is_over(podman: &Podman, id: &str) -> bool {
    podman.exit_file(id).exists() || podman.inspect(id, ".State.Status") == "exited"
}

fn ours() -> Option<Podman> {
    let podman = Podman::new()?;
    if podman.ours() {
        return Some(podman);
    }
    eprintln!("skipped: {} does not promise this", podman.monitor().display());
    None
}

fn attach(podman: &Podman) -> Session {
    let mut client = podman.spawn(&["attach", "--sig-proxy=false", "c"]);
    client.send(b"attached\n");
    client.wait_for("attached\n");
    client
}

fn process(podman: &Podman, name: &str) -> Option<Process> {
    podman.processes().into_iter().find(|process| process.name == name)
}

/// Waits until the container's hub is the only process, without dead children.
fn comes_to_rest(podman: &Podman) -> Process {
    let hub = Process { pid: podman.monitor_pid("c"), name: "exit-reaper".into() };
    eventually("the hub is the only process", || podman.processes() == [hub.clone()]);
    eventually("the hub has reaped all its children", || hub.zombies().is_empty());
    hub
}

#[test]
fn an_idle_container_costs_one_small_process() {
    let Some(podman) = ours() else { return };
    podman.detached("c", &[], "echo hello; sleep 1000");
    podman.wait_for_log("c", "hello");
    let hub = comes_to_rest(&podman);
    // Pages of a file that was copied a moment ago count as dirty until they are on the disk.
    let binary =
        fs::File::open(podman.monitor().with_file_name(&hub.name)).expect("open the hub's binary");
    binary.sync_all().expect("write the hub's binary out");
    let map = fs::read_to_string(format!("/proc/{}/smaps_rollup", hub.pid))
        .expect("read the hub's memory map");
    let dirty = map
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))
        .expect("a sum of dirty pages");
    let dirty: u64 = dirty.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    assert!(dirty <= PRIVATE_DIRTY_KB, "{dirty} kB");
}

#[test]
fn after_clients_and_execs_have_gone_one_process_is_left_and_after_the_exit_none() {
    let Some(podman) = ours() else { return };
    podman.detached("c", &["-it"], ECHO);
    drop(podman.spawn_on_terminal(&["attach", "--sig-proxy=false", "c"]));
    let _ = podman.run(&["exec", "c", "sh", "-c", "echo hi; exit 3"]).exits(3);
    podman.ok(&["exec", "-d", "c", "true"]);
    let _ = podman.run(&["exec", "c", "nosuch"]).exits(127);
    comes_to_rest(&podman);
    podman.ok(&["kill", "c"]);
    eventually("no process is left", || podman.processes().is_empty());
}

#[test]
fn a_stopped_client_delays_neither_container_nor_log_nor_other_clients() {
    for terminal in ["-i", "-it"] {
        let Some(podman) = ours() else { return };
        let id = podman.detached("c", &[terminal], ECHO);
        podman.wait_for_log("c", "ready");
        let stopped = attach(&podman);
        stopped.stop();
        let mut client = attach(&podman);
        let seen = client.shown().len();
        // Far more than all the buffers on the way to the stopped client could swallow.
        let data: Vec<u8> = (0_u32..2_000_000).flat_map(u32::to_le_bytes).collect();
        for (number, chunk) in (1..).zip(data.chunks(50_000)) {
            client.send(chunk);
            client.wait_for_length(seen + number * 50_000);
        }
        assert!(client.shown()[seen..] == data, "the other client saw something else");
        eventually("the log is complete", || podman.logged("c").ends_with(&data));
        let another = attach(&podman);
        another.stop();
        let start = Instant::now();
        podman.ok(&["kill", "c"]);
        eventually("its end is known", || is_over(&podman, &id));
        assert!(start.elapsed() < AT_ONCE, "its end took {:?} to be known", start.elapsed());
        assert_eq!(podman.ok(&["wait", "c"]), "137");
        drop((stopped, another));
    }
}

#[test]
fn killing_a_container_whose_reader_pauses_gets_its_exit_at_once_and_what_was_read_is_whole() {
    let Some(podman) = ours() else { return };
    let mut session =
        Session::unread(podman.command(&["run", "--name", "c", ROOTFS, "seq", "1", "100000000"]));
    eventually("the container waits for its reader", || podman.log_rests("c"));
    let id = podman.inspect("c", ".Id");
    let start = Instant::now();
    podman.ok(&["kill", "c"]);
    eventually("its end is known", || is_over(&podman, &id));
    assert!(start.elapsed() < AT_ONCE, "its end took {:?} to be known", start.elapsed());
    session.start_reading();
    let shown = session.finish().exits(137).stdout;
    let logged = podman.logged("c");
    let expected: Vec<u8> = (1..=2_000_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    assert!(
        !shown.is_empty() && expected.starts_with(&shown),
        "the reader's {} bytes have gaps",
        shown.len()
    );
    assert!(
        logged.len() >= shown.len() && expected.starts_with(&logged),
        "the log's {} bytes have gaps",
        logged.len()
    );
}

#[test]
fn a_log_writer_killed_under_full_load_loses_no_line() {
    let Some(podman) = ours() else { return };
    let (first, last) = (1_000_001, 3_000_000);
    let script = format!(
        "until [ -e /go ]; do sleep 0.05; done; seq {first} {last}; touch /done; sleep 1000"
    );
    podman.detached("c", &[], &script);
    fs::write(podman.in_rootfs("go"), "").expect("let the container go on");
    let kill = || process(&podman, "log-writer").inspect(Process::kill).map_or(0, |_| 1);
    let killed = wait::killing(kill, || podman.in_rootfs("done").exists()).unwrap();
    assert!(killed >= 3, "the output was over after {killed} kills");
    eventually("the last line is in the log", || podman.log_rests("c"));
    let log = fs::read_to_string(podman.log_file("c")).expect("read the log");
    let mut missing: std::collections::BTreeSet<u32> = (first..=last).collect();
    let mut partial = String::new();
    for record in log.lines() {
        // A record cut off by a kill is followed, on the same line, by the whole chunk once more.
        let Some((_, rest)) = record.rsplit_once(" stdout ") else { continue };
        let (tag, content) = rest.split_at(2);
        partial.push_str(content);
        if tag == "F " {
            missing.remove(&partial.parse().unwrap_or(0));
            missing.remove(&content.parse().unwrap_or(0));
            partial.clear();
        }
    }
    assert!(missing.is_empty(), "{} lines are missing, first {:?}", missing.len(), missing.first());
}

#[test]
fn an_attach_proxy_killed_in_a_conversation_is_not_missed() {
    let Some(podman) = ours() else { return };
    podman.detached("c", &["-i"], ECHO);
    let mut client = attach(&podman);
    for round in 0..5 {
        eventually("an attach-proxy serves the client", || {
            process(&podman, "attach-proxy").is_some()
        });
        process(&podman, "attach-proxy").inspect(Process::kill);
        client.send(format!("round {round}\n").as_bytes());
        client.wait_for(&format!("round {round}\n"));
    }
    assert!(String::from_utf8_lossy(&podman.logged("c")).ends_with("round 4\n"));
    client.close_input();
    assert_eq!(podman.ok(&["wait", "c"]), "0");
}

#[test]
fn a_runtime_that_talks_endlessly_before_it_fails_does_not_block_podman() {
    let Some(podman) = ours() else { return };
    let runtime = podman.dir().join("runtime");
    let text = "#!/bin/sh\ncase \" $* \" in *' create '*) echo 'the cause' >&2; seq 1 100000 >&2; exit 1;; esac\n\
                exec runc \"$@\"\n";
    fs::write(&runtime, text).expect("write a script");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755))
        .expect("make a script executable");
    let output =
        podman.run(&["--runtime", &runtime.display().to_string(), "run", "--rm", ROOTFS, "true"]);
    assert_ne!(output.code, 0, "{output}");
    output.complains("the cause");
}

#[test]
fn the_user_is_told_which_log_file_could_not_be_opened() {
    let Some(podman) = ours() else { return };
    let path = podman.dir().join("nosuch/directory/log").display().to_string();
    podman
        .run(&["run", "--rm", "--log-opt", &format!("path={path}"), ROOTFS, "true"])
        .exits(126)
        .complains(&path);
}
