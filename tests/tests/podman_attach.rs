//! Clients that come to a running container: `podman attach` and `podman start --attach`.

use std::fs;
use tests::podman::{Podman, ROOTFS, Session, eventually};

/// Repeats each line it gets, and ends with status 6 when it gets "bye".
const ECHO: &str = "echo ready; while read line; do echo \"got $line\"; [ \"$line\" = bye ] && exit 6; done; exit 7";

/// Prints lines until the file `/go` appears, and then ends with status 3.
const COUNT: &str = "i=0; until [ -e /go ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 3";

fn attach(podman: &Podman) -> Session {
    podman.spawn(&["attach", "--sig-proxy=false", "c"])
}

/// Sends a line until it comes back: attaching takes podman a moment, and what is sent and said before is not for us.
fn say(session: &mut Session, line: &str) {
    session.send(format!("{line}\n").as_bytes());
    session.wait_for(&format!("got {line}"));
}

#[test]
fn an_attached_client_talks_with_the_container_to_its_end() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["-i"], ECHO);
    let mut client = attach(&podman);
    say(&mut client, "hello");
    client.send(b"bye\n");
    // Podman's attach ends with a line feed of its own and, up to version 4, with status 0.
    let output = client.finish();
    assert!(output.text().trim_end().ends_with("got hello\ngot bye"), "{output}");
    assert_eq!(podman.ok(&["wait", "c"]), "6");
    assert!(podman.ok(&["logs", "c"]).ends_with("got hello\ngot bye"));
}

#[test]
fn several_clients_all_see_everything_and_may_all_speak() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["-i"], ECHO);
    let mut clients: Vec<_> = (0..4).map(|_| attach(&podman)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        say(client, &format!("from {number}"));
    }
    // Each client is attached by now, because it has seen its own line.
    say(&mut clients[2], "to all");
    for client in &clients {
        client.wait_for("got to all\n");
    }
    clients[0].send(b"bye\n");
    for client in clients {
        let output = client.finish();
        assert!(output.text().trim_end().ends_with("got to all\ngot bye"), "{output}");
    }
}

#[test]
fn a_watcher_that_is_killed_disturbs_nobody() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], COUNT);
    let (one, two) = (attach(&podman), attach(&podman));
    one.wait_for("line ");
    two.wait_for("line ");
    drop(one);
    let seen = two.shown().len();
    two.wait_for_length(seen + 100);
    fs::write(podman.in_rootfs("go"), "").expect("let the container end");
    assert_eq!(podman.ok(&["wait", "c"]), "3");
}

#[test]
fn the_end_of_a_clients_input_ends_the_containers() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["-i"], ECHO);
    let mut client = attach(&podman);
    say(&mut client, "hello");
    client.close_input();
    assert_eq!(podman.ok(&["wait", "c"]), "7");
    let _ = client.finish();
}

#[test]
fn a_container_without_input_can_be_watched() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &[], COUNT);
    let (client, watcher) =
        (attach(&podman), podman.spawn(&["attach", "--no-stdin", "--sig-proxy=false", "c"]));
    client.wait_for("line ");
    watcher.wait_for("line ");
    fs::write(podman.in_rootfs("go"), "").expect("let the container end");
    let _ = (client.finish(), watcher.finish());
    assert_eq!(podman.ok(&["wait", "c"]), "3");
}

#[test]
fn the_detach_keys_leave_the_container_running() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["-it"], ECHO);
    for keys in [&["--detach-keys", "ctrl-x,x"][..], &[]] {
        let mut client =
            podman.spawn_on_terminal(&[&["attach", "--sig-proxy=false"], keys, &["c"]].concat());
        say(&mut client, "hello");
        client.press(if keys.is_empty() { b"\x10\x11" } else { b"\x18x" });
        let _ = client.finish().exits(0);
        assert_eq!(podman.inspect("c", ".State.Running"), "true");
    }
    let mut client = podman.spawn_on_terminal(&["attach", "--sig-proxy=false", "c"]);
    client.send(b"bye\r");
    assert_eq!(podman.ok(&["wait", "c"]), "6");
}

#[test]
fn detaching_from_a_foreground_run_leaves_its_container_running() {
    let Some(podman) = Podman::new() else { return };
    let mut session =
        podman.spawn_on_terminal(&["run", "-it", "--name", "c", ROOTFS, "sh", "-c", ECHO]);
    session.wait_for("ready");
    session.press(b"\x10\x11");
    let _ = session.finish().exits(0);
    assert_eq!(podman.inspect("c", ".State.Running"), "true");
    let mut client = attach(&podman);
    say(&mut client, "again");
}

#[test]
fn clients_on_terminals_share_the_containers_terminal() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("c", &["-it"], "while read line; do stty size; done");
    let open = || podman.spawn_on_terminal(&["attach", "--sig-proxy=false", "c"]);
    let (mut one, mut two) = (open(), open());
    for client in [&mut one, &mut two] {
        shows_size(client, 24, 80);
    }
    one.resize(30, 90);
    shows_size(&mut one, 30, 90);
    two.resize(35, 95);
    shows_size(&mut two, 35, 95);
    one.wait_for("35 95\r\n");
}

/// Presses Enter until the container, which answers with the size of its terminal, shows this one.
fn shows_size(client: &mut Session, rows: u16, columns: u16) {
    let size = format!("{rows} {columns}\r\n");
    eventually(&format!("the container's terminal has the size {size:?}"), || {
        client.send(b"\r");
        String::from_utf8_lossy(&client.shown()).contains(&size)
    });
}

#[test]
fn start_with_attach_sees_a_container_from_its_first_byte() {
    let Some(podman) = Podman::new() else { return };
    podman.ok(&["create", "-i", "--name", "c", ROOTFS, "sh", "-c", ECHO]);
    for _ in 0..3 {
        let mut client = podman.spawn(&["start", "--attach", "-i", "c"]);
        client.wait_for("ready\n");
        client.send(b"bye\n");
        assert_eq!(client.finish().exits(6).text(), "ready\ngot bye\n");
    }
    assert!(podman.run(&["logs", "c"]).exits(0).text().starts_with("ready\ngot bye\nready\n"));
}

#[test]
fn ten_megabytes_reach_every_client_that_keeps_up() {
    let Some(podman) = Podman::new() else { return };
    podman.ok(&["run", "-d", "-i", "--name", "c", ROOTFS, "cat"]);
    let (mut speaker, mut watcher) = (attach(&podman), attach(&podman));
    for client in [&mut speaker, &mut watcher] {
        client.send(b"attached\n");
        client.wait_for("attached\n");
    }
    // The speaker may have come first and have seen both lines.
    watcher.send(b"start\n");
    [&speaker, &watcher].iter().for_each(|client| client.wait_for("start\n"));
    let (spoken, watched) = (speaker.shown().len(), watcher.shown().len());
    let data: Vec<u8> = (0_u32..2_560_000).flat_map(u32::to_le_bytes).collect();
    for (number, chunk) in (1..).zip(data.chunks(64_000)) {
        speaker.send(chunk);
        speaker.wait_for_length(spoken + number * 64_000);
        watcher.wait_for_length(watched + number * 64_000);
    }
    assert!(speaker.shown()[spoken..] == data, "the speaker saw something else");
    assert!(watcher.shown()[watched..] == data, "the watcher saw something else");
}
