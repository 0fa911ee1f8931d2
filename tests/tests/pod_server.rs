//! The pod server itself: its start, its one process, its connections, and its end.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use monitor::pod::types::VersionRequest;
use tests::pod::{Pod, Server};
use tests::process::Kind;
use tests::{Container, Context, Result, Scratch, ours_only, sys, wait};

/// Long enough to see a connection in use, short enough not to wait for.
const PARK_MS: u32 = 30;

fn version(pod: &Pod<'_>) -> u32 {
    pod.client.version(&VersionRequest::default()).unwrap().process_id
}

#[test]
fn the_version_names_the_process_of_the_pid_file() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    assert_eq!(version(&pod), pod.pid as u32);
    // Another client finds the same server.
    let other = pod.connect()?;
    let found = other.version(&VersionRequest::default()).unwrap();
    assert_eq!(found.process_id, pod.pid as u32);
    Ok(())
}

#[test]
fn an_idle_pod_is_one_small_process_and_its_connection_survives() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    for count in [1, 10, 50] {
        while scratch.processes().iter().filter(|process| process.name == "sleep").count() < count {
            pod.running(&Container::new(["sleep", "1000"]))?;
        }
        for _ in 0..3 {
            let hub = scratch.idle()?;
            assert_eq!(hub.pid, pod.pid);
            let program = fs::File::open(format!("/proc/{}/exe", hub.pid)).unwrap();
            program.sync_all().unwrap();
            // The worker is gone before the hub has noticed and come to rest.
            let budget = 16 + count as u64;
            let small = wait::until(format!("at most {budget} kB"), || {
                Ok(hub.private_dirty_kb().filter(|dirty| *dirty <= budget))
            });
            small.context(hub.proc_file("smaps"))?;
            // The same connection, parked in between.
            assert_eq!(version(&pod), pod.pid as u32);
        }
    }
    Ok(())
}

#[test]
fn a_connection_survives_being_parked_at_any_moment() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    // So short that calls come while a worker is about to go.
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 1).start()?;
    for turn in 0..1000u64 {
        assert_eq!(version(&pod), pod.pid as u32, "call {turn}");
        thread::sleep(Duration::from_micros(turn * 37 % 3000));
    }
    Ok(())
}

#[test]
fn a_live_socket_is_not_taken_and_a_stale_one_is() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let server = Server::new(&scratch)?;
    fs::write(server.directory.join("conmon.sock"), "").unwrap();
    fs::remove_file(server.directory.join("conmon.sock")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(server.directory.join("conmon.sock")).unwrap());
    let pod = server.start()?;
    let refused = pod.server.run()?;
    assert_eq!(refused.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&refused.stderr);
    let socket = pod.socket();
    let expected = format!("{} is served by another process; end that first", socket.display());
    assert!(stderr.contains(&expected), "{stderr}");
    assert_eq!(version(&pod), pod.pid as u32);
    Ok(())
}

#[test]
fn its_end_kills_containers_records_that_and_removes_the_socket() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let script = "trap '' TERM INT; echo running; while :; do sleep 1; done";
    let mut containers = Vec::new();
    for _ in 0..50 {
        containers.push(pod.running(&Container::sh(script))?);
    }
    let created = pod.create(&Container::new(["sleep", "1000"]))?;
    thread::scope(|scope| {
        let (first, pod) = (&containers[0], &pod);
        let gate = scratch.join("gate");
        sys::make_fifo(&gate).unwrap();
        let command = ["sh".to_owned(), "-c".to_owned(), format!("read x < {}", gate.display())];
        let exec = scope.spawn(move || pod.exec(first, command, 0));
        let _gate = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        pod.stop()?;
        // Whoever waited for a command still gets its answer.
        assert_eq!(exec.join().unwrap()?.exit_code, 137);
        Ok::<(), tests::Error>(())
    })?;
    for container in containers.iter().chain([&created]) {
        assert_eq!(fs::read_to_string(&container.exit).unwrap(), "137");
    }
    assert!(!pod.socket().exists());
    scratch.no_monitor_left()?;
    let left = |kind| scratch.processes().iter().filter(|process| process.kind == kind).count();
    wait::until("the last process of the containers to go", || {
        Ok((left(Kind::Container) + left(Kind::Runtime) == 0).then_some(()))
    })
}

#[test]
fn its_end_does_not_wait_for_a_runtime_that_hangs() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let gate = scratch.join("gate");
    sys::make_fifo(&gate).unwrap();
    let pod = Server::new(&scratch)?.start()?;
    let hanging = Container::sh("true").annotation("small-runtime.wait", gate.to_str().unwrap());
    let container = pod.prepare(&hanging)?;
    thread::scope(|scope| {
        let create = scope.spawn(|| pod.client.create_container(&container.request));
        let _gate = fs::OpenOptions::new().write(true).open(&gate).unwrap();
        pod.stop()?;
        assert!(create.join().unwrap().is_err());
        Ok::<(), tests::Error>(())
    })?;
    scratch.no_monitor_left()
}

#[test]
fn a_killed_worker_costs_its_connection_and_nothing_else() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("read line; exit 4").stdin())?;
    assert_eq!(version(&pod), pod.pid as u32);
    assert_eq!(scratch.kill_role("monitor"), 1);
    assert!(pod.client.version(&VersionRequest::default()).is_err());
    let again = pod.connect()?;
    assert_eq!(again.version(&VersionRequest::default()).unwrap().process_id, pod.pid as u32);
    container.kill("KILL")?;
    assert_eq!(container.exit()?, "137");
    Ok(())
}

#[test]
fn garbage_ends_its_connection_and_no_other() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let claims: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        // 512 segments; one segment of two gigabytes.
        &[0xff, 1, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0x0f],
    ];
    for claim in claims {
        let mut stream = UnixStream::connect(pod.socket()).unwrap();
        stream.set_read_timeout(Some(wait::limit())).unwrap();
        stream.write_all(claim).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // An answer or none, but an end.
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{claim:?}");
        }
    }
    assert_eq!(version(&pod), pod.pid as u32);
    Ok(())
}

#[test]
fn thousands_of_connections_are_bounded_and_the_first_is_still_served() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    assert_eq!(version(&pod), pod.pid as u32);
    scratch.idle()?;
    let mut kept = Vec::new();
    for _ in 0..3000 {
        let stream = UnixStream::connect(pod.socket()).unwrap();
        kept.push(stream);
        if kept.len() > 500 {
            kept.remove(0);
        }
    }
    assert_eq!(version(&pod), pod.pid as u32);
    let fds = tests::process::fds(pod.pid).len();
    assert!(fds < 200, "{fds} descriptors");
    drop(kept);
    // Room again for others.
    wait::until("room for a new client", || {
        let client = pod.connect();
        Ok(client.ok().and_then(|client| client.version(&VersionRequest::default()).ok()))
    })?;
    scratch.idle()?;
    Ok(())
}

#[test]
fn more_busy_connections_than_workers_are_all_served() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", PARK_MS).start()?;
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let client = pod.connect().unwrap();
                for _ in 0..3 {
                    client.version(&VersionRequest::default()).unwrap();
                }
            });
        }
    });
    scratch.idle()?;
    Ok(())
}
