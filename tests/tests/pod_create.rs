//! Creating containers through the pod server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use monitor::pod::types::CgroupManager;
use tests::pod::Server;
use tests::process::{Kind, Process};
use tests::{Container, Result, Scratch, ours_only, sys, wait};

#[test]
fn a_container_is_created_started_logged_and_its_exit_recorded() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("echo out; echo err >&2; exit 3"))?;
    assert_eq!(container.exit()?, "3");
    assert_eq!(container.logged("stdout")?, b"out\n");
    assert_eq!(container.logged("stderr")?, b"err\n");
    Ok(())
}

/// The sizes at which monitors have lost the end of a log.
const SIZES: [usize; 5] = [4_000, 16_000, 32_000, 60_000, 200_000];

#[test]
fn every_byte_is_in_the_log_before_the_exit_file_appears() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    for size in SIZES {
        let text: Vec<u8> = b"0123456789abcdefghijklmnopqrstuvwxyz\n".repeat(size / 37 + 1);
        let text = &text[..size];
        let file = scratch.join("text");
        fs::write(&file, text).unwrap();
        let script = format!("cat {0}; cat {0} >&2", file.display());
        thread::scope(|scope| {
            for _ in 0..30 {
                let (pod, script) = (&pod, &script);
                scope.spawn(move || {
                    let container = pod.running(&Container::sh(script)).unwrap();
                    assert_eq!(container.exit().unwrap(), "0");
                    // At this moment, not a bit later.
                    let log = fs::read(&container.log).unwrap();
                    let records = tests::k8s_log::parse(&log).unwrap();
                    for stream in ["stdout", "stderr"] {
                        let mut all = Vec::new();
                        for record in records.iter().filter(|record| record.stream == stream) {
                            all.extend(&record.content);
                            all.extend((!record.partial).then_some(b'\n'));
                        }
                        assert!(all == text, "{} of {size} bytes of {stream}", all.len());
                    }
                });
            }
        });
    }
    Ok(())
}

#[test]
fn the_runtime_is_called_as_conmonrs_calls_it() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let mut server = Server::new(&scratch)?.env("SMALL_RUNTIME_TRACE", trace.display());
    server.runtime_root = Some(scratch.directory("root")?);
    let pod = server.start()?;
    let mut container = pod.prepare(&Container::new(["sleep", "1000"]))?;
    container.request.global_args = vec!["--debug".into()];
    container.request.command_args = vec!["--no-pivot".into()];
    container.request.cgroup_manager = CgroupManager::Systemd;
    container.request.env_vars = vec![("POD_VARIABLE".into(), "some value".into())];
    let pid = pod.client.create_container(&container.request).unwrap().container_pid;
    let note = tests::note::read(&trace)?.remove(0);
    let root = format!("--root={}", scratch.join("root").display());
    let bundle = container.bundle.to_str().unwrap();
    let pid_file = format!("{bundle}/pidfile");
    let expected = [
        &root,
        "--systemd-cgroup",
        &root,
        "--systemd-cgroup",
        "--debug",
        "create",
        "--bundle",
        bundle,
        "--pid-file",
        &pid_file,
        "--no-pivot",
        &container.request.id,
    ];
    assert_eq!(note.arguments(), expected);
    assert_eq!(note.args[0], pod.server.runtime.to_str().unwrap());
    assert_eq!(note.env("POD_VARIABLE"), Some("some value"));
    assert_eq!(note.fds[&0], "/dev/null", "no stdin was asked for");
    assert_eq!(note.fds.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGPIPE, libc::SIGCHLD] {
        assert!(!note.has_signal("SigBlk:", signal) && !note.has_signal("SigIgn:", signal));
    }
    let own_score = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(note.oom_score_adj.trim(), own_score.trim());
    // The runtime's file stays for the engine.
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), pid.to_string());
    // The processes of containers are the server's children.
    let stat = tests::process::proc_file(pid as i32, "status");
    assert!(stat.contains(&format!("PPid:\t{}\n", pod.pid)), "{stat}");
    Ok(())
}

#[test]
fn a_runtime_that_fails_is_quoted_in_the_answer_and_in_the_log() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let failing = Container::sh("true")
        .annotation("small-runtime.stderr", "first line\nsecond line\n")
        .annotation("small-runtime.exit", "7");
    let container = pod.prepare(&failing)?;
    let error = pod.client.create_container(&container.request).unwrap_err();
    assert_eq!(error.to_string(), "child command exited with: 7: first line\nsecond line");
    wait::for_file(&container.log, "the runtime's words", |content| {
        let records = tests::k8s_log::parse(content?).ok()?;
        let lines: Vec<&[u8]> = records.iter().map(|record| &record.content[..]).collect();
        (lines == [b"first line".as_slice(), b"second line"]).then_some(())
    })?;
    assert!(!container.exit.exists());

    let killed = Container::sh("true").annotation("small-runtime.signal", "9");
    let error = pod.client.create_container(&pod.prepare(&killed)?.request).unwrap_err();
    assert_eq!(error.to_string(), "child command exited with signal: ");
    let missing = Container::new(["no-such-program"]);
    let error = pod.client.create_container(&pod.prepare(&missing)?.request).unwrap_err();
    assert!(error.to_string().contains("not found in $PATH"), "{error}");
    // And the server goes on.
    assert_eq!(pod.running(&Container::sh("exit 5"))?.exit()?, "5");
    Ok(())
}

