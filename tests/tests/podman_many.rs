//! More than one container: pods, crowds, and what podman needs to tidy up after them.

use std::path::Path;
use tests::podman::{Podman, ROOTFS, eventually};
use tests::under_test;

#[test]
fn a_pod_of_several_containers_starts_stops_and_goes_as_one() {
    let Some(podman) = Podman::new() else { return };
    podman.ok(&["pod", "create", "--infra=false", "--name", "p"]);
    for name in ["a", "b", "c"] {
        podman.detached(
            name,
            &["--pod", "p"],
            &format!("echo I am {name}; trap 'exit 0' TERM; sleep 1000 & wait"),
        );
        podman.wait_for_log(name, &format!("I am {name}"));
    }
    let state = || podman.ok(&["pod", "inspect", "p", "--format", "{{.State}}"]);
    assert_eq!(state(), "Running");
    podman.ok(&["pod", "stop", "-t", "60", "p"]);
    assert_eq!(state(), "Exited");
    podman.ok(&["pod", "start", "p"]);
    assert_eq!(state(), "Running");
    podman.ok(&["pod", "kill", "p"]);
    podman.ok(&["pod", "rm", "-f", "p"]);
    assert_eq!(podman.ok(&["ps", "-aq"]), "");
    eventually("no process of the monitor is left", || podman.processes().is_empty());
}

#[test]
fn a_pod_with_an_infra_container_shares_its_names() {
    let Some(podman) = Podman::new() else { return };
    if !has_catatonit() {
        return under_test::skipped("podman needs catatonit for infra containers");
    }
    podman.ok(&[
        "pod",
        "create",
        "--network",
        "host",
        "--share",
        "uts,ipc",
        "--hostname",
        "shared",
        "--name",
        "p",
    ]);
    assert_eq!(podman.script(&["--pod", "p"], "hostname; exit 3").exits(3).text(), "shared\n");
    podman.detached("c", &["--pod", "p"], "sleep 1000");
    assert_eq!(
        podman.ok(&["pod", "inspect", "p", "--format", "{{.NumContainers}} {{.State}}"]),
        "2 Running"
    );
}

#[test]
fn twenty_containers_started_at_once_all_run_and_all_tell_their_status() {
    let Some(podman) = Podman::new() else { return };
    let names: Vec<_> = (0..20).map(|number| format!("c{number}")).collect();
    let start = |name: &String| {
        let number = &name[1..];
        podman.spawn(&[
            "run",
            "-d",
            "-i",
            "--name",
            name,
            ROOTFS,
            "sh",
            "-c",
            &format!("echo {name}; cat; exit {number}"),
        ])
    };
    let sessions: Vec<_> = names.iter().map(start).collect();
    for session in sessions {
        let _ = session.finish().exits(0);
    }
    assert_eq!(podman.ok(&["ps", "-q"]).lines().count(), 20);
    let attached: Vec<_> =
        names.iter().map(|name| podman.spawn(&["attach", "--sig-proxy=false", name])).collect();
    for mut session in attached {
        session.close_input();
        let _ = session.finish();
    }
    let waited =
        podman.ok(&[&["wait"][..], &names.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    assert_eq!(
        waited.lines().collect::<Vec<_>>(),
        (0..20).map(|n| n.to_string()).collect::<Vec<_>>()
    );
    for name in &names {
        assert_eq!(podman.ok(&["logs", name]), *name);
    }
    eventually("no process of the monitor is left", || podman.processes().is_empty());
}

#[test]
fn twenty_foreground_containers_at_once_each_get_their_own_output() {
    let Some(podman) = Podman::new() else { return };
    let start =
        |n| podman.spawn(&["run", "--rm", ROOTFS, "sh", "-c", &format!("seq {n} {n}99; exit {n}")]);
    let sessions: Vec<_> = (1..=20).map(|n| (n, start(n))).collect();
    for (n, session) in sessions {
        let expected: String = (n..=n * 100 + 99).map(|line| format!("{line}\n")).collect();
        assert!(session.finish().exits(n).text() == expected, "container {n} said something else");
    }
    assert_eq!(podman.ok(&["ps", "-aq"]), "");
}

#[test]
fn prune_finds_ended_containers_and_nothing_else() {
    let Some(podman) = Podman::new() else { return };
    podman.detached("ended", &[], "true");
    podman.detached("alive", &[], "sleep 1000");
    podman.ok(&["wait", "ended"]);
    let id = podman.inspect("ended", ".Id");
    assert!(podman.ok(&["system", "prune", "-f"]).contains(&id));
    assert_eq!(podman.ok(&["ps", "-a", "--format", "{{.Names}}"]), "alive");
    assert_eq!(podman.inspect("alive", ".State.Status"), "running");
    podman.ok(&["rm", "-f", "-t", "0", "alive"]);
    assert!(!podman.ok(&["system", "prune", "-f"]).contains("Deleted Containers"));
}

#[test]
fn an_init_process_reaps_for_the_container() {
    let Some(podman) = Podman::new() else { return };
    if !has_catatonit() {
        return under_test::skipped("podman needs catatonit for --init");
    }
    let output = podman
        .script(&["--init"], "(sleep 0.01 &); ps -o pid,args | grep -c podman-init; exit 4")
        .exits(4);
    assert!(output.text().trim().parse::<u32>().is_ok_and(|count| count > 0), "{output}");
    let _ = podman.script(&["--init"], "kill -TERM $$").exits(143);
}

#[test]
fn a_container_may_run_without_notify_socket() {
    let Some(podman) = Podman::new() else { return };
    assert_eq!(
        podman.script(&["--sdnotify=ignore"], "echo ${NOTIFY_SOCKET:-none}").exits(0).text(),
        "none\n"
    );
}

fn has_catatonit() -> bool {
    ["/usr/libexec/podman/catatonit", "/usr/bin/catatonit"]
        .iter()
        .any(|path| Path::new(path).exists())
}
