//! Paths by default, under their old names, and as long as they may be.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::{Call, Client, Container, Result, Scratch, note, ours_only, process, under_test};

fn sleeper() -> Container {
    Container::new(["sleep", "1000"])
}

/// What the runtime was told to be the pid file.
fn pid_file(scratch: &Scratch, call: Call) -> Result<String> {
    let trace = scratch.join("trace");
    let _session = call.env("SMALL_RUNTIME_TRACE", &trace).created()?;
    let note = note::wait_for_verb(&trace, "create")?;
    fs::remove_file(&trace).unwrap();
    Ok(note.value_of("--pid-file").unwrap().to_owned())
}

#[test]
fn the_containers_pid_file_has_a_default_and_an_old_name() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &sleeper())?.without("-p");
    let default = scratch.join(format!("pidfile-{}", call.paths().id));
    assert_eq!(Path::new(&pid_file(&scratch, call)?), default);
    let named = scratch.join("named");
    let call = Call::create(&scratch, &sleeper())?.without("-p").set("--pidfile", &named);
    assert_eq!(Path::new(&pid_file(&scratch, call)?), named);
    Ok(())
}

#[test]
fn a_link_of_107_bytes_is_cut_by_one_as_engines_cut_it() -> Result {
    for length in [106, 107, 108] {
        let scratch = Scratch::new()?;
        let sockets = scratch.directory("sockets")?;
        let link = sockets.join("u".repeat(length - sockets.as_os_str().len() - 1));
        assert_eq!(link.as_os_str().len(), length);
        let call = Call::create(&scratch, &Container::sh("cat").stdin())?.without("--full-attach");
        let call = call.set("--socket-dir-path", &sockets).set("-u", link.file_name().unwrap());
        let session = call.running()?;
        let names: Vec<_> = fs::read_dir(&sockets).unwrap().map(|e| e.unwrap().path()).collect();
        let expected = if length == 107 { 106 } else { length };
        assert_eq!(names.len(), 1);
        assert_eq!(names[0].as_os_str().len(), expected, "{}", names[0].display());
        assert_eq!(fs::read_link(&names[0]).unwrap(), session.paths.bundle);
        let mut client = Client::connect_when_ready(&session.paths.bundle)?;
        client.send(b"hello")?;
        client.expect("hello")?;
        client.half_close()?;
        session.exit_code()?;
        session.monitor_gone()?;
        if under_test::is_ours()? {
            assert_eq!(fs::read_dir(&sockets).unwrap().count(), 0, "the link stays");
        }
    }
    Ok(())
}

#[test]
fn the_fifos_stay_for_the_engine_to_remove() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &Container::sh("true"))?.running()?;
    session.exit_code()?;
    session.monitor_gone()?;
    for name in ["ctl", "winsz"] {
        assert!(session.paths.bundle.join(name).exists(), "{name}");
    }
    Ok(())
}

#[test]
fn a_tmpdir_too_long_for_a_socket_is_not_used() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let temporary = scratch.directory("t".repeat(100))?;
    let script = "test -t 0 && exit 5";
    let call = Call::create(&scratch, &Container::sh(script).terminal())?.env("TMPDIR", &temporary);
    let session = call.running()?;
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
    Ok(())
}

#[test]
fn the_monitor_is_the_last_to_be_killed_for_memory() -> Result {
    let scratch = Scratch::new()?;
    let session = Call::create(&scratch, &sleeper())?.running()?;
    let score = process::proc_file(session.monitor()?, "oom_score_adj");
    // A child of ours tells whether this may be done here.
    let mut try_it = Command::new("sh");
    try_it.args(["-c", "echo -1000 > /proc/self/oom_score_adj"]).stderr(Stdio::null());
    let allowed = try_it.status().is_ok_and(|status| status.success());
    assert_eq!(score.trim() == "-1000", allowed, "{score}");
    Ok(())
}
