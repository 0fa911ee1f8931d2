//! A pod's namespaces: the files they are bound to, the pause process that holds them, and their end.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use monitor::pod::types::{CreateNamespacesRequest, Namespace};
use tests::pod::{Pod, Server};
use tests::process::{Process, proc_file};
use tests::{Container, Result, Scratch, ours_only, sys, under_test, wait};

const ORDER: [(Namespace, &str); 5] = [
    (Namespace::Ipc, "ipc"),
    (Namespace::Pid, "pid"),
    (Namespace::Net, "net"),
    (Namespace::User, "user"),
    (Namespace::Uts, "uts"),
];

fn request(scratch: &Scratch, pod_id: &str, namespaces: &[Namespace]) -> CreateNamespacesRequest {
    CreateNamespacesRequest {
        namespaces: namespaces.to_vec(),
        base_path: scratch.join("base").to_string_lossy().into_owned(),
        pod_id: pod_id.to_owned(),
        ..CreateNamespacesRequest::default()
    }
}

/// Asks for namespaces, checks that the answer is the five files in their order, and gives the pause process.
fn create(pod: &Pod<'_>, scratch: &Scratch, request: &CreateNamespacesRequest) -> i32 {
    let answer = pod.client.create_namespaces(request).unwrap().namespaces;
    let answer: Vec<_> =
        answer.into_iter().map(|one| (one.kind, PathBuf::from(one.path))).collect();
    let path = |name| scratch.join("base").join(format!("{name}ns")).join(&request.pod_id);
    assert_eq!(answer, ORDER.map(|(kind, name)| (kind, path(name))));
    let pause = pause(scratch, &request.pod_id);
    for (kind, name) in ORDER {
        let file = fs::metadata(path(name)).unwrap();
        assert_eq!((file.permissions().mode() & 0o7777, file.size()), (0o444, 0), "{name}");
        let inode = |pid: &dyn std::fmt::Display| {
            let found = fs::metadata(format!("/proc/{pid}/ns/{name}")).unwrap();
            (found.dev(), found.ino())
        };
        assert_eq!((file.dev(), file.ino()), inode(&pause), "{name}");
        let wanted = request.namespaces.contains(&kind);
        assert_eq!((file.dev(), file.ino()) != inode(&"self"), wanted, "{name}");
    }
    pause
}

/// The pid in the pod's pid file.
fn pause(scratch: &Scratch, pod_id: &str) -> i32 {
    let path = scratch.join("base/conmonrs").join(format!("{pod_id}.pid"));
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// Waits until nothing of any pod is left below the base.
fn nothing_left(scratch: &Scratch) -> Result {
    wait::until("the files of the namespaces to go", || {
        let folders = ORDER.map(|(_, name)| format!("{name}ns")).into_iter();
        let folders = folders.chain(["conmonrs".to_owned()]);
        let count = |folder| {
            let entries = fs::read_dir(scratch.join("base").join(folder));
            entries.map_or(0, |entries| entries.count())
        };
        Ok((folders.map(count).sum::<usize>() == 0).then_some(()))
    })?;
    assert_eq!(sys::mounted_below(scratch.path()), <[PathBuf; 0]>::default());
    Ok(())
}

fn children(scratch: &Scratch, parent: i32) -> Vec<Process> {
    let mut all = scratch.processes();
    all.retain(|process| process.parent == parent);
    all
}

#[test]
fn those_asked_for_are_new_and_the_others_the_hosts_until_the_server_ends() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let four = [Namespace::Uts, Namespace::Ipc, Namespace::Net, Namespace::Pid];
    let held = request(&scratch, "a.b", &four);
    let pause = create(&pod, &scratch, &held);
    let status = proc_file(pause, "status");
    assert!(status.contains(&format!("PPid:\t{}\n", pod.pid)), "{status}");
    assert!(status.contains(&format!("NSpid:\t{pause}\t1\n")), "{status}");
    // Asked again, on whatever connection, they are the same.
    let again = pod.connect()?.create_namespaces(&held).unwrap();
    assert_eq!(again, pod.client.create_namespaces(&held).unwrap());
    assert_eq!(create(&pod, &scratch, &held), pause);
    // Those of another pod are others, and none need be new.
    let other = create(&pod, &scratch, &request(&scratch, "other", &[]));
    let uts = create(&pod, &scratch, &request(&scratch, "uts", &[Namespace::Uts]));
    assert!(pause != other && other != uts);
    pod.stop()?;
    for pid in [pause, other, uts] {
        wait::for_end_of(pid)?;
    }
    nothing_left(&scratch)?;
    scratch.no_monitor_left()
}

