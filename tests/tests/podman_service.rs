//! Services as `podman generate systemd` writes them: they start, stop, restart and fail with either monitor alike.

use std::fs;

use tests::podman::{Podman, ROOTFS, Service, eventually};
use tests::sys;

/// Does what the file `how` in its root says: ends with that status, or stays until it is asked to end.
const SCRIPT: &str =
    "trap 'echo asked; exit 0' TERM; status=$(cat /how); [ $status ] && exit $status
                      echo up; while :; do sleep 0.02; done";

/// Each kind of unit that podman generates, with its container.
fn each_kind(test: impl Fn(&Podman, &Service)) {
    for args in [&["--new"][..], &[]] {
        let Some(podman) = Podman::new() else { return };
        fs::write(podman.in_rootfs("/script"), SCRIPT).unwrap();
        says(&podman, "");
        podman.ok(&["create", "--name", "c", ROOTFS, "sh", "/script"]);
        test(&podman, &Service::generated(&podman, args, "c"));
    }
}

fn says(podman: &Podman, how: &str) {
    fs::write(podman.in_rootfs("/how"), how).unwrap();
}

/// Starts the service and waits until its container is at work.
fn start(podman: &Podman, service: &Service) -> i32 {
    let main = service.start();
    podman.wait_for_log("c", "up");
    assert_eq!(podman.monitor_pid("c"), main);
    main
}

/// Whether the service's main process is of the monitor under test.
fn is_monitor(podman: &Podman, main: i32) -> bool {
    let process = podman.processes().into_iter().find(|process| process.pid == main);
    process.is_some_and(|process| ["exit-reaper", "monitor", "conmon"].contains(&&*process.name))
}

#[test]
fn a_service_starts_stops_and_starts_again() {
    each_kind(|podman, service| {
        for _ in 0..2 {
            let main = start(podman, service);
            assert!(is_monitor(podman, main));
            service.stop();
            assert_eq!(service.ended(main), 0, "a clean end");
        }
        eventually("no process is left", || podman.processes().is_empty());
    });
}

#[test]
fn a_service_that_fails_has_its_containers_status_and_can_be_restarted() {
    each_kind(|podman, service| {
        let main = start(podman, service);
        podman.ok(&["kill", "c"]);
        assert_eq!(service.ended(main), 137);
        assert_eq!(service.value("Restart"), "on-failure");
        let main = start(podman, service);
        service.stop();
        assert_eq!(service.ended(main), 0);
    });
}

#[test]
fn a_service_that_ends_by_itself_does_so_with_its_containers_status() {
    each_kind(|podman, service| {
        says(podman, "5");
        let main = service.start();
        assert_eq!(service.ended(main), 5);
    });
}

#[test]
fn a_signal_for_the_main_process_reaches_the_container() {
    // As `systemctl kill` sends it, or `systemctl stop` when the stop command has failed.
    each_kind(|podman, service| {
        let main = start(podman, service);
        sys::kill(main, libc::SIGTERM).unwrap();
        assert_eq!(service.ended(main), 0);
        eventually("no process is left", || podman.processes().is_empty());
    });
}

#[test]
fn a_new_container_has_its_id_where_the_unit_says() {
    let Some(podman) = Podman::new() else { return };
    fs::write(podman.in_rootfs("/script"), SCRIPT).unwrap();
    says(&podman, "");
    podman.ok(&["create", "--name", "c", ROOTFS, "sh", "/script"]);
    let service = Service::generated(&podman, &["--new"], "c");
    let main = start(&podman, &service);
    let id = fs::read_to_string(service.container_id()).unwrap();
    assert_eq!(podman.inspect("c", ".Id"), id);
    service.stop();
    assert_eq!(service.ended(main), 0);
    assert_eq!(podman.run(&["container", "exists", &id]).code, 1, "it is removed");
}
