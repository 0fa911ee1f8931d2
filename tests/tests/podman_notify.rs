//! `--sdnotify` as systemd sees it: what podman and the container say, and in whose name; and sockets that systemd
//! hands down.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tests::notify::Host;
use tests::podman::{Podman, ROOTFS, Session, eventually};
use tests::{sys, under_test};

/// Starts a container in the background, as a service does, with a program that notifies in `/notify`, and the host's
/// libraries for it.
fn start(podman: &Podman, host: &Path, name: &str, flags: &[&str], script: &str) {
    let notify = format!("{}:/notify:ro", under_test::small_runtime().unwrap().display());
    let mounts = ["-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro", "-v", &notify];
    let words = [&["run", "-d", "--name", name], flags, &mounts, &[ROOTFS, "sh", "-c", script]];
    let mut command = podman.command(&words.concat());
    command.env("NOTIFY_SOCKET", host);
    let mut session = Session::pipes(command);
    session.close_input();
    let _ = session.finish().exits(0);
}

#[test]
fn podman_says_that_the_monitor_is_the_main_process_and_ready() {
    let Some(podman) = Podman::new() else { return };
    let path = podman.dir().join("host");
    let host = Host::at(&path).unwrap();
    start(&podman, &path, "c", &["--sdnotify=conmon"], "sleep 1000");
    let monitor = podman.monitor_pid("c");
    host.expect(&format!("MAINPID={monitor}\nREADY=1")).unwrap();
    let file = podman.inspect("c", ".ConmonPidFile");
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.trim(), monitor.to_string());
}

#[test]
fn a_container_that_notifies_is_heard_in_the_name_of_the_main_process() {
    let Some(podman) = Podman::new() else { return };
    let path = podman.dir().join("host");
    let host = Host::at(&path).unwrap();
    let script = "trap '/notify notify STOPPING=1; exit 0' TERM
                  /notify notify MAINPID=1 READY=1; while :; do sleep 0.02; done";
    start(&podman, &path, "c", &["--sdnotify=container"], script);
    // Again after a restart of the container alone, whose socket is a new one.
    for _ in 0..2 {
        // Podman speaks when it has started the container, which may be ready by then.
        let both = [host.next().unwrap(), host.next().unwrap()];
        let monitor = podman.monitor_pid("c");
        let ready = both.iter().find(|said| said.text == "READY=1").expect("to be ready");
        assert_eq!(ready.pid, monitor);
        let main = format!("MAINPID={monitor}");
        assert!(both.iter().any(|said| said.text == main), "{both:?}");
        podman.ok(&["stop", "c"]);
        if podman.ours() {
            host.expect("STOPPING=1").unwrap();
        }
        let mut command = podman.command(&["start", "c"]);
        command.env("NOTIFY_SOCKET", &path);
        let mut session = Session::pipes(command);
        session.close_input();
        let _ = session.finish().exits(0);
    }
}

#[test]
fn a_container_that_is_not_to_notify_cannot() {
    let Some(podman) = Podman::new() else { return };
    let path = podman.dir().join("host");
    let _host = Host::at(&path).unwrap();
    start(&podman, &path, "c", &["--sdnotify=ignore"], "echo socket: $NOTIFY_SOCKET.");
    podman.wait_for_log("c", "socket: .");
}

#[test]
fn sockets_that_systemd_hands_down_are_the_containers_from_number_3_on() {
    let Some(podman) = Podman::new() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (read, write) = sys::pipe().unwrap();
    let script =
        "echo fds $LISTEN_FDS for $LISTEN_PID: $LISTEN_FDNAMES.; readlink /proc/self/fd/3; cat <&4";
    let mut command = Command::new("sh");
    let run = ["run", "-d", "--name", "c", ROOTFS, "sh", "-c", script];
    command.args(["-c", "LISTEN_PID=$$ exec podman \"$@\"", "sh"]).args(podman.arguments(&run));
    command.env("CONTAINERS_CONF", podman.dir().join("containers.conf"));
    command.envs([("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "web:pipe")]);
    let high = sys::duplicate_above(listener.as_fd(), 100).unwrap();
    let other = sys::duplicate_above(read.as_fd(), 100).unwrap();
    let places = [(high.as_raw_fd(), 3), (other.as_raw_fd(), 4)];
    // SAFETY: between fork and exec it makes system calls only.
    unsafe { command.pre_exec(move || sys::place_fds(&places)) };
    let mut session = Session::pipes(command);
    session.close_input();
    let _ = session.finish().exits(0);
    drop((listener, high, other, read));
    podman.wait_for_log("c", "fds 2 for 1: web:pipe.\nsocket:[");
    // Only the container and its monitor have it now.
    TcpStream::connect(address).expect("somebody listens");
    drop(write);
    assert_eq!(podman.ok(&["wait", "c"]), "0");
    eventually("the port is free", || TcpListener::bind(address).is_ok());
}
