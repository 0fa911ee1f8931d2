//! What is left when processes of a pod's server are killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;

use tests::pod::{Pod, PodContainer, Server};
use tests::process::{Kind, Process};
use tests::{Container, Result, Scratch, ours_only, sys, wait};

fn sleeper() -> Container {
    Container::new(["sleep", "1000"])
}

fn fifo(scratch: &Scratch, name: &str) -> PathBuf {
    let path = scratch.join(name);
    sys::make_fifo(&path).unwrap();
    path
}

/// A runtime that waits at `gate` once it has created a container.
fn waits_when_done(server: &mut Server<'_>, scratch: &Scratch, gate: &Path) {
    let wrapper = scratch.join("wrapper");
    let script = format!(
        "#!/bin/sh\n'{}' \"$@\" || exit\ncase \"$*\" in *'create --bundle'*) read x < '{}' || :;; esac\n",
        server.runtime.display(),
        gate.display()
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    server.runtime = wrapper;
}

/// Kills the worker while its runtime waits at the gate.
fn kill_at(gate: &Path, pod: &Pod<'_>, scratch: &Scratch, container: &PodContainer) -> Result {
    let client = pod.connect()?;
    thread::scope(|scope| {
        let create = scope.spawn(|| client.create_container(&container.request));
        let _gate = fs::OpenOptions::new().write(true).open(gate).unwrap();
        assert!(scratch.kill_role("monitor") > 0);
        assert!(create.join().unwrap().is_err());
        Ok(())
    })
}

/// Of the container, and of who made it, there is nothing, and its id is free.
fn nothing_left(pod: &Pod<'_>, scratch: &Scratch, state: &Path) -> Result {
    wait::until("the container to go", || {
        let others = |process: &&Process| process.kind != Kind::Monitor || process.state == 'Z';
        Ok((scratch.processes().iter().find(others).is_none()).then_some(()))
    })?;
    wait::until("the runtime to forget it", || Ok((!state.exists()).then_some(())))?;
    assert_eq!(scratch.idle()?.pid, pod.pid);
    Ok(())
}

#[test]
fn what_a_killed_worker_was_having_created_is_removed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let gate = fifo(&scratch, "gate");
    let mut server = Server::new(&scratch)?;
    let root = scratch.join("runtime");
    waits_when_done(&mut server, &scratch, &gate);
    let pod = server.start()?;
    // The container is there, and nobody but the runtime knows.
    let container = pod.prepare(&sleeper())?;
    let state = root.join(&container.request.id);
    kill_at(&gate, &pod, &scratch, &container)?;
    nothing_left(&pod, &scratch, &state)?;
    assert!(!container.exit.exists());
    assert!(pod.messages()?.contains("a worker was killed while it had"));
    // The id is free.
    let again = pod.connect()?;
    thread::scope(|scope| {
        let create = scope.spawn(|| again.create_container(&container.request));
        drop(fs::OpenOptions::new().write(true).open(&gate).unwrap());
        create.join().unwrap().unwrap();
    });
    container.kill("KILL")?;
    assert_eq!(container.exit()?, "137");
    Ok(())
}

#[test]
fn a_runtime_that_has_not_begun_ends_with_its_worker() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let gate = fifo(&scratch, "gate");
    let pod = Server::new(&scratch)?.start()?;
    let waiting = sleeper().annotation("small-runtime.wait", gate.to_str().unwrap());
    let container = pod.prepare(&waiting)?;
    kill_at(&gate, &pod, &scratch, &container)?;
    nothing_left(&pod, &scratch, &scratch.join("runtime").join(&container.request.id))
}

#[test]
fn a_real_runtime_forgets_what_a_killed_worker_was_having_created() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let Some(mut server) = Server::real(&scratch)? else { return Ok(()) };
    let gate = fifo(&scratch, "gate");
    waits_when_done(&mut server, &scratch, &gate);
    let pod = server.start()?;
    let container = pod.prepare(&sleeper())?;
    let state = scratch.join("runc").join(&container.request.id);
    kill_at(&gate, &pod, &scratch, &container)?;
    nothing_left(&pod, &scratch, &state)
}

#[test]
fn a_container_that_was_there_before_outlives_the_worker_that_is_killed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&sleeper())?;
    // The same id once more, which the runtime is about to refuse.
    let gate = fifo(&scratch, "gate");
    let waiting = sleeper().annotation("small-runtime.wait", gate.to_str().unwrap());
    let mut second = pod.prepare(&waiting)?;
    second.request.id.clone_from(&container.request.id);
    kill_at(&gate, &pod, &scratch, &second)?;
    scratch.idle()?;
    assert!(!pod.messages()?.contains("removing"));
    container.kill("TERM")?;
    assert_eq!(container.exit()?, "143");
    Ok(())
}

#[test]
fn a_server_that_was_killed_leaves_no_process_and_its_place_to_the_next() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let directory = pod.server.directory.clone();
    let container = pod.running(&Container::sh("while read x; do echo $x; done").stdin())?;
    let mut client = pod.attach(&container, false)?;
    client.send(b"hello\n")?;
    client.expect("hello\n")?;
    sys::kill(pod.pid, libc::SIGKILL).unwrap();
    wait::for_end_of(pod.pid)?;
    scratch.no_monitor_left()?;
    assert_eq!(container.logged("stdout")?, b"hello\n");
    let mut server = Server::new(&scratch)?;
    server.directory = directory;
    let pod = server.start()?;
    let other = pod.running(&Container::sh("exit 3"))?;
    assert_eq!(other.exit()?, "3");
    Ok(())
}