#[test]
fn the_pause_process_is_small_quiet_and_reaps() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let pid = create(&pod, &scratch, &request(&scratch, "pod", &[Namespace::Pid]));
    let pause = wait::until("the pause process to be called so", || {
        Ok(scratch.processes().into_iter().find(|found| found.pid == pid && found.name == "pause"))
    })?;
    assert_eq!(proc_file(pid, "cmdline"), "pause\0");
    let dirty = pause.private_dirty_kb().unwrap();
    assert!(dirty <= 16, "{dirty} kB");
    let fds: Vec<_> = pause.fds().into_values().collect();
    let file = scratch.join("base/conmonrs/pod.pid").to_string_lossy().into_owned();
    assert_eq!(fds, [&*file, "/dev/null", "/dev/null", "anon_inode:[signalfd]"]);
    // A process whose parent in the namespace has ended, and that ends itself.
    let gate = scratch.join("gate");
    sys::make_fifo(&gate).unwrap();
    let namespace = format!("--pid={}", scratch.join("base/pidns/pod").display());
    let script = format!("(read x < {}) & true", gate.display());
    let (name, value) = scratch.marker();
    let done = Command::new("nsenter")
        .args([&*namespace, "--", "sh", "-c", &script])
        .env(name, value)
        .status()
        .unwrap();
    assert!(done.success());
    wait::until("an orphan", || Ok((!children(&scratch, pid).is_empty()).then_some(())))?;
    drop(fs::OpenOptions::new().write(true).open(&gate).unwrap());
    wait::until("the orphan to be reaped", || {
        Ok(children(&scratch, pid).is_empty().then_some(()))
    })?;
    // It ends when asked to, which process 1 of a namespace does not by itself.
    sys::kill(pid, libc::SIGTERM).unwrap();
    nothing_left(&scratch)
}

#[test]
fn namespaces_whose_pause_process_was_killed_are_gone_and_can_be_made_anew() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let wanted = request(&scratch, "pod", &[Namespace::Pid, Namespace::Ipc]);
    let first = create(&pod, &scratch, &wanted);
    sys::kill(first, libc::SIGKILL).unwrap();
    nothing_left(&scratch)?;
    let second = create(&pod, &scratch, &wanted);
    // What a server that was killed has left behind is replaced.
    sys::kill(pod.pid, libc::SIGKILL).unwrap();
    wait::for_end_of(pod.pid)?;
    sys::kill(second, libc::SIGKILL).unwrap();
    wait::for_end_of(second)?;
    let pod = Server::new(&scratch)?.start()?;
    create(&pod, &scratch, &wanted);
    pod.stop()?;
    nothing_left(&scratch)
}

#[test]
fn a_user_namespace_is_mapped_and_seen_by_all() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    // Mapped to root, and to somebody who may write nowhere.
    for (pod_id, outside) in [("root", 0), ("nobody", 100_000)] {
        let all = ORDER.map(|(kind, _)| kind);
        let lines = [format!("0 {outside} 1"), format!("5 {} 10", outside + 1)];
        let mut wanted = request(&scratch, pod_id, &all);
        wanted.uid_mappings = lines.to_vec();
        wanted.gid_mappings = lines[..1].to_vec();
        let pause = create(&pod, &scratch, &wanted);
        let map = |name| -> Vec<String> {
            let map = proc_file(pause, name);
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            map.lines().map(words).collect()
        };
        assert_eq!(map("uid_map"), lines);
        assert_eq!(map("gid_map"), lines[..1]);
        let status = proc_file(pause, "status");
        for name in ["Uid", "Gid"] {
            let ids = [outside.to_string(), outside.to_string(), outside.to_string()].join("\t");
            assert!(status.contains(&format!("{name}:\t{ids}\t")), "{status}");
        }
    }
    pod.stop()?;
    nothing_left(&scratch)
}

