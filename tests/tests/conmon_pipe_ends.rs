//! How the numbers of the pipes are written, and how long their ends stay open.

use std::os::fd::OwnedFd;
use std::time::Instant;

use tests::pipe::Pipe;
use tests::{Call, Container, Result, Scratch, sys, wait};

/// A call whose `_OCI_*` variable of this name is 3, and the engine's end of that.
fn with_third(scratch: &Scratch, variable: &str, value: &str) -> Result<(Call, OwnedFd)> {
    let (ours, theirs) = sys::packet_pair().unwrap();
    let call = Call::create(scratch, &Container::new(["sleep", "1000"]))?;
    Ok((call.inherit(theirs).env(variable, value), ours))
}

#[test]
fn a_number_may_have_blanks_and_a_sign_before_it() -> Result {
    for value in [" 3", "+3", "\t +3", "003"] {
        let scratch = Scratch::new()?;
        let (call, ours) = with_third(&scratch, "_OCI_SYNCPIPE", value)?;
        let _session = call.no_sync_pipe().no_start_pipe().spawn()?;
        assert!(Pipe::new(ours).message()?.unwrap().value > 0, "{value:?}");
    }
    Ok(())
}

#[test]
fn a_start_pipe_that_cannot_be_read_is_refused() -> Result {
    let scratch = Scratch::new()?;
    let (_read, write) = sys::pipe().unwrap();
    let call = Call::create(&scratch, &Container::sh("true"))?.no_start_pipe();
    let mut session = call.inherit(write).env("_OCI_STARTPIPE", "3").spawn()?;
    let finished = session.foreground()?;
    assert_eq!(finished.status, 1);
    assert!(finished.stderr.contains("start-pipe read failed"), "{finished:?}");
    assert_eq!(session.message()?, None);
    scratch.no_monitor_left()
}

#[test]
fn the_start_pipe_is_closed_once_it_has_been_read() -> Result {
    let scratch = Scratch::new()?;
    let (call, ours) = with_third(&scratch, "_OCI_STARTPIPE", "3")?;
    let mut session = call.no_start_pipe().spawn()?;
    sys::send(&ours, b"x").unwrap();
    session.pid()?;
    assert_eq!(
        Pipe::new(ours).packet()?,
        None,
        "its other end is closed while the container lives"
    );
    assert!(!session.exit_file().exists());
    Ok(())
}

#[test]
fn the_sync_pipe_stays_open_as_long_as_the_container_runs() -> Result {
    let scratch = Scratch::new()?;
    let (call, ours) = with_third(&scratch, "_OCI_SYNCPIPE", "3")?;
    let session = call.no_sync_pipe().no_start_pipe().spawn()?;
    let mut pipe = Pipe::new(ours.try_clone().unwrap());
    pipe.message()?.unwrap();
    session.start()?;
    assert!(!sys::readable(&ours, Instant::now()).unwrap(), "nothing more to say, and no end");
    session.kill("KILL")?;
    assert_eq!(pipe.message()?, None);
    session.exit_code()?;
    wait::for_end_of(session.monitor()?)
}
