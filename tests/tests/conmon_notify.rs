//! The relay from a container's notify socket to the host's (sd_notify(3)).

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use tests::notify::{self, Host};
use tests::{Call, Container, Result, Scratch, Session, ours_only};

/// A container whose notifications go to `host`.
fn relayed(scratch: &Scratch, host: &Path) -> Result<Call> {
    let call = Call::create(scratch, &Container::new(["sleep", "1000"]))?;
    notify::directory(&call.paths().bundle)?;
    Ok(call.set("--sdnotify-socket", host))
}

/// That, running.
fn running(scratch: &Scratch) -> Result<(Host, Session, notify::Container)> {
    notify::running(scratch, |host| relayed(scratch, host))
}

#[test]
fn the_socket_is_in_the_bundle_and_every_user_may_send_to_it() -> Result {
    let scratch = Scratch::new()?;
    let session = relayed(&scratch, Path::new("/nowhere"))?.created()?;
    let socket = fs::symlink_metadata(session.paths.bundle.join("notify/notify.sock")).unwrap();
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o777);
    Ok(())
}

#[test]
fn without_the_option_there_is_no_socket() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let socket = notify::directory(&call.paths().bundle)?;
    let _session = call.env("NOTIFY_SOCKET", scratch.join("host")).created()?;
    assert!(!socket.exists());
    Ok(())
}

#[test]
fn a_container_that_is_ready_makes_the_service_ready() -> Result {
    let scratch = Scratch::new()?;
    let (host, session, container) = running(&scratch)?;
    container.say("READY=1")?;
    let notification = host.expect("READY=1")?;
    // systemd looks at who says it; the monitor is the service's main process.
    assert_eq!(notification.pid, session.monitor()?);
    Ok(())
}

#[test]
fn what_is_said_before_the_container_runs_is_heard() -> Result {
    let scratch = Scratch::new()?;
    let path = scratch.join("host");
    let host = Host::at(&path)?;
    let session = relayed(&scratch, &path)?.created()?;
    notify::Container::of(&session.paths.bundle)?.say("READY=1")?;
    host.expect("READY=1").map(drop)
}

#[test]
fn only_what_a_container_may_say_goes_on() -> Result {
    let scratch = Scratch::new()?;
    let (host, _session, container) = running(&scratch)?;
    for silent in ["MAINPID=1", "FDSTORE=1\nFDNAME=x", "X=READY=1", "READY=1x", "\n\r\n"] {
        container.say(silent)?;
    }
    container.say("MAINPID=1\nREADY=1\nBARRIER=1\n")?;
    // Releases up to 2.1.8 put a newline at the end.
    assert_eq!(host.next()?.text.trim_end(), "READY=1");
    ours_only!("2.1.9");
    container.say("RELOADING=1\nMONOTONIC_USEC=17\rSTATUS=half done\n\nMAINPID=4\nERRNO=2\n")?;
    host.expect("RELOADING=1\nMONOTONIC_USEC=17\nSTATUS=half done\nERRNO=2")?;
    container.say("WATCHDOG=1\nWATCHDOG=trigger\nBUSERROR=a.b\nSTOPPING=1")?;
    host.expect("WATCHDOG=1\nWATCHDOG=trigger\nBUSERROR=a.b\nSTOPPING=1").map(drop)
}

#[test]
fn a_container_that_has_our_own_output_notifies_too() -> Result {
    let scratch = Scratch::new()?;
    let path = scratch.join("host");
    let host = Host::at(&path)?;
    let mut session = relayed(&scratch, &path)?.set("-l", "passthrough").spawn()?;
    session.release()?;
    session.pid()?;
    notify::Container::of(&session.paths.bundle)?.say("READY=1")?;
    host.expect("READY=1").map(drop)
}

#[test]
fn a_socket_of_an_earlier_run_is_replaced() -> Result {
    let scratch = Scratch::new()?;
    let path = scratch.join("host");
    let host = Host::at(&path)?;
    let call = relayed(&scratch, &path)?;
    let bundle = call.paths().bundle.clone();
    let _old = Host::at(&bundle.join("notify/notify.sock"))?;
    let _session = call.running()?;
    notify::Container::of(&bundle)?.say("READY=1")?;
    host.expect("READY=1").map(drop)
}

#[test]
fn a_bundle_may_have_a_path_too_long_for_a_socket() -> Result {
    let scratch = Scratch::new()?;
    let path = scratch.join("host");
    let host = Host::at(&path)?;
    let long = scratch.directory("x".repeat(150))?;
    let call = relayed(&scratch, &path)?;
    let config = call.paths().bundle.join("config.json");
    fs::copy(config, long.join("config.json")).unwrap();
    notify::directory(&long)?;
    let _session = call.set("-b", &long).created()?;
    std::os::unix::fs::symlink(&long, scratch.join("short")).unwrap();
    notify::Container::of(&scratch.join("short"))?.say("READY=1")?;
    host.expect("READY=1").map(drop)
}
