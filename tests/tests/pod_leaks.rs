//! What a pod's server has done leaves nothing behind: no memory, no descriptor, no process, no wake-ups.

use std::io::Write;
use std::thread;
use std::time::Duration;

use monitor::pod::types::{AttachRequest, ReopenLogRequest};
use tests::pod::{Pod, Server};
use tests::process::{Kind, Process, fds, proc_file};
use tests::{Client, Container, Result, Scratch, ours_only, sys, wait};

/// Long enough to see a connection in use, short enough not to wait for.
const PARK_MS: u32 = 30;

/// So much more private dirty memory is the stack, whose use depends on where it begins.
const SLACK_KB: u64 = 8;

/// The server when it is alone and has closed what it had open: its descriptors and its private memory in kB.
fn at_rest(scratch: &Scratch, most_fds: usize) -> Result<(usize, u64)> {
    let hub = scratch.idle()?;
    wait::until(format!("at most {most_fds} descriptors"), || {
        Ok((fds(hub.pid).len() <= most_fds).then_some(()))
    })?;
    std::fs::File::open(format!("/proc/{}/exe", hub.pid)).unwrap().sync_all().unwrap();
    Ok((fds(hub.pid).len(), hub.private_dirty_kb().unwrap_or(u64::MAX)))
}

fn sleeper() -> Container {
    Container::new(["sleep", "1000"])
}

#[test]
fn large_answers_leave_no_memory_behind() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    let container = pod.running(&sleeper())?;
    let (open, dirty) = at_rest(&scratch, usize::MAX)?;
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let done =
                    pod.exec(&container, ["head", "-c", "15000000", "/dev/zero"], 0).unwrap();
                assert_eq!((done.exit_code, done.stdout.len()), (0, 15_000_000));
            });
        }
    });
    let after = at_rest(&scratch, open)?;
    assert!(after.1 <= dirty + SLACK_KB, "{} kB, and {dirty} before", after.1);
    Ok(())
}

#[test]
fn constant_logging_grows_nothing_but_the_log() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    let mut container = pod.prepare(&Container::sh("yes 'a line of output' | head -c 80000000"))?;
    container.request.log_drivers[0].max_size = 1_000_000;
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    let mut most = 0;
    wait::until("the container's end", || {
        let ours = scratch.monitors().into_iter().filter(|process| process.name != "monitor");
        most = most.max(ours.filter_map(|process| process.private_dirty_kb()).sum());
        Ok(container.exit.exists().then_some(()))
    })?;
    assert!(most > 0 && most <= 350, "{most} kB");
    assert!(std::fs::metadata(&container.log).unwrap().len() <= 1_000_000);
    Ok(())
}

#[test]
fn clients_that_have_left_cost_no_descriptor_and_wake_nobody() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    let container = pod.running(&Container::new(["cat"]).stdin())?;
    drop(pod.attach(&container, false)?);
    let visit = |closes_first: bool| -> Result {
        let mut client = Client::connect(&container.bundle)?;
        client.send(b"x\n")?;
        client.expect("x\n")?;
        if closes_first { client.half_close() } else { Ok(()) }
    };
    visit(true)?;
    let (open, dirty) = at_rest(&scratch, usize::MAX)?;
    for turn in 0..100 {
        visit(turn % 2 == 0)?;
    }
    let after = at_rest(&scratch, open)?;
    assert!(after.1 <= dirty + SLACK_KB, "{} kB, and {dirty} before", after.1);
    // Those that stay and have nothing more to say do not wake anybody either.
    let mut silent = Vec::new();
    for _ in 0..20 {
        let client = Client::connect(&container.bundle)?;
        client.half_close()?;
        silent.push(client);
    }
    // Between two of them it may look as if all were over.
    wait::until("all connections", || {
        Ok((fds(pod.pid).len() >= open + silent.len()).then_some(()))
    })?;
    scratch.idle()?;
    let wakes = || {
        let status = proc_file(pod.pid, "status");
        tests::process::field(&status, "voluntary_ctxt_switches:").unwrap_or(u64::MAX)
    };
    let before = wakes();
    // Nothing is to happen in this time.
    thread::sleep(Duration::from_millis(1200));
    // The last that a role has to say may still come.
    assert!(wakes() <= before + 4, "{before} wake-ups, then {}", wakes());
    drop(silent);
    Ok(())
}

#[test]
fn nobody_listens_for_clients_of_a_container_that_has_ended() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    let (open, _) = at_rest(&scratch, usize::MAX)?;
    let container = pod.running(&sleeper())?;
    let second = container.bundle.join("second");
    drop(pod.attach(&container, false)?);
    let request = AttachRequest {
        id: container.request.id.clone(),
        socket_path: second.to_str().unwrap().to_owned(),
        ..AttachRequest::default()
    };
    pod.client.attach_container(&request).unwrap();
    let client = Client::connect_to(&second).unwrap();
    container.kill("KILL")?;
    assert_eq!(container.exit()?, "137");
    for socket in [&second, &container.bundle.join("attach")] {
        wait::until("the socket to be closed", || {
            Ok(Client::connect_to(socket).is_err().then_some(()))
        })?;
    }
    drop(client);
    at_rest(&scratch, open).map(drop)
}

#[test]
fn sessions_that_nobody_begins_are_no_more_than_a_few_descriptors() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    let container = pod.running(&sleeper())?;
    let (open, _) = at_rest(&scratch, usize::MAX)?;
    for _ in 0..200 {
        let mut request = container.stream(["sh"]);
        (request.tty, request.stdin) = (true, true);
        pod.exec_url(&request)?;
    }
    // For each of the 25 that are kept, a socket and what it is for.
    at_rest(&scratch, open + 50).map(drop)
}

#[test]
fn containers_that_have_ended_and_ids_that_never_were_leave_nothing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    let one = |pod: &Pod<'_>| -> Result {
        let container = pod.running(&Container::sh("echo hello; exit 3"))?;
        assert_eq!(container.exit()?, "3");
        Ok(())
    };
    one(&pod)?;
    let (open, dirty) = at_rest(&scratch, usize::MAX)?;
    for _ in 0..100 {
        one(&pod)?;
    }
    for number in 0..300 {
        let request = ReopenLogRequest { id: format!("nobody-{number}"), ..Default::default() };
        let error = pod.client.reopen_log_container(&request).unwrap_err();
        assert_eq!(error.to_string(), "child not available");
    }
    let after = at_rest(&scratch, open)?;
    assert!(after.1 <= dirty + SLACK_KB, "{} kB, and {dirty} before", after.1);
    Ok(())
}

#[test]
fn orphans_of_a_container_without_pid_namespace_are_reaped() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let gate = scratch.join("gate");
    sys::make_fifo(&gate).unwrap();
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    // The first process ends, its children do later.
    let waits = format!("(read x < {0}) & (read x < {0}) & exit 4", gate.display());
    let container = pod.running(&Container::sh(waits))?;
    assert_eq!(container.exit()?, "4");
    let orphans = || -> Vec<Process> {
        let mut all = scratch.processes();
        all.retain(|process| process.parent == pod.pid && process.kind != Kind::Monitor);
        all
    };
    wait::until("orphans", || Ok((orphans().len() == 2).then_some(())))?;
    // Open for reading, too: one that opens it late finds its line, not an end.
    let mut opened = std::fs::OpenOptions::new().read(true).write(true).open(&gate).unwrap();
    opened.write_all(b"\n\n").unwrap();
    wait::until("the orphans to be reaped", || {
        let children = scratch.processes().into_iter();
        Ok((children.filter(|process| process.parent == pod.pid).count() == 0).then_some(()))
    })
}