#[test]
fn a_terminal_works_and_one_that_never_comes_is_an_error() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("echo to a terminal; test -t 1").terminal())?;
    assert_eq!(container.exit()?, "0");
    assert_eq!(container.logged("stdout")?, b"to a terminal\r\n");
    let without = Container::sh("true").terminal().annotation("small-runtime.no-console", "1");
    let container = pod.prepare(&without)?;
    let error = pod.client.create_container(&container.request).unwrap_err();
    assert_eq!(error.to_string(), "the runtime set up no terminal");
    let failing = Container::sh("true").terminal().annotation("small-runtime.exit", "4");
    let error = pod.client.create_container(&pod.prepare(&failing)?.request).unwrap_err();
    assert_eq!(error.to_string(), "child command exited with: 4: ");
    // What was made in vain is gone.
    wait::until("the container that nobody has to go", || {
        Ok(scratch.processes().iter().all(|process| process.kind == Kind::Monitor).then_some(()))
    })
}

#[test]
fn exit_files_are_written_in_order_before_the_cleanup_command_runs() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let mut container = pod.prepare(&Container::sh("exit 9"))?;
    let [first, last, note] = ["first", "last", "note"].map(|name| container.bundle.join(name));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    container.request.exit_paths = vec![text(&first), "/does/not/exist/x".into(), text(&last)];
    let script =
        format!("cat {} {} > {}.new; mv {2}.new {2}", text(&first), text(&last), text(&note));
    // Found in PATH, as conmonrs does.
    container.request.cleanup_cmd = vec!["sh".into(), "-c".into(), script];
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    let seen =
        wait::for_file(&note, "the cleanup command's note", |content| content.map(<[u8]>::to_vec))?;
    assert_eq!(seen, b"99");
    // One that cannot be run is nobody's problem.
    let mut container = pod.prepare(&Container::sh("exit 8"))?;
    container.request.cleanup_cmd = vec!["/does/not/exist".into()];
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    assert_eq!(container.exit()?, "8");
    Ok(())
}

#[test]
fn a_client_that_disconnects_while_a_container_is_made_leaves_nothing_behind() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let gate = scratch.join("gate");
    sys::make_fifo(&gate).unwrap();
    let pod = Server::new(&scratch)?.start()?;
    let waiting =
        Container::sh("sleep 1000").annotation("small-runtime.wait", gate.to_str().unwrap());
    let container = pod.prepare(&waiting)?;
    let other = pod.connect()?;
    thread::scope(|scope| {
        let create = scope.spawn(|| other.create_container(&container.request));
        // The runtime is at work now, and waits.
        let gate = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        other.disconnect();
        assert!(create.join().unwrap().is_err());
        drop(gate);
    });
    wait::until("the container to go", || {
        let others = |process: &&Process| process.kind != Kind::Monitor;
        Ok((scratch.processes().iter().find(others).is_none()).then_some(()))
    })?;
    let state = scratch.join("runtime").join(&container.request.id);
    wait::until("the runtime to forget it", || Ok((!state.exists()).then_some(())))?;
    // The id is free again.
    let again = pod.prepare(&Container::sh("exit 6"))?;
    let mut request = again.request.clone();
    request.id.clone_from(&container.request.id);
    pod.client.create_container(&request).unwrap();
    Ok(())
}

#[test]
fn a_container_that_dies_before_the_hub_knows_it_is_not_lost() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let shot = Container::sh("sleep 1000").annotation("small-runtime.exit-after", "0");
    let container = pod.prepare(&shot)?;
    // Killed by the runtime itself, as soon as it has said the pid.
    let wrapper = scratch.join("wrapper");
    let script = format!(
        "#!/bin/sh\n'{}' \"$@\" || exit\nfor last; do :; done\nkill -9 $(cat {}/pidfile)\nsleep 0.2\n",
        pod.server.runtime.display(),
        container.bundle.display()
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let mut server = Server::new(&scratch)?;
    server.runtime = wrapper;
    let pod = server.start()?;
    pod.client.create_container(&container.request).unwrap();
    assert_eq!(container.exit()?, "137");
    Ok(())
}

#[test]
fn a_second_container_of_the_same_id_is_refused_and_the_first_keeps_its_log() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("echo first; exec sleep 1000"))?;
    wait::for_file(&container.log, "the first line", |content| {
        content.filter(|content| content.ends_with(b"first\n")).map(|_| ())
    })?;
    let error = pod.client.create_container(&container.request).unwrap_err().to_string();
    assert!(error.contains("already exists"), "{error}");
    assert!(container.logged("stdout")?.starts_with(b"first\n"));
    container.kill("KILL")?;
    assert_eq!(container.exit()?, "137");
    Ok(())
}

#[test]
fn standard_input_comes_from_attached_clients_only() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("cat; echo end"))?;
    assert_eq!(container.exit()?, "0");
    assert_eq!(container.logged("stdout")?, b"end\n");
    Ok(())
}

#[test]
fn creations_that_fail_take_nothing_from_those_beside_them() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let failing = Container::sh("true").annotation("small-runtime.exit", "7");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for lane in 0..6 {
            let (pod, failing, over) = (&pod, &failing, &over);
            scope.spawn(move || {
                // Some side by side in one worker with those that are good, some in others.
                let own = (lane % 2 == 0).then(|| pod.connect().unwrap());
                let client = own.as_ref().unwrap_or(&pod.client);
                while !over.load(Ordering::Relaxed) {
                    let container = pod.prepare(failing).unwrap();
                    let error = client.create_container(&container.request).unwrap_err();
                    assert_eq!(error.to_string(), "child command exited with: 7: ");
                }
            });
        }
        // Whatever happens here, the others are to end.
        let good = std::panic::catch_unwind(|| {
            for status in 0..60 {
                let container = pod.running(&Container::sh(format!("exit {status}"))).unwrap();
                assert_eq!(container.exit().unwrap(), status.to_string());
            }
        });
        over.store(true, Ordering::Relaxed);
        assert!(good.is_ok());
    });
    Ok(())
}
