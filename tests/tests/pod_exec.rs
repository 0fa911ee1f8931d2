//! Running commands in containers through the pod server.

use std::thread;

use monitor::pod::types::{CgroupManager, ExecSyncContainerRequest};
use tests::pod::Server;
use tests::{Container, Result, Scratch, ours_only, wait};

fn sleeper() -> Container {
    Container::new(["sleep", "1000"])
}

#[test]
fn output_status_and_streams_come_back() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let done = pod.exec(&container, ["sh", "-c", "echo out; echo err >&2; exit 3"], 0)?;
    assert_eq!((done.exit_code, done.timed_out), (3, false));
    assert_eq!((&done.stdout[..], &done.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
    let killed = pod.exec(&container, ["sh", "-c", "kill -9 $$"], u64::MAX)?;
    assert_eq!((killed.exit_code, killed.timed_out), (137, false));
    Ok(())
}

#[test]
fn one_to_fifteen_megabytes_come_back_exactly() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    for megabytes in [1, 5, 10, 15] {
        let bytes = megabytes * 1_000_000;
        let script = format!("seq 1 100000000 | head -c {bytes}; seq 5 1000 >&2");
        let done = pod.exec(&container, ["sh", "-c", &script], 0)?;
        let expected: Vec<u8> = {
            let mut text = String::new();
            let mut number = 1u32;
            while text.len() < bytes {
                text.push_str(&number.to_string());
                text.push('\n');
                number += 1;
            }
            text.truncate(bytes);
            text.into_bytes()
        };
        assert!(done.stdout == expected, "{} of {bytes} bytes", done.stdout.len());
        assert!(done.stderr.ends_with(b"\n1000\n"));
    }
    Ok(())
}

#[test]
fn beyond_sixteen_megabytes_output_is_cut_off_and_that_is_logged() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let done = pod.exec(&container, ["head", "-c", "16777217", "/dev/zero"], 0)?;
    assert_eq!((done.exit_code, done.stdout.len()), (0, 16 << 20));
    let messages = pod.messages()?;
    assert!(messages.contains("cut off at 16777216 bytes; 1 more came"), "{messages}");
    Ok(())
}

#[test]
fn a_time_out_kills_the_command_and_keeps_what_it_said() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let done = pod.exec(&container, ["sh", "-c", "echo so far; sleep 1000; echo never"], 1)?;
    assert_eq!((done.exit_code, done.timed_out), (-3, true));
    assert_eq!(done.stdout, b"so far\n");
    wait::until("the command to die", || {
        let left = scratch.processes();
        Ok((left.iter().filter(|process| process.name == "sleep").count() == 1).then_some(()))
    })?;
    Ok(())
}

#[test]
fn whoever_holds_the_output_open_does_not_delay_the_answer() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    // Longer than any test waits; with and without a time limit.
    for limit in [0, 600] {
        let done = pod.exec(&container, ["sh", "-c", "sleep 500 & echo said; exit 5"], limit)?;
        assert_eq!((done.exit_code, done.timed_out), (5, false));
        assert_eq!(done.stdout, b"said\n");
    }
    Ok(())
}

#[test]
fn a_runtime_that_fails_is_status_minus_2() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    for terminal in [false, true] {
        let mut request = container.exec(["no-such-command"], 0);
        request.terminal = terminal;
        let done = pod.client.exec_sync_container(&request).unwrap();
        assert_eq!((done.exit_code, done.stdout.len(), done.stderr.len()), (-2, 0, 0));
    }
    assert!(pod.messages()?.contains("executable file not found in $PATH"));
    let unknown = ExecSyncContainerRequest {
        id: "nobody".into(),
        command: vec!["true".into()],
        cgroup_manager: CgroupManager::Cgroupfs,
        ..ExecSyncContainerRequest::default()
    };
    assert_eq!(pod.client.exec_sync_container(&unknown).unwrap().exit_code, -2);
    Ok(())
}

#[test]
fn a_terminal_gives_everything_as_standard_output() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let mut request = container.exec(["sh", "-c", "echo out; echo err >&2; exit 4"], 0);
    request.terminal = true;
    let done = pod.client.exec_sync_container(&request).unwrap();
    assert_eq!((done.exit_code, done.stderr.len()), (4, 0));
    assert_eq!(done.stdout, b"out\r\nerr\r\n");
    Ok(())
}

#[test]
fn ten_at_once_get_each_their_own_and_leave_no_file() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    thread::scope(|scope| {
        let runs: Vec<_> = (0..10)
            .map(|number| {
                let (pod, container) = (&pod, &container);
                scope.spawn(move || {
                    let script = format!("yes {number} | head -n 50000");
                    pod.exec(container, ["sh", "-c", &script], 0).unwrap()
                })
            })
            .collect();
        for (number, run) in runs.into_iter().enumerate() {
            let done = run.join().unwrap();
            assert_eq!(done.exit_code, 0);
            assert!(done.stdout == format!("{number}\n").repeat(50000).into_bytes());
        }
    });
    let left: Vec<_> = std::fs::read_dir(&pod.server.directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("exec_sync"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[test]
fn a_command_runs_on_when_its_client_goes() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    let (gate, note) = (scratch.join("gate"), scratch.join("note"));
    tests::sys::make_fifo(&gate).unwrap();
    let script = format!("read line < {}; echo done > {}", gate.display(), note.display());
    let request = container.exec(["sh", "-c", &script], 0);
    // A client that goes as soon as the command is there.
    let other = pod.connect()?;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| other.exec_sync_container(&request));
        let mut writer = std::fs::OpenOptions::new().write(true).open(&gate).unwrap();
        other.disconnect();
        assert!(waiting.join().unwrap().is_err());
        std::io::Write::write_all(&mut writer, b"go\n").unwrap();
    });
    wait::for_file(&note, "the command's note", |content| {
        content.filter(|content| content == b"done\n").map(|_| ())
    })?;
    // And its worker goes with it.
    wait::until("the worker to go", || {
        Ok((scratch.monitors_named("monitor").len() <= 1).then_some(()))
    })
}
