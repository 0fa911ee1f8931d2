//! Containers as systemd services: Quadlet units and those that podman generates. systemd has to see the same as with
//! any other monitor: which process is the main one, when the service has started, and how it ended.

use std::fs;
use std::path::PathBuf;
use tests::podman::{Podman, eventually, node};
use tests::under_test;

/// Ends by itself with status 5 when it is asked to.
const POLITE: &str = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.2; done";

/// Ends well when it is asked to.
const GOOD: &str = "trap 'exit 0' TERM; echo ready; while :; do sleep 0.2; done";

/// A service of the test's own, which ends with this value.
struct Service {
    name: &'static str,
    file: PathBuf,
}

impl Service {
    /// A Quadlet unit of a container that runs `script`, with more lines for its sections.
    fn quadlet(podman: &Podman, container: &str, service: &str, script: &str) -> Self {
        fs::write(podman.in_rootfs("script"), script).expect("write the script");
        let rootfs = podman.in_rootfs("");
        let text = format!(
            "[Container]\nRootfs={}\nContainerName=quadlet\nExec=sh /script\nNetwork=none\n{container}\n\
             [Service]\n{service}\n",
            rootfs.display()
        );
        Self::new("quadlet.service", "/etc/containers/systemd/quadlet.container", &text)
    }

    /// The unit that `podman generate systemd --new` makes for a container.
    fn generated(podman: &Podman) -> Self {
        let text = podman.ok(&[
            "generate",
            "systemd",
            "--new",
            "--name",
            "--restart-policy=no",
            "generated",
        ]);
        podman.ok(&["rm", "-f", "-t", "0", "generated"]);
        Self::new("generated.service", "/run/systemd/system/generated.service", &text)
    }

    fn new(name: &'static str, file: &str, text: &str) -> Self {
        let file = PathBuf::from(file);
        fs::create_dir_all(file.parent().expect("a directory")).expect("make it");
        fs::write(&file, text).expect("write a unit");
        node::ok("systemctl", &["daemon-reload"]);
        Self { name, file }
    }

    /// `systemctl VERB` for this service.
    fn ok(&self, verb: &str) {
        node::ok("systemctl", &[verb, self.name]);
    }

    fn property(&self, name: &str) -> String {
        node::ok("systemctl", &["show", "--value", "-p", name, self.name])
    }

    /// How it is: state, result, and the main process's status.
    fn state(&self) -> [String; 3] {
        ["ActiveState", "Result", "ExecMainStatus"].map(|name| self.property(name))
    }

