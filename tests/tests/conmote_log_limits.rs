//! `--log-global-size-max`, which holds for good, and `--log-allowlist-dir`, which is enforced.

use std::fs;
use std::os::unix::fs::symlink;

use tests::k8s_log::summary;
use tests::{Call, Container, Result, Scratch, Session, json_log, ours_only, sys, wait};

/// A container that echoes what a client sends, with this limit on all that is logged.
fn echo(scratch: &Scratch, limit: u32) -> Result<Call> {
    let call = Call::create(scratch, &Container::sh("exec cat").stdin())?;
    Ok(call.flag("--leave-stdin-open").set("--log-global-size-max", limit.to_string()))
}

/// Sends a line and waits until it has come back, so that it has been logged, too.
fn say(session: &Session, line: &str) -> Result {
    let mut client = session.attach()?;
    client.send(format!("{line}\n").as_bytes())?;
    client.expect(line)
}

fn end(session: &Session) -> Result<Vec<String>> {
    session.kill("KILL")?;
    session.exit_code()?;
    Ok(summary(&session.log()?))
}

#[test]
fn the_limit_outlives_the_log_writer() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    // Records of 50 bytes: the third crosses the limit and is the last.
    let session = echo(&scratch, 101)?.running()?;
    say(&session, "one1")?;
    // It goes when nothing comes ...
    scratch.idle()?;
    say(&session, "two2")?;
    // ... or is killed.
    assert_eq!(scratch.kill_role("log-writer"), 1);
    for line in ["six6", "ten0", "more"] {
        say(&session, line)?;
        scratch.kill_role("log-writer");
    }
    let log = end(&session)?;
    // What was being logged during a kill may be there twice, and counts twice.
    assert!(log.len() == 3 && log[0] == "stdout F one1" && log[1] == "stdout F two2", "{log:?}");
    Ok(())
}

#[test]
fn neither_a_new_file_nor_a_request_to_reopen_resets_the_count() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = echo(&scratch, 101)?.flag("--log-rotate").set("--log-size-max", "60");
    let session = call.set("--log-max-files", "9").running()?;
    for line in ["one1", "two2", "six6", "ten0"] {
        say(&session, line)?;
    }
    session.write_fifo("ctl", b"2 0 0\n")?;
    let third = format!("{}.3", session.paths.log.display());
    wait::for_file(third.as_ref(), "the third backup", |content| content.map(drop))?;
    say(&session, "late")?;
    assert!(end(&session)?.is_empty());
    Ok(())
}

#[test]
fn what_the_log_had_before_counts() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = echo(&scratch, 60)?;
    let old = "2026-01-01T00:00:00.000000000+00:00 stdout F old0\n";
    fs::write(&call.paths().log, old).unwrap();
    let session = call.running()?;
    say(&session, "one1")?;
    say(&session, "two2")?;
    assert_eq!(end(&session)?, ["stdout F old0", "stdout F one1"]);
    Ok(())
}

#[test]
fn a_json_file_has_the_same_limit() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = echo(&scratch, 1)?.log_driver("json-file").running()?;
    say(&session, "one1")?;
    say(&session, "two2")?;
    session.kill("KILL")?;
    session.exit_code()?;
    let log = json_log::parse(&fs::read(&session.paths.log).unwrap())?;
    assert_eq!(summary(&log), ["stdout F one1"]);
    Ok(())
}

#[test]
fn a_log_outside_the_allowed_directories_is_refused_and_not_made() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let logs = scratch.directory("logs")?;
    scratch.directory("logs-of-others")?;
    scratch.directory("logs/below")?;
    symlink(scratch.join("logs-of-others"), logs.join("link")).unwrap();
    fs::write(scratch.join("theirs"), "").unwrap();
    symlink(scratch.join("theirs"), logs.join("link-to-file")).unwrap();
    symlink(&logs, scratch.join("other-name")).unwrap();
    for (path, allowed) in [
        ("logs/log", true),
        ("logs/below/log", true),
        ("logs/../logs/below/../log2", true),
        ("other-name/log3", true),
        ("log", false),
        ("logs-of-others/log", false),
        ("logs/../log", false),
        ("logs/link/log", false),
        ("logs/link-to-file", false),
    ] {
        for driver in ["k8s-file", "json-file"] {
            let log = scratch.join(path);
            let call = Call::create(&scratch, &Container::sh("echo hello"))?;
            let call = call.add("--log-allowlist-dir", scratch.join("nowhere"));
            let call = call.add("--log-allowlist-dir", scratch.join("other-name"));
            let mut session = call.set("-l", format!("{driver}:{}", log.display())).spawn()?;
            if !allowed {
                let finished = session.foreground()?;
                assert_eq!(finished.status, 1, "{path}");
                let log = log.display();
                assert_eq!(
                    finished.stderr,
                    format!(
                        "[conmon:e]: log file {log} is in no directory given with --log-allowlist-dir; log to one of those\n"
                    )
                );
                assert!(fs::read_dir(scratch.join("logs-of-others")).unwrap().next().is_none());
                assert!(!scratch.join("log").exists());
                assert_eq!(fs::read(scratch.join("theirs")).unwrap(), b"");
                continue;
            }
            session.release()?;
            session.foreground()?;
            session.pid()?;
            session.start()?;
            assert_eq!(session.exit_code()?, 0);
            assert!(fs::metadata(&log).unwrap().len() > 0, "{path}");
            fs::remove_file(&log).unwrap();
        }
    }
    Ok(())
}

#[test]
fn a_log_is_not_opened_again_where_it_may_not_be() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (logs, others, moved) =
        (scratch.directory("logs")?, scratch.directory("others")?, scratch.join("moved"));
    let go = scratch.join("go");
    sys::make_fifo(&go).unwrap();
    let script = format!("echo one; read x < {}; seq -f %05g 1 30", go.display());
    let call = Call::create(&scratch, &Container::sh(script))?.set("-l", logs.join("log"));
    let call = call.flag("--log-rotate").set("--log-size-max", "500").set("--log-max-files", "9");
    let session = call.set("--log-allowlist-dir", &logs).running()?;
    wait::for_file(&logs.join("log"), "one", |log| log.filter(|log| !log.is_empty()).map(drop))?;
    fs::rename(&logs, &moved).unwrap();
    symlink(&others, &logs).unwrap();
    fs::write(&go, "\n").unwrap();
    session.exit_code()?;
    assert_eq!(fs::read_dir(&others).unwrap().count(), 0);
    let log = tests::k8s_log::parse(&fs::read(moved.join("log")).unwrap())?;
    assert_eq!(log.len(), 31, "all goes to the old file");
    Ok(())
}
