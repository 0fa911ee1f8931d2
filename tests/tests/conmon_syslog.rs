//! Messages in syslog (`--syslog`), with a test in the place of the daemon: in a mount namespace of its own the monitor
//! finds the test's socket at `/dev/log`. Needs root.

use std::os::unix::net::UnixDatagram;

use tests::{Call, Container, Context, Result, Scratch, namespace, ours_only, under_test, wait};

/// Makes `log` in `/dev` the daemon's socket.
const MOUNT: &str = r#"
    mount -t tmpfs tmpfs /mnt && mkdir /mnt/dev && mount --rbind /dev /mnt/dev && mount -t tmpfs tmpfs /dev || exit 99
    for name in null zero urandom tty; do touch /dev/$name; mount --bind /mnt/dev/$name /dev/$name; done
    touch /dev/log && mount --bind "$0" /dev/log"#;

/// The daemon's socket.
struct Syslog {
    scratch: Scratch,
    socket: UnixDatagram,
}

impl Syslog {
    /// `None` where the test may not mount.
    fn new() -> Result<Option<Syslog>> {
        if !namespace::possible() {
            under_test::skipped("a mount namespace takes root");
            return Ok(None);
        }
        let scratch = Scratch::new()?;
        let path = scratch.join("log.socket");
        let socket = UnixDatagram::bind(&path).context("bind")?;
        socket.set_read_timeout(Some(wait::limit())).context("set a timeout")?;
        namespace::wrapper(&scratch, MOUNT, &path, &under_test::binary()?)?;
        Ok(Some(Syslog { scratch, socket }))
    }

    /// A call that tells syslog.
    fn call(&self, script: &str) -> Result<Call> {
        let call = Call::create(&self.scratch, &Container::sh(script))?;
        Ok(call.program(&self.scratch.join("in-namespace")).flag("--syslog"))
    }

    /// The next message.
    fn next(&self) -> Result<String> {
        let mut bytes = vec![0; 4096];
        let len = self.socket.recv(&mut bytes).context("no message comes")?;
        bytes.truncate(len);
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }
}

#[test]
fn a_refusal_is_told_there_too_and_names_the_container() -> Result {
    let Some(syslog) = Syslog::new()? else { return Ok(()) };
    let call = syslog.call("true")?.without("-u");
    let id = call.paths().id[..20].to_owned();
    let finished = call.spawn()?.foreground()?;
    let text = "Container UUID not provided. Use --cuuid";
    assert!(finished.status == 1 && finished.stderr.contains(text), "{finished:?}");
    let message = syslog.next()?;
    // Facility user, severity error; a time stamp may follow.
    assert!(message.starts_with("<11>"), "{message}");
    assert!(message.ends_with(&format!("conmon {id} <error>: {text}")), "{message}");
    Ok(())
}

#[test]
fn the_tag_is_shown_but_the_whole_name_is_cut() -> Result {
    let Some(syslog) = Syslog::new()? else { return Ok(()) };
    let call = syslog
        .call("true")?
        .without("-u")
        .set("-c", "short")
        .set("--log-tag", "tag-of-many-letters");
    assert_eq!(call.spawn()?.foreground()?.status, 1);
    let message = syslog.next()?;
    assert!(message.contains("conmon short: tag-of-many-l <error>: "), "{message}");
    Ok(())
}

#[test]
fn without_the_option_syslog_hears_nothing() -> Result {
    let Some(syslog) = Syslog::new()? else { return Ok(()) };
    let call = syslog.call("true")?.without("--syslog").without("-u");
    assert_eq!(call.spawn()?.foreground()?.status, 1);
    syslog.socket.set_nonblocking(true).context("set non-blocking")?;
    assert!(syslog.next().is_err());
    Ok(())
}

#[test]
fn what_fails_in_the_background_is_told() -> Result {
    ours_only!("In other words, and less of it.");
    let Some(syslog) = Syslog::new()? else { return Ok(()) };
    let missing = syslog.scratch.join("missing");
    let call = syslog.call("exit 5")?.no_exit_command().set("--exit-dir", &missing);
    let call = call.set("--exit-command", "/bin/false");
    let session = call.running()?;
    session.monitor_gone()?;
    let (file, command) = (syslog.next()?, syslog.next()?);
    assert!(file.starts_with("<11>exit-reaper: cannot write the exit file"), "{file}");
    assert!(file.contains(&*missing.to_string_lossy()), "{file}");
    assert_eq!(command, "<11>exit-reaper: the exit command failed with status 1");
    Ok(())
}
