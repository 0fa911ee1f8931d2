//! Each value that an option about logs may not have, and what its user is told.

use tests::{Call, Container, Result, Scratch, ours_only};

/// What the call with these options more says on stderr; it must end with status 1.
fn complaint(scratch: &Scratch, options: &[&str]) -> Result<String> {
    let call = Call::create(scratch, &Container::sh("true"))?.without("-l");
    let finished = call.args(options.iter().copied()).spawn()?.foreground()?;
    assert_eq!(finished.status, 1, "{options:?}: {finished:?}");
    Ok(finished.stderr)
}

#[test]
fn a_value_that_cannot_be_read_is_refused_while_parsing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let large = "99999999999999999999";
    for (options, text) in [
        (
            &["--log-max-files", "2147483648"][..],
            "Integer value “2147483648” for --log-max-files out of range",
        ),
        (&["--log-max-files", "two"], "Cannot parse integer value “two” for --log-max-files"),
        (&["--log-max-files="], "Cannot parse integer value “” for --log-max-files"),
        (
            &["--log-size-max", large],
            "Integer value “99999999999999999999” for --log-size-max out of range",
        ),
        (&["--log-size-max", "1M"], "Cannot parse integer value “1M” for --log-size-max"),
        (
            &["--log-global-size-max", large],
            "Integer value “99999999999999999999” for --log-global-size-max out of range",
        ),
        (
            &["--log-global-size-max", "1 "],
            "Cannot parse integer value “1 ” for --log-global-size-max",
        ),
        (&["--log-path"], "Missing argument for --log-path"),
        (&["-l"], "Missing argument for -l"),
        (&["--log-allowlist-dir"], "Missing argument for --log-allowlist-dir"),
        (&["--log-tag"], "Missing argument for --log-tag"),
        (&["--log-label"], "Missing argument for --log-label"),
        (&["--log-rotation"], "Unknown option --log-rotation"),
    ] {
        let expected = format!("conmon: option parsing failed: {text}\n");
        assert_eq!(complaint(&scratch, options)?, expected, "{options:?}");
    }
    Ok(())
}

#[test]
fn a_value_that_makes_no_sense_is_refused_before_anything_is_made() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let dir = scratch.path().display().to_string();
    let at = |end: &str| format!("{dir}/{end}");
    let (k8s, json) = (format!("k8s-file:{dir}/log"), format!("json-file:{dir}/log"));
    let label = "Container labels must be in format LABEL=VALUE";
    for (options, text) in [
        (&["-l", "none", "--log-max-files", "-1"][..], "conmon: log-max-files must be non-negative, got -1".to_owned()),
        (
            &["-l", "none", "--log-max-files", "0", "--log-rotate"],
            "conmon: log-max-files must be at least 1 when log-rotate is enabled, got 0".to_owned(),
        ),
        (&[], "[conmon:e]: Log driver not provided. Use --log-path".to_owned()),
        (&["-l", ""], "[conmon:e]: log-path must not be empty".to_owned()),
        (&["-l", "::"], "[conmon:e]: log-path must not be empty".to_owned()),
        (&["-l", "k8s-file"], "[conmon:e]: k8s-file requires a filename".to_owned()),
        (&["-l", "k8s-file:"], "[conmon:e]: k8s-file requires a filename".to_owned()),
        (&["-l", "json-file:"], "[conmon:e]: json-file requires a filename".to_owned()),
        (&["-l", "syslog:/x"], "[conmon:e]: No such log driver syslog".to_owned()),
        (&["-l", "JSON-file:/x"], "[conmon:e]: No such log driver JSON-file".to_owned()),
        (
            &["-l", "json-file:/no/log"],
            "[conmon:e]: Failed to open log file /no/log: No such file or directory".to_owned(),
        ),
        (&["-l", &dir], format!("[conmon:e]: Failed to open log file {dir}: Is a directory")),
        (&["-l", &k8s, "--log-tag", "t"], "[conmon:e]: k8s-file doesn't support --log-tag".to_owned()),
        (&["-l", &k8s, "--log-label", "A=b"], "[conmon:e]: k8s-file doesn't support --log-label".to_owned()),
        (&["-l", &json, "--log-tag", "t"], "[conmon:e]: json-file doesn't support --log-tag".to_owned()),
        (&["-l", &json, "--log-label", "A=b"], "[conmon:e]: json-file doesn't support --log-label".to_owned()),
        (
            &["-l", &k8s, "-l", &json],
            format!(
                "[conmon:e]: k8s-file and json-file cannot share {}; give each a file of its own",
                at("log")
            ),
        ),
        (
            &["-l", &k8s, "--log-allowlist-dir", "/nonexistent"],
            format!(
                "[conmon:e]: log file {} is in no directory given with --log-allowlist-dir; log to one of those",
                at("log")
            ),
        ),
        (
            &["-l", "journald", "-c", "0123456789ab"],
            "[conmon:e]: Container ID must be longer than 12 characters".to_owned(),
        ),
        (
            &["-l", "journald", "--log-label", "=b"],
            format!("[conmon:e]: {label} (no LABEL present in '=b')"),
        ),
        (
            &["-l", "journald", "--log-label", "A"],
            format!("[conmon:e]: {label} (none or more than one '=' present in 'A')"),
        ),
        (
            &["-l", "journald", "--log-label", "A=b=c"],
            format!("[conmon:e]: {label} (none or more than one '=' present in 'A=b=c')"),
        ),
        (
            &["-l", "journald", "--log-label", "a=b"],
            "[conmon:e]: Container label names must contain only uppercase letters, numbers and underscore (in 'a=b')".to_owned(),
        ),
    ] {
        assert_eq!(complaint(&scratch, options)?, text + "\n", "{options:?}");
    }
    Ok(())
}
