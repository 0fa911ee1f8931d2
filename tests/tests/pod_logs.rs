//! The logs of a pod's containers: every driver, alone and together.

use std::fs;

use monitor::pod::types::{LogDriver, LogDriverType, ReopenLogRequest};
use tests::journal::Journal;
use tests::k8s_log::content;
use tests::pod::{PodContainer, Server};
use tests::{Container, Result, Scratch, json_log, ours_only, under_test, wait};

fn also(container: &mut PodContainer, kind: LogDriverType, name: &str) -> std::path::PathBuf {
    let path = container.bundle.join(name);
    let driver = LogDriver { kind, path: path.to_str().unwrap().to_owned(), max_size: 0 };
    container.request.log_drivers.push(driver);
    path
}

#[test]
fn several_logs_each_get_everything() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let mut container = pod.prepare(&Container::sh("seq 1 20000; echo bad >&2; printf end"))?;
    let json = also(&mut container, LogDriverType::Json, "json");
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    assert_eq!(container.exit()?, "0");
    let mut expected: String = (1..=20000).map(|number| format!("{number}\n")).collect();
    expected.push_str("end");
    for records in [container.log()?, json_log::parse(&fs::read(&json).unwrap())?] {
        assert!(content(&records, "stdout") == expected.as_bytes());
        assert_eq!(content(&records, "stderr"), b"bad\n");
    }
    Ok(())
}

#[test]
fn both_files_are_opened_anew_together() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let mut container = pod.prepare(&Container::sh("cat").stdin())?;
    let json = also(&mut container, LogDriverType::Json, "json");
    pod.client.create_container(&container.request).unwrap();
    let mut client = pod.attach(&container, false)?;
    container.start()?;
    client.send(b"before\n")?;
    client.expect("before\n")?;
    let request = ReopenLogRequest { id: container.request.id.clone(), ..Default::default() };
    pod.client.reopen_log_container(&request).unwrap();
    assert_eq!(fs::read(&container.log).unwrap(), b"");
    assert_eq!(fs::read(&json).unwrap(), b"");
    client.send(b"after\n")?;
    client.expect("after\n")?;
    assert_eq!(container.logged("stdout")?, b"after\n");
    assert_eq!(json_log::parse(&fs::read(&json).unwrap())?.len(), 1);
    Ok(())
}

#[test]
fn a_log_keeps_to_its_size() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let mut container = pod.prepare(&Container::sh("echo hello; echo world"))?;
    container.request.log_drivers[0].max_size = 50;
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    assert_eq!(container.exit()?, "0");
    assert_eq!(container.logged("stdout")?, b"world\n");
    Ok(())
}

#[test]
fn the_journal_gets_lines_from_a_process_called_conmonrs() -> Result {
    ours_only!();
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let scratch = &journal.scratch;
    let mut server = Server::new(scratch)?;
    server.program = journal.wrap(&under_test::binary()?.with_file_name("conmonrs"))?;
    let pod = server.start()?;
    let mut container = pod.prepare(&Container::sh("echo hello; echo world; exec sleep 1000"))?;
    container.request.log_drivers.clear();
    also(&mut container, LogDriverType::Journald, "unused");
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    for line in ["hello\n", "world\n"] {
        let entry = journal.entry()?;
        assert_eq!(entry["MESSAGE"], line);
        assert_eq!(entry["CONTAINER_ID_FULL"], container.request.id);
    }
    wait::until("a process of that name", || Ok(scratch.monitors_named("conmonrs").pop()))?;
    assert!(!container.bundle.join("unused").exists());
    Ok(())
}

#[test]
fn a_log_that_cannot_be_made_is_an_error_and_nothing_is_started() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let mut container = pod.prepare(&Container::sh("true"))?;
    container.request.log_drivers[0].path = "/does/not/exist".into();
    let error = pod.client.create_container(&container.request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "open log file path '/does/not/exist': No such file or directory (os error 2)"
    );
    assert!(!container.bundle.join("pidfile").exists());
    Ok(())
}
