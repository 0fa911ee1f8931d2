//! The files, sockets and FIFOs a monitor makes, with their modes, and the command line it has for the runtime.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use tests::{Call, Client, Container, Result, Scratch, note, process, under_test, wait};

fn sleeper() -> Container {
    Container::new(["sleep", "1000"])
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_monitors_pid_file_names_the_process_that_stays() -> Result {
    let scratch = Scratch::new()?;
    let mut session = Call::create(&scratch, &sleeper())?.spawn()?;
    session.release()?;
    session.backgrounded()?;
    // It is there as soon as the foreground process is gone.
    let text = fs::read_to_string(&session.paths.monitor_pid).unwrap();
    let monitor: i32 = text.parse().unwrap();
    let container = session.pid()?;
    let parent =
        scratch.processes().into_iter().find(|process| process.pid == container).unwrap().parent;
    assert_eq!(parent, monitor);
    assert_eq!(mode(&session.paths.monitor_pid), 0o644);
    assert_ne!(monitor, session.foreground_pid());
    Ok(())
}

#[test]
fn the_monitor_leads_a_session_of_its_own() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &sleeper())?.created()?;
    let monitor = session.monitor()?;
    let stat = process::proc_file(monitor, "stat");
    let after_name: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(after_name[3], monitor.to_string(), "session");
    Ok(())
}

#[test]
fn a_pid_file_that_cannot_be_written_is_reported_and_the_container_runs() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?;
    let mut session = call.set("--conmon-pidfile", scratch.join("missing/pid")).spawn()?;
    session.release()?;
    let finished = session.foreground()?;
    assert_eq!(finished.status, 1);
    assert!(finished.stderr.contains("Failed to write conmon pidfile"), "{finished:?}");
    session.pid()?;
    session.start()?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn the_bundle_gets_an_attach_socket_and_two_fifos() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &sleeper())?.created()?;
    let bundle = &session.paths.bundle;
    let kind = |name: &str| fs::symlink_metadata(bundle.join(name)).unwrap().file_type();
    assert!(kind("attach").is_socket());
    assert_eq!(mode(&bundle.join("attach")), 0o700);
    for name in ["ctl", "winsz"] {
        assert!(kind(name).is_fifo());
        assert_eq!(mode(&bundle.join(name)), 0o640);
    }
    Ok(())
}

#[test]
fn leftovers_of_an_earlier_run_are_replaced() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &sleeper())?;
    let bundle = call.paths().bundle.clone();
    for name in ["attach", "ctl", "winsz"] {
        fs::write(bundle.join(name), "old").unwrap();
    }
    call.created()?;
    for name in ["attach", "ctl", "winsz"] {
        assert!(!fs::symlink_metadata(bundle.join(name)).unwrap().is_file());
    }
    Ok(())
}

#[test]
fn the_log_is_there_before_the_container() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &sleeper())?.spawn()?;
    wait::for_file(&session.paths.log, "a log", |content| content.map(drop))?;
    let expected = if under_test::is_original()? { 0o600 } else { 0o640 };
    assert_eq!(mode(&session.paths.log), expected);
    Ok(())
}

#[test]
fn a_socket_directory_gets_a_link_to_the_bundle() -> Result {
    let scratch = Scratch::new()?;
    let sockets = scratch.directory("sockets")?;
    let link = sockets.join("some-uuid");
    std::os::unix::fs::symlink("/nowhere", &link).unwrap();
    let call = Call::create(&scratch, &Container::sh("cat").stdin())?;
    let call =
        call.without("--full-attach").set("--socket-dir-path", &sockets).set("-u", "some-uuid");
    let session = call.running()?;
    assert_eq!(fs::read_link(&link).unwrap(), session.paths.bundle);
    let mut client = Client::connect_to(&link.join("attach")).unwrap();
    client.send(b"through the link")?;
    client.expect("through the link")?;
    client.half_close()?;
    session.exit_code()?;
    session.monitor_gone()?;
    if under_test::is_ours()? {
        assert!(fs::symlink_metadata(&link).is_err(), "the link stays (it did until 2.1.7)");
    }
    Ok(())
}