    #[track_caller]
    fn becomes(&self, state: [&str; 3]) {
        let mut now = self.state();
        eventually(&format!("the service is {state:?}"), || {
            let before = std::mem::replace(&mut now, self.state());
            if before != now {
                println!("it is {now:?}");
            }
            now == state
        });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = node::run("systemctl", &["stop", self.name]);
        let _ = node::run("systemctl", &["reset-failed", self.name]);
        let _ = fs::remove_file(&self.file);
        let _ = node::run("systemctl", &["daemon-reload"]);
    }
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn the_monitor_is_the_main_process_of_a_quadlet_service() {
    let podman = Podman::of_node();
    let service = Service::quadlet(&podman, "", "", GOOD);
    service.ok("start");
    assert_eq!(service.property("ActiveState"), "active");
    let monitor = podman.monitor_pid("quadlet");
    assert_eq!(service.property("MainPID"), monitor.to_string());
    let group = fs::read_to_string(format!("/proc/{monitor}/cgroup")).expect("it lives");
    assert_eq!(group, "0::/system.slice/quadlet.service/runtime\n");
    podman.wait_for_log("quadlet", "ready");
    service.ok("stop");
    service.becomes(["inactive", "success", "0"]);
    assert_eq!(podman.run(&["container", "exists", "quadlet"]).code, 1);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_quadlet_services_output_is_in_its_journal() {
    let podman = Podman::of_node();
    let service = Service::quadlet(&podman, "", "", GOOD);
    service.ok("start");
    podman.wait_for_log("quadlet", "ready");
    let identifier = "SYSLOG_IDENTIFIER=quadlet";
    let args = ["-q", "-o", "cat", "-u", service.name, "CONTAINER_NAME=quadlet", identifier];
    eventually("the line is the service's", || {
        node::ok("journalctl", &args).lines().any(|line| line == "ready")
    });
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_quadlet_service_may_write_to_its_journal_by_itself() {
    let podman = Podman::of_node();
    let service = Service::quadlet(&podman, "LogDriver=passthrough", "", GOOD);
    service.ok("start");
    let args = ["-q", "-o", "cat", "-u", service.name, "_TRANSPORT=stdout"];
    eventually("the line is the service's", || {
        node::ok("journalctl", &args).lines().any(|line| line == "ready")
    });
    assert_eq!(podman.processes().len(), 1, "nobody is needed to write it");
    service.ok("stop");
    service.becomes(["inactive", "success", "0"]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_quadlet_service_with_notify_is_up_when_its_container_says_so() {
    let podman = Podman::of_node();
    let runtime = under_test::small_runtime().expect("the program that notifies");
    let container = format!("Notify=true\nVolume={}:/notify:ro", runtime.display());
    let script = "trap 'exit 0' TERM; until [ -e /tmp/go ]; do sleep 0.1; done
                  /notify notify STATUS=well READY=1; while :; do sleep 0.2; done";
    let service = Service::quadlet(&podman, &container, "", script);
    node::ok("systemctl", &["start", "--no-block", service.name]);
    let running = ["inspect", "quadlet", "--format", "{{.State.Running}}"];
    eventually("the container runs", || podman.run(&running).text() == "true\n");
    assert_eq!(service.property("ActiveState"), "activating");
    fs::write(podman.in_rootfs("tmp/go"), "").expect("let the container go on");
    eventually("the service is up", || service.property("ActiveState") == "active");
    assert_eq!(service.property("StatusText"), "well");
    assert_eq!(service.property("MainPID"), podman.monitor_pid("quadlet").to_string());
    service.ok("stop");
    service.becomes(["inactive", "success", "0"]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_service_fails_with_the_status_of_its_container() {
    let podman = Podman::of_node();
    let service = Service::quadlet(&podman, "", "", POLITE);
    service.ok("start");
    podman.wait_for_log("quadlet", "ready");
    service.ok("stop");
    service.becomes(["failed", "exit-code", "5"]);
    service.ok("start");
    podman.ok(&["kill", "quadlet"]);
    service.becomes(["failed", "exit-code", "137"]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_container_that_ends_well_ends_its_service_well() {
    let podman = Podman::of_node();
    let service = Service::quadlet(&podman, "", "", "until [ -e /tmp/go ]; do sleep 0.1; done");
    service.ok("start");
    assert_eq!(service.property("ActiveState"), "active");
    fs::write(podman.in_rootfs("tmp/go"), "").expect("let the container go on");
    service.becomes(["inactive", "success", "0"]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_service_is_restarted_by_hand_and_by_its_policy() {
    let podman = Podman::of_node();
    let service = Service::quadlet(&podman, "", "Restart=on-failure\nRestartSec=100ms", GOOD);
    service.ok("start");
    podman.wait_for_log("quadlet", "ready");
    let first = service.property("MainPID");
    service.ok("restart");
    let second = service.property("MainPID");
    assert_ne!(first, second);
    assert_eq!(service.property("NRestarts"), "0");
    podman.ok(&["kill", "quadlet"]);
    eventually("systemd has started it again", || {
        service.property("NRestarts") == "1" && service.property("ActiveState") == "active"
    });
    assert_eq!(service.property("MainPID"), podman.monitor_pid("quadlet").to_string());
    podman.wait_for_log("quadlet", "ready");
    service.ok("stop");
    service.becomes(["inactive", "success", "0"]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_service_whose_container_cannot_be_made_fails() {
    let podman = Podman::of_node();
    let service = Service::quadlet(&podman, "User=1:nosuchgroup", "", GOOD);
    assert_ne!(node::run("systemctl", &["start", service.name]).code, 0);
    assert_eq!(service.property("ActiveState"), "failed");
    eventually("no monitor is left", || podman.processes().is_empty());
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_service_that_podman_generated_starts_restarts_and_stops() {
    let podman = Podman::of_node();
    fs::write(podman.in_rootfs("script"), GOOD).expect("write the script");
    let rootfs = podman.in_rootfs("").display().to_string();
    podman.ok(&[
        "create",
        "--name=generated",
        "--network=none",
        "--rootfs",
        &rootfs,
        "sh",
        "/script",
    ]);
    let service = Service::generated(&podman);
    service.ok("start");
    assert_eq!(service.property("MainPID"), podman.monitor_pid("generated").to_string());
    podman.wait_for_log("generated", "ready");
    service.ok("restart");
    podman.wait_for_log("generated", "ready");
    service.ok("stop");
    service.becomes(["inactive", "success", "0"]);
}

#[test]
#[ignore = "needs a node of its own: cargo xtask vm"]
fn a_container_gets_the_socket_that_systemd_listens_on() {
    let podman = Podman::of_node();
    let script = "echo \"$LISTEN_FDS $(readlink /proc/self/fd/3 | cut -c1-7)\"; exec sleep 1000";
    let service = Service::quadlet(&podman, "", "", script);
    let unit = "[Socket]\nListenStream=/run/quadlet.sock\n";
    let socket = Service::new("quadlet.socket", "/run/systemd/system/quadlet.socket", unit);
    socket.ok("start");
    let _client = std::os::unix::net::UnixStream::connect("/run/quadlet.sock").expect("connect");
    eventually("the service is started", || service.property("ActiveState") == "active");
    podman.wait_for_log("quadlet", "1 socket:");
    socket.ok("stop");
}
