//! Command lines that parse and still make no sense: status 1 and one line, before anything has happened.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::{Call, Container, Result, Scratch, ours_only, under_test};

/// A valid call, changed, must be refused with exactly this line.
fn invalid(change: impl FnOnce(Call, &Scratch) -> Call, line: &str) -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("true"))?;
    let mut session = change(call, &scratch).spawn()?;
    // No byte on the start pipe: all this is checked before the engine has to do anything.
    let finished = session.foreground()?;
    let mut said = finished.stderr;
    if under_test::is_original()? {
        // Until 2.1.8 there was no colon after the tag.
        said = said.replacen("[conmon:e] ", "[conmon:e]: ", 1);
    }
    assert_eq!((finished.status, said.as_str()), (1, format!("{line}\n").as_str()));
    assert_eq!(session.message()?, None);
    assert!(scratch.monitors().is_empty());
    Ok(())
}

#[test]
fn options_that_must_be_there_are_asked_for() -> Result {
    invalid(|call, _| call.without("-c"), "conmon: Container ID not provided. Use --cid")?;
    invalid(|call, _| call.without("-u"), "[conmon:e]: Container UUID not provided. Use --cuuid")?;
    invalid(|call, _| call.without("-r"), "[conmon:e]: Runtime path not provided. Use --runtime")?;
    invalid(|call, _| call.without("-l"), "[conmon:e]: Log driver not provided. Use --log-path")?;
    let spec = "[conmon:e]: Exec process spec path not provided. Use --exec-process-spec";
    invalid(|call, _| call.flag("-e"), spec)
}

#[test]
fn the_first_mistake_in_the_order_of_checks_is_the_one_reported() -> Result {
    let id = "conmon: Container ID not provided. Use --cid";
    invalid(|call, _| call.without("-c").without("-u").without("-r").without("-l"), id)?;
    let level = "[conmon:e]: No such log level loud";
    invalid(|call, _| call.without("-u").without("-r").set("--log-level", "loud"), level)?;
    let uuid = "[conmon:e]: Container UUID not provided. Use --cuuid";
    invalid(|call, _| call.without("-u").without("-r").without("-l"), uuid)
}

#[test]
fn options_that_exclude_each_other_are_refused() -> Result {
    let both = "[conmon:e]: Cannot use 'exec' and 'restore' at the same time";
    invalid(|call, _| call.flag("-e").set("--restore", "/x"), both)?;
    let without_exec = "[conmon:e]: Attach can only be specified with exec";
    invalid(|call, _| call.flag("--exec-attach"), without_exec)?;
    let legacy = "[conmon:e]: Attach can only be specified for a non-legacy exec session";
    invalid(|call, _| call.api_0().flag("-e").flag("--exec-attach"), legacy)
}

#[test]
fn bad_values_are_refused() -> Result {
    invalid(
        |call, _| call.set("--exit-delay", "-1"),
        "[conmon:e]: Delay before invoking exit command must be greater than or equal to 0",
    )?;
    invalid(|call, _| call.set("--log-level", ""), "[conmon:e]: No such log level ")?;
    let runtime = "[conmon:e]: Runtime path";
    let missing = format!("{runtime} /nonexistent/runtime is not valid No such file or directory");
    invalid(|call, _| call.set("-r", "/nonexistent/runtime"), &missing)?;
    let denied = format!("{runtime} /etc/passwd is not valid Permission denied");
    invalid(|call, _| call.set("-r", "/etc/passwd"), &denied)
}

#[test]
fn a_working_directory_that_is_gone_is_noticed() -> Result {
    let vanish = |call: Call, scratch: &Scratch| {
        let wrapper = scratch.join("in-a-directory-that-is-gone");
        let (gone, binary) = (scratch.directory("gone").unwrap(), under_test::binary().unwrap());
        let gone = gone.display();
        let text =
            format!("#!/bin/sh\ncd {gone}; rmdir {gone}; exec {} \"$@\"\n", binary.display());
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        call.program(&wrapper)
    };
    invalid(vanish, "[conmon:e]: Failed to get working directory")
}

#[test]
fn the_number_of_backups_is_checked_first() -> Result {
    ours_only!("The options are there since 2.2.0.");
    let files = |number: &'static str| {
        move |call: Call, _: &Scratch| {
            call.without("-c").set("--log-max-files", number).flag("--log-rotate")
        }
    };
    invalid(files("-1"), "conmon: log-max-files must be non-negative, got -1")?;
    let zero = "conmon: log-max-files must be at least 1 when log-rotate is enabled, got 0";
    invalid(files("0"), zero)
}

#[test]
fn a_mark_left_out_of_no_journal_is_a_warning_and_nothing_more() -> Result {
    ours_only!("The option is there since 2.2.0.");
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?;
    let mut session = call.flag("--no-container-partial-message").spawn()?;
    session.release()?;
    let finished = session.foreground()?;
    let warning = "--no-container-partial-message has no effect without journald log driver";
    assert_eq!((finished.status, finished.stderr), (0, format!("[conmon:w]: {warning}\n")));
    session.pid()?;
    session.start()?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}

#[test]
fn log_drivers_are_checked() -> Result {
    let log = |value: &'static str| move |call: Call, _: &Scratch| call.set("-l", value);
    for value in ["", ":", "::"] {
        invalid(log(value), "[conmon:e]: log-path must not be empty")?;
    }
    invalid(log("k8s-file:"), "[conmon:e]: k8s-file requires a filename")?;
    invalid(log("syslog:/tmp/x"), "[conmon:e]: No such log driver syslog")?;
    invalid(log("K8S-file:/tmp/x"), "[conmon:e]: No such log driver K8S-file")?;
    let tag = "[conmon:e]: k8s-file doesn't support --log-tag";
    invalid(|call, _| call.set("--log-tag", "x"), tag)?;
    ours_only!("The option is there since 2.2.0.");
    let label = "[conmon:e]: k8s-file doesn't support --log-label";
    invalid(|call, _| call.set("--log-label", "A=b"), label)
}

#[test]
fn a_log_that_cannot_be_written_is_refused() -> Result {
    let scratch = Scratch::new()?;
    for (path, reason) in [
        (scratch.join("missing/log"), "No such file or directory"),
        (scratch.directory("log")?, "Is a directory"),
    ] {
        let call = Call::create(&scratch, &Container::sh("true"))?.set("-l", path);
        let finished = call.spawn()?.foreground()?;
        assert_eq!(finished.status, 1);
        let line = finished.stderr.strip_suffix('\n').unwrap();
        assert!(
            line.starts_with("[conmon:e]") && line.contains("Failed to open log file"),
            "{line}"
        );
        assert!(line.ends_with(reason) && !line.contains('\n'), "{line}");
        assert!(scratch.monitors().is_empty());
    }
    Ok(())
}