#[test]
fn a_bundle_with_a_long_path_can_be_attached_to() -> Result {
    let scratch = Scratch::new()?;
    let container = Container::sh("cat").stdin();
    let bundle = scratch.directory(format!("{}/{}", "b".repeat(120), "c".repeat(120)))?;
    container.write_config(&scratch, &bundle)?;
    let call = Call::create(&scratch, &container)?.set("-b", &bundle);
    let session = call.running()?;
    let mut client = Client::connect_when_ready(&bundle)?;
    client.send(b"hello from afar")?;
    client.expect("hello from afar")?;
    client.half_close()?;
    assert_eq!(session.exit_code()?, 0);
    session.monitor_gone()?;
    assert!(!bundle.join("attach").exists());
    Ok(())
}

#[test]
fn without_a_bundle_option_the_working_directory_is_the_bundle() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.without("-b");
    let bundle = call.paths().bundle.clone();
    let session = call.directory(&bundle).running()?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

/// What the runtime was called with to create a container.
fn create_arguments(scratch: &Scratch, call: Call) -> Result<Vec<String>> {
    let trace = scratch.join("trace");
    let call = call.env("SMALL_RUNTIME_TRACE", &trace).env("SMALL_RUNTIME_EXIT", "1");
    call.env("SMALL_RUNTIME_STDERR", "no").flag("--sync").finish()?;
    let note = note::wait_for_verb(&trace, "--pid-file")?;
    Ok(note.args)
}

#[test]
fn the_runtime_is_called_as_podman_expects() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let paths = call.paths().clone();
    let runtime = under_test::small_runtime()?.to_string_lossy().into_owned();
    let oci_log = paths.bundle.join("oci-log");
    let call =
        call.flag("-s").flag("--no-pivot").flag("--no-new-keyring").add("--runtime-opt", "--one");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let expected = [
        &runtime,
        "--systemd-cgroup",
        "--log-format=json",
        "--log",
        &text(&oci_log),
        "create",
        "--bundle",
        &text(&paths.bundle),
        "--pid-file",
        &text(&paths.container_pid),
        "--no-pivot",
        "--no-new-keyring",
        "--one",
        &paths.id,
    ];
    assert_eq!(create_arguments(&scratch, call)?, expected);
    Ok(())
}

#[test]
fn with_a_terminal_the_runtime_gets_a_console_socket() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true").terminal())?;
    let arguments = create_arguments(&scratch, call)?;
    let [.., option, socket, _id] = &arguments[..] else { panic!("{arguments:?}") };
    assert_eq!(option, "--console-socket");
    assert!(socket.starts_with("/tmp/conmon-term."), "{socket}");
    if under_test::is_ours()? {
        assert!(!Path::new(socket).exists(), "{socket} stays after the failure");
    }
    Ok(())
}

#[test]
fn the_runtime_is_called_for_an_exec_session_as_podman_expects() -> Result {
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &sleeper())?.running()?;
    let trace = scratch.join("trace");
    let call =
        Call::exec(&scratch, &container, &Container::sh("true"))?.flag("-s").flag("--no-pivot");
    let paths = call.paths().clone();
    let mut session =
        call.add("--runtime-opt", "--one").env("SMALL_RUNTIME_TRACE", &trace).spawn()?;
    session.release()?;
    session.release()?;
    session.pid()?;
    let note = note::wait_for_verb(&trace, "exec")?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let expected = [
        "--log-format=json",
        "--log",
        &text(&paths.bundle.join("oci-log")),
        "exec",
        "--pid-file",
        &text(&paths.container_pid),
        "--process",
        &text(&paths.bundle.join("process.json")),
        "--detach",
        "--one",
        &container.paths.id,
    ];
    assert_eq!(note.arguments(), expected);
    Ok(())
}

#[test]
fn the_console_socket_goes_where_tmpdir_says_and_goes_away() -> Result {
    let scratch = Scratch::new()?;
    let temporary = scratch.directory("tmp")?;
    let trace = scratch.join("trace");
    let call = Call::create(&scratch, &Container::sh("true").terminal())?.env("TMPDIR", &temporary);
    let _session = call.env("SMALL_RUNTIME_TRACE", &trace).created()?;
    let note = note::wait_for_verb(&trace, "create")?;
    let socket = note.value_of("--console-socket").unwrap();
    assert!(Path::new(socket).starts_with(&temporary), "{socket}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    Ok(())
}
