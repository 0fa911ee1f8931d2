//! The pod server with a real OCI runtime.

use std::fs;

use serde_json::{Value, json};
use tests::pod::{Pod, PodContainer, Server};
use tests::{Container, Result, Scratch, ours_only, wait};

/// Changes `config.json`.
fn configure(container: &PodContainer, change: impl FnOnce(&mut Value)) {
    let path = container.bundle.join("config.json");
    let mut config = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
}

fn start(pod: &Pod<'_>, container: &PodContainer) -> Result {
    pod.client.create_container(&container.request).unwrap();
    container.start()
}

#[test]
fn containers_log_to_the_last_byte_and_commands_run_in_them() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let Some(server) = Server::real(&scratch)? else { return Ok(()) };
    let pod = server.start()?;
    for size in [4_000, 60_000, 200_000] {
        let script = format!("seq 1 1000000 | head -c {size}; exit 3");
        let container = pod.running(&Container::sh(script))?;
        assert_eq!(container.exit()?, "3");
        let numbers: String = (1..=size).map(|number| format!("{number}\n")).collect();
        assert!(container.logged("stdout")? == numbers.as_bytes()[..size]);
    }
    let container = pod.running(&Container::new(["sleep", "1000"]))?;
    let script = "echo $$; echo err >&2; exit 7";
    let done = pod.exec(&container, ["sh", "-c", script], 10)?;
    assert_eq!((done.exit_code, &done.stderr[..]), (7, &b"err\n"[..]));
    let done = pod.exec(&container, ["head", "-c", "10000000", "/dev/zero"], 0)?;
    assert_eq!((done.exit_code, done.stdout.len()), (0, 10_000_000));
    let mut terminal = container.exec(["sh", "-c", "test -t 0 && echo terminal"], 0);
    terminal.terminal = true;
    let done = pod.client.exec_sync_container(&terminal).unwrap();
    assert_eq!((done.exit_code, &done.stdout[..]), (0, &b"terminal\r\n"[..]));
    assert_eq!(pod.exec(&container, ["no-such-command"], 0)?.exit_code, -2);
    let done = pod.exec(&container, ["sleep", "1000"], 1)?;
    assert_eq!((done.exit_code, done.timed_out), (-3, true));
    pod.stop()?;
    assert_eq!(container.exit()?, "137");
    Ok(())
}

#[test]
fn a_command_that_is_not_there_is_named_in_the_error() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let Some(server) = Server::real(&scratch)? else { return Ok(()) };
    let pod = server.start()?;
    for terminal in [false, true] {
        let missing = Container::new(["no-such-command"]);
        let missing = if terminal { missing.terminal() } else { missing };
        let container = pod.prepare(&missing)?;
        // runc looks for it when the container starts, or already when it is created.
        let error = match pod.client.create_container(&container.request) {
            Err(error) => error.to_string(),
            Ok(_) => container.start().unwrap_err().to_string(),
        };
        assert!(error.contains("not found in $PATH"), "{error}");
    }
    Ok(())
}

#[test]
fn input_and_output_of_a_terminal_go_through_attach() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let Some(server) = Server::real(&scratch)? else { return Ok(()) };
    let pod = server.start()?;
    let container = pod.create(&Container::sh("read line; echo got $line").terminal().stdin())?;
    let mut client = pod.attach(&container, false)?;
    container.start()?;
    client.send(b"hello\r")?;
    client.read_to_end()?;
    assert!(client.done);
    assert_eq!(client.stdout, b"hello\r\ngot hello\r\n");
    assert_eq!(container.exit()?, "0");
    Ok(())
}

#[test]
fn running_out_of_memory_is_recorded_before_the_exit_file_appears() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let Some(server) = Server::real(&scratch)? else { return Ok(()) };
    let pod = server.start()?;
    let limited = |script: &str| -> Result<_> {
        let mut container = pod.prepare(&Container::sh(script))?;
        let ooms = ["first-oom", "second-oom"].map(|name| container.bundle.join(name));
        container.request.oom_exit_paths =
            ooms.iter().map(|path| path.to_str().unwrap().to_owned()).collect();
        configure(&container, |config| {
            config["linux"]["cgroupsPath"] = json!(format!("/{}", container.request.id));
            config["linux"]["resources"] = json!({"memory": {"limit": 20 << 20, "swap": 20 << 20}});
        });
        start(&pod, &container)?;
        Ok((container, ooms))
    };
    let (calm, files) = limited("exit 2")?;
    assert_eq!(calm.exit()?, "2");
    assert!(files.iter().all(|path| !path.exists()));
    let (greedy, files) = limited("exec tail /dev/zero")?;
    let seen = wait::for_file(&greedy.exit, "an exit status", |content| {
        content.map(|content| (content.to_vec(), files.iter().all(|path| path.exists())))
    })?;
    assert_eq!(seen, (b"137".to_vec(), true));
    assert!(files.iter().all(|path| fs::read(path).unwrap().is_empty()));
    Ok(())
}
