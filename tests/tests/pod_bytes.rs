//! Every byte that goes into or comes out of a pod's containers arrives, however slow the other side is.

use std::fs;

use monitor::pod::types::{LogDriverType, ReopenLogRequest};
use tests::pod::{Pod, PodContainer, Server};
use tests::{Client, Container, Result, Scratch, json_log, ours_only, sys, wait};

/// Lets whoever waits at a FIFO go on.
fn open(gate: &std::path::Path) {
    drop(fs::OpenOptions::new().write(true).open(gate).unwrap());
}

#[test]
fn input_that_nobody_reads_yet_waits_and_all_of_it_arrives() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (gate, got) = (scratch.join("gate"), scratch.join("got"));
    sys::make_fifo(&gate).unwrap();
    let pod = Server::new(&scratch)?.start()?;
    let script = format!("read x < {}; cat > {}; echo all", gate.display(), got.display());
    let container = pod.create(&Container::sh(script).stdin())?;
    let mut client = pod.attach(&container, true)?;
    container.start()?;
    let packet = |number: u8| vec![number; 500];
    for number in 0..100 {
        client.send(&packet(number))?;
    }
    client.half_close()?;
    open(&gate);
    client.expect("all\n")?;
    assert_eq!(container.exit()?, "0");
    assert!(fs::read(got).unwrap() == (0..100).flat_map(packet).collect::<Vec<u8>>());
    Ok(())
}

#[test]
fn a_client_that_reads_late_gets_all_output_and_then_the_done_packet() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let gate = scratch.join("gate");
    sys::make_fifo(&gate).unwrap();
    let pod = Server::new(&scratch)?.start()?;
    // Connected before the container was started: output waits for it.
    let container = pod.create(&Container::sh("head -c 3000000 /dev/zero; echo end"))?;
    let mut first = pod.attach(&container, false)?;
    container.start()?;
    wait::for_file(&container.log, "much output", |log| {
        log.filter(|log| log.len() > 100_000).map(drop)
    })?;
    first.read_to_end()?;
    assert!(first.done);
    assert_eq!(first.stdout.len(), 3_000_004);
    assert!(first.stdout.ends_with(b"\0end\n"));
    assert_eq!(container.exit()?, "0");
    // Connected later: the container has ended before it reads at all.
    let script = format!("echo begin; read x < {}; head -c 900000 /dev/zero", gate.display());
    let container = pod.running(&Container::sh(script))?;
    wait::for_file(&container.log, "the begin", |log| log.filter(|log| !log.is_empty()).map(drop))?;
    let mut late = pod.attach(&container, false)?;
    open(&gate);
    assert_eq!(container.exit()?, "0");
    late.read_to_end()?;
    assert!(late.done);
    assert_eq!(late.stdout.len(), 900_000);
    Ok(())
}

/// Sends a line, which the container logs and sends back.
fn say(client: &mut Client, line: &str) -> Result {
    client.send(format!("{line}\n").as_bytes())?;
    client.expect(line)
}

#[test]
fn the_size_of_a_log_counts_what_is_in_the_file_and_nothing_else() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let echo = |kind| -> Result<(PodContainer, Client)> {
        let mut container = pod.prepare(&Container::new(["cat"]).stdin())?;
        container.request.log_drivers[0].kind = kind;
        container.request.log_drivers[0].max_size = 1000;
        pod.client.create_container(&container.request).unwrap();
        let client = pod.attach(&container, false)?;
        container.start()?;
        Ok((container, client))
    };
    let (container, mut client) = echo(LogDriverType::ContainerRuntimeInterface)?;
    let reopen = ReopenLogRequest { id: container.request.id.clone(), ..Default::default() };
    for renamed in [false, true] {
        // Of 53 bytes each; 18 of them fit.
        for number in 0..8 {
            say(&mut client, &format!("old{} {number:02}", u8::from(renamed)))?;
        }
        if renamed {
            fs::rename(&container.log, container.bundle.join("log.old")).unwrap();
        }
        pod.client.reopen_log_container(&reopen).unwrap();
        let mut expected = String::new();
        for number in 0..18 {
            let line = format!("new{} {number:02}", u8::from(renamed));
            say(&mut client, &line)?;
            expected += &format!("{line}\n");
        }
        assert_eq!(String::from_utf8_lossy(&container.logged("stdout")?), expected);
        // The next one begins a new file, in which it counts.
        say(&mut client, &format!("last{} 0", u8::from(renamed)))?;
        assert_eq!(container.log()?.len(), 1);
    }
    for kind in [LogDriverType::ContainerRuntimeInterface, LogDriverType::Json] {
        let (container, mut client) = echo(kind)?;
        for number in 0..100 {
            say(&mut client, &format!("line {number:03}"))?;
            let size = fs::metadata(&container.log).unwrap().len();
            assert!(size > 0 && size <= 1000, "{size} bytes after line {number}");
        }
    }
    Ok(())
}

#[test]
fn a_log_in_json_has_white_space_and_goes_on_after_bytes_that_are_no_text() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let script = "printf '  a  \\n\\n\\t\\n'; printf '\\377\\n'; echo after";
    let mut container = pod.prepare(&Container::sh(script))?;
    container.request.log_drivers[0].kind = LogDriverType::Json;
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    assert_eq!(container.exit()?, "0");
    let records = json_log::parse(&fs::read(&container.log).unwrap())?;
    let text = tests::k8s_log::content(&records, "stdout");
    assert_eq!(String::from_utf8_lossy(&text), "  a  \n\n\t\n\u{fffd}\nafter\n");
    Ok(())
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn reopened(pod: &Pod<'_>, container: &PodContainer) {
    let request = ReopenLogRequest { id: container.request.id.clone(), ..Default::default() };
    pod.client.reopen_log_container(&request).unwrap();
}

#[test]
fn a_log_has_the_same_permissions_however_often_it_is_opened_anew() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    for (kind, permissions) in
        [(LogDriverType::ContainerRuntimeInterface, 0o600), (LogDriverType::Json, 0o644)]
    {
        let mut container = pod.prepare(&Container::new(["cat"]).stdin())?;
        container.request.log_drivers[0].kind = kind;
        container.request.log_drivers[0].max_size = 400;
        pod.client.create_container(&container.request).unwrap();
        let mut client = pod.attach(&container, false)?;
        container.start()?;
        assert_eq!(mode(&container.log), permissions, "created");
        reopened(&pod, &container);
        assert_eq!(mode(&container.log), permissions, "opened anew in its place");
        fs::rename(&container.log, container.bundle.join("log.old")).unwrap();
        reopened(&pod, &container);
        assert_eq!(mode(&container.log), permissions, "opened anew after a rename");
        for number in 0..20 {
            say(&mut client, &format!("line {number}"))?;
        }
        assert_eq!(mode(&container.log), permissions, "at its maximal size");
    }
    Ok(())
}
