//! Attach clients, log files and window sizes of a pod's containers.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::thread;

use monitor::pod::types::{AttachRequest, ReopenLogRequest, SetWindowSizeRequest};
use tests::pod::{Pod, PodContainer, Server};
use tests::{Client, Container, Result, Scratch, ours_only, wait};

/// Bytes of every value, zeros among them, not the same in any two places nearby.
fn noise(length: usize) -> Vec<u8> {
    (0..length as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn reopen(container: &PodContainer) -> ReopenLogRequest {
    ReopenLogRequest { id: container.request.id.clone(), ..Default::default() }
}

fn window(container: &PodContainer) -> SetWindowSizeRequest {
    let id = container.request.id.clone();
    SetWindowSizeRequest { id, width: 20, height: 10, ..Default::default() }
}

/// What a container that reads its input to the end has got.
fn received(pod: &Pod<'_>, scratch: &Scratch, pieces: &[Vec<u8>]) -> Result<Vec<u8>> {
    let got = scratch.join("got");
    let script = format!("cat > {}; echo all", got.display());
    let container = pod.create(&Container::sh(script).stdin())?;
    let mut client = pod.attach(&container, true)?;
    container.start()?;
    for piece in pieces {
        client.send(piece)?;
    }
    client.half_close()?;
    client.expect("all\n")?;
    assert_eq!(container.exit()?, "0");
    Ok(fs::read(got).unwrap())
}

#[test]
fn every_byte_of_the_input_arrives_zeros_and_large_packets_included() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    for (count, size) in [(200, 1000), (5, 32 * 1024)] {
        let all = noise(count * size);
        let pieces: Vec<Vec<u8>> = all.chunks(size).map(<[u8]>::to_vec).collect();
        assert!(received(&pod, &scratch, &pieces)? == all);
    }
    let zeros = vec![b"ab\0cd\n".to_vec(), vec![0; 100]];
    assert_eq!(received(&pod, &scratch, &zeros)?, zeros.concat());
    Ok(())
}

#[test]
fn clients_get_both_streams_to_their_ends_and_then_the_done_packet() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let script = "echo one; exec >&-; echo two >&2; head -c 300000 /dev/zero >&2";
    let container = pod.create(&Container::sh(script))?;
    let mut clients = [pod.attach(&container, false)?, Client::connect(&container.bundle)?];
    container.start()?;
    for client in &mut clients {
        client.read_to_end()?;
        assert!(client.done);
        assert_eq!(client.stdout, b"one\n");
        assert_eq!(client.stderr.len(), 300_004);
    }
    // Also where there was no output at all.
    let silent = pod.create(&Container::sh("exit 0"))?;
    let mut client = pod.attach(&silent, false)?;
    silent.start()?;
    client.read_to_end()?;
    assert!(client.done);
    Ok(())
}

#[test]
fn input_ends_with_a_client_only_where_that_was_asked_for() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("cat").stdin())?;
    let mut first = pod.attach(&container, false)?;
    first.send(b"one\n")?;
    first.expect("one\n")?;
    drop(first);
    let mut second = Client::connect(&container.bundle)?;
    second.send(b"two\n")?;
    second.expect("two\n")?;
    // A second socket for the same container, with the other answer.
    let other = container.bundle.join("other");
    let request = AttachRequest {
        id: container.request.id.clone(),
        socket_path: other.to_str().unwrap().to_owned(),
        stop_after_stdin_eof: true,
        ..AttachRequest::default()
    };
    pod.client.attach_container(&request).unwrap();
    let third = Client::connect_to(&other).unwrap();
    third.send(b"three\n")?;
    drop(third);
    assert_eq!(container.exit()?, "0");
    second.read_to_end()?;
    assert_eq!(second.stdout, b"two\nthree\n");
    Ok(())
}