#[test]
fn what_cannot_be_made_is_an_error_and_leaves_nothing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let error = |request: &CreateNamespacesRequest| {
        pod.client.create_namespaces(request).unwrap_err().to_string()
    };
    assert_eq!(error(&request(&scratch, "", &[])), "no pod ID provided");
    for bad in ["..", "a/b", "../../x"] {
        let expected = format!("pod ID '{bad}' cannot name a file");
        assert_eq!(error(&request(&scratch, bad, &[])), expected);
    }
    let mut user = request(&scratch, "pod", &[Namespace::User, Namespace::Pid]);
    assert_eq!(error(&user), "init pause: user ID mappings are empty");
    user.uid_mappings = vec!["0 0 1".into()];
    assert_eq!(error(&user), "init pause: group ID mappings are empty");
    user.gid_mappings = vec!["0 0".into()];
    assert!(error(&user).starts_with("init pause: group ID mapping '0 0' is not three numbers"));
    // What only the kernel can tell: the same id twice, and none for root.
    user.gid_mappings = vec!["0 0 1".into(), "0 5 1".into()];
    let text = error(&user);
    assert!(text.starts_with("init pause: cannot write /proc/"), "{text}");
    assert!(text.contains("/gid_map: Invalid argument"), "{text}");
    user.gid_mappings = vec!["7 7 1".into()];
    let text = error(&user);
    assert!(text.starts_with("init pause: cannot become root of the user namespace"), "{text}");
    nothing_left(&scratch)?;
    // A folder that cannot be made, when some files are there already.
    fs::write(scratch.join("base/netns"), "not a folder").unwrap();
    let text = error(&request(&scratch, "pod", &[Namespace::Pid, Namespace::Net]));
    let netns = scratch.join("base/netns").display().to_string();
    assert!(text.starts_with(&format!("init pause: cannot make {netns}: ")), "{text}");
    fs::remove_file(netns).unwrap();
    nothing_left(&scratch)?;
    wait::until("the last helper to go", || {
        let others = children(&scratch, pod.pid).into_iter();
        Ok((others.filter(|process| process.name != "monitor").count() == 0).then_some(()))
    })?;
    create(&pod, &scratch, &request(&scratch, "pod", &[Namespace::Pid]));
    pod.stop()
}

#[test]
fn many_who_ask_at_once_get_the_same_namespaces() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let wanted = request(&scratch, "pod", &[Namespace::Ipc, Namespace::Pid]);
    let other = pod.connect()?;
    thread::scope(|scope| {
        for turn in 0..12 {
            let client = if turn % 2 == 0 { &pod.client } else { &other };
            let wanted = &wanted;
            scope.spawn(move || client.create_namespaces(wanted).unwrap());
        }
    });
    let pause = create(&pod, &scratch, &wanted);
    let all = children(&scratch, pod.pid).into_iter();
    let all: Vec<i32> = all.filter(|child| child.name == "pause").map(|child| child.pid).collect();
    assert_eq!(all, [pause]);
    pod.stop()
}

#[test]
fn the_pause_process_goes_after_the_containers() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let pause = create(&pod, &scratch, &request(&scratch, "pod", &[Namespace::Pid]));
    let container = pod.running(&Container::new(["sleep", "1000"]))?;
    let end = sys::pidfd(pause).unwrap();
    sys::kill(pod.pid, libc::SIGINT).unwrap();
    assert!(sys::readable(&end, wait::deadline()).unwrap());
    // At this moment, not a bit later.
    assert_eq!(fs::read_to_string(&container.exit).unwrap(), "137");
    nothing_left(&scratch)
}

#[test]
fn the_pause_command_works_by_itself() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let base = scratch.join("base");
    let run = |more: &[&str]| {
        let mut command = Command::new(under_test::binary().unwrap());
        command.arg0("conmonrs").arg("pause").arg("--base-path").arg(&base);
        command.args(["--pod-id", "pod"]).args(more).stdin(Stdio::null());
        let (name, value) = scratch.marker();
        command.env(name, value).output().unwrap()
    };
    let output = run(&["--uts", "--pid"]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    let pause = pause(&scratch, "pod");
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let of = |name| inode(Path::new(&format!("/proc/{pause}/ns/{name}")));
    for (_, name) in ORDER {
        assert_eq!(inode(&base.join(format!("{name}ns/pod"))), of(name));
    }
    let again = run(&[]);
    assert_eq!(again.status.code(), Some(1));
    let text = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(text.contains(&format!("pod pod has a pause process already: {pause}")), "{text}");
    sys::kill(pause, libc::SIGINT).unwrap();
    wait::for_end_of(pause)
}
