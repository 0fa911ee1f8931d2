//! Signals to the monitor that are not meant for the container. (Those that are: `conmon_exit.rs`.)

use tests::{Call, Container, Result, Scratch, Session, process, sys, wait};

fn sleeper(scratch: &Scratch) -> Result<Session> {
    Call::create(scratch, &Container::new(["sleep", "1000"]))?.running()
}

#[test]
fn sigusr1_means_nothing() -> Result {
    let scratch = Scratch::new()?;
    let session = sleeper(&scratch)?;
    let monitor = session.monitor()?;
    sys::kill(monitor, libc::SIGUSR1).unwrap();
    // Had it been deadly, this one would be too late.
    sys::kill(monitor, libc::SIGTERM).unwrap();
    assert_eq!(session.exit_code()?, 143);
    session.exit_note()?;
    Ok(())
}

#[test]
fn a_monitor_that_is_killed_leaves_its_container_running_and_says_nothing() -> Result {
    for signal in [libc::SIGHUP, libc::SIGUSR2, libc::SIGKILL] {
        let scratch = Scratch::new()?;
        let mut session = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.spawn()?;
        session.release()?;
        let container = session.pid()?;
        session.start()?;
        wait::until("the container to sleep", || {
            let stat = process::proc_file(container, "stat");
            Ok(stat.contains(" (sleep) S ").then_some(()))
        })?;
        sys::kill(session.monitor()?, signal).unwrap();
        session.monitor_gone()?;
        assert!(process::proc_file(container, "stat").contains(" (sleep) S "), "{signal}");
        assert!(!session.exit_file().exists() && !session.paths.exit_note.exists(), "{signal}");
        assert_eq!(session.message()?, None, "{signal}");
    }
    Ok(())
}

#[test]
fn before_the_release_sigterm_ends_it_and_nothing_has_been_made() -> Result {
    let scratch = Scratch::new()?;
    let mut session = Call::create(&scratch, &Container::sh("true"))?.spawn()?;
    let pid = session.foreground_pid();
    wait::until("the monitor to wait at the start pipe", || {
        let call = process::proc_file(pid, "syscall");
        Ok((call.split(' ').nth(1) == Some("0x4")).then_some(()))
    })?;
    sys::kill(pid, libc::SIGTERM).unwrap();
    assert_ne!(session.foreground()?.status, 0);
    assert_eq!(session.message()?, None);
    assert!(!session.paths.monitor_pid.exists() && !session.paths.container_pid.exists());
    assert!(!session.paths.bundle.join("attach").exists() && !session.paths.exit_note.exists());
    scratch.no_monitor_left()
}