#[test]
fn the_socket_is_private_its_folder_is_made_and_a_stale_one_replaced() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("echo hello; exec sleep 1000"))?;
    let socket = container.bundle.join("a").join("b").join("socket");
    let request = AttachRequest {
        id: container.request.id.clone(),
        socket_path: socket.to_str().unwrap().to_owned(),
        ..AttachRequest::default()
    };
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    pod.client.attach_container(&request).unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    let first = Client::connect_to(&socket).unwrap();
    // Asked again, the socket is still the same.
    let before = fs::metadata(&socket).unwrap().ino();
    pod.client.attach_container(&request).unwrap();
    assert_eq!(fs::metadata(&socket).unwrap().ino(), before);
    let second = Client::connect_to(&socket).unwrap();
    assert!(first.is_open() && second.is_open());

    let nobody = AttachRequest { id: "nobody".into(), ..request };
    let error = pod.client.attach_container(&nobody).unwrap_err();
    assert_eq!(error.to_string(), "child not available");
    container.kill("KILL")?;
    container.exit()?;
    let gone = pod.client.reopen_log_container(&reopen(&container)).unwrap_err();
    assert_eq!(gone.to_string(), "child not available");
    Ok(())
}

#[test]
fn a_log_is_opened_anew_with_and_without_a_rename_also_while_a_command_runs() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("while read line; do echo $line; done").stdin())?;
    let mut client = pod.attach(&container, false)?;
    let say = |client: &mut Client, text: &str| -> Result {
        client.send(format!("{text}\n").as_bytes())?;
        client.expect(text)
    };
    thread::scope(|scope| {
        let gate = scratch.join("gate");
        tests::sys::make_fifo(&gate).unwrap();
        let command = ["sh".to_owned(), "-c".to_owned(), format!("read x < {}", gate.display())];
        let (pod, container) = (&pod, &container);
        let busy = scope.spawn(move || pod.exec(container, command, 0));
        let gate = fs::OpenOptions::new().write(true).open(&gate).unwrap();

        say(&mut client, "before")?;
        let old = container.bundle.join("log.old");
        fs::rename(&container.log, &old).unwrap();
        pod.client.reopen_log_container(&reopen(container)).unwrap();
        // Done when it is answered.
        assert_eq!(fs::read(&container.log).unwrap(), b"");
        say(&mut client, "after")?;
        assert_eq!(container.logged("stdout")?, b"after\n");
        assert!(fs::read(&old).unwrap().ends_with(b"before\n"));
        // Without a rename the log is empty then.
        pod.client.reopen_log_container(&reopen(container)).unwrap();
        assert_eq!(fs::read(&container.log).unwrap(), b"");
        // The container is meant, not the command that runs in it.
        let error = pod.client.set_window_size_container(&window(container)).unwrap_err();
        assert_eq!(error.to_string(), "container has no terminal");
        drop(gate);
        assert_eq!(busy.join().unwrap()?.exit_code, 1);
        Ok(())
    })
}

#[test]
fn a_log_that_cannot_be_opened_anew_is_an_error() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let mut prepared = pod.prepare(&Container::sh("echo hello; exec sleep 1000"))?;
    let folder = prepared.bundle.join("logs");
    fs::create_dir(&folder).unwrap();
    prepared.log = folder.join("log");
    prepared.request.log_drivers[0].path = prepared.log.to_str().unwrap().to_owned();
    pod.client.create_container(&prepared.request).unwrap();
    fs::rename(&folder, prepared.bundle.join("elsewhere")).unwrap();
    let error = pod.client.reopen_log_container(&reopen(&prepared)).unwrap_err();
    assert!(error.to_string().starts_with("cannot open the log anew"), "{error}");
    Ok(())
}

#[test]
fn the_size_of_a_terminal_is_set() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done";
    let container = pod.running(&Container::sh(script).terminal())?;
    wait::for_file(&container.log, "the start", |content| {
        content.filter(|content| content.ends_with(b"ready\r\n")).map(|_| ())
    })?;
    pod.client.set_window_size_container(&window(&container)).unwrap();
    assert_eq!(container.exit()?, "0");
    assert_eq!(container.logged("stdout")?, b"ready\r\n10 20\r\n");
    Ok(())
}

#[test]
fn a_killed_log_writer_does_not_leave_a_request_unanswered() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let container = pod.running(&Container::sh("while :; do echo x; sleep 0.01; done"))?;
    for _ in 0..20 {
        scratch.kill_role("log-writer");
        pod.client.reopen_log_container(&reopen(&container)).unwrap();
    }
    Ok(())
}
