use super::*;

/// Reads a command line of words without blanks, in this environment.
fn read_in(words: &str, variables: &[(&str, &str)]) -> Result<Command, Stop> {
    let args: Vec<OsString> = words.split(' ').filter(|w| !w.is_empty()).map(Into::into).collect();
    read_with(&args, &|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
    })
}

fn served(words: &str, variables: &[(&str, &str)]) -> Options {
    match read_in(words, variables) {
        Ok(Command::Serve(options)) => options,
        other => panic!("{other:?}"),
    }
}

fn paused(words: &str) -> Pause {
    match read_in(words, &[]) {
        Ok(Command::Pause(pause)) => pause,
        other => panic!("{other:?}"),
    }
}

/// What is wrong with it.
fn usage(words: &str, variables: &[(&str, &str)]) -> String {
    match read_in(words, variables) {
        Err(Stop::Usage(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn answer(words: &str) -> String {
    match read_in(words, &[]) {
        Err(Stop::Answer(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_given_is_the_defaults() {
    let expected = Options {
        log_level: LevelFilter::Info,
        log_driver: LogDriver::Systemd,
        runtime: "".into(),
        runtime_dir: "".into(),
        runtime_root: None,
        skip_fork: false,
    };
    assert_eq!(served("", &[]), expected);
}

/// As the Go client calls it.
#[test]
fn every_option_in_two_words() {
    let expected = Options {
        log_level: LevelFilter::Debug,
        log_driver: LogDriver::Stdout,
        runtime: "/r".into(),
        runtime_dir: "/d".into(),
        runtime_root: Some("/root".into()),
        skip_fork: true,
    };
    let long = "--runtime /r --runtime-dir /d --runtime-root /root --log-level debug \
                --log-driver stdout --enable-tracing --tracing-endpoint http://x --skip-fork";
    assert_eq!(served(long, &[]), expected);
    let joined = "--runtime=/r --runtime-dir=/d --runtime-root=/root --log-level=debug \
                  --log-driver=stdout --skip-fork --tracing-endpoint=x";
    assert_eq!(served(joined, &[]), expected);
    let short = "-r /r --runtime-dir /d --runtime-root /root -ldebug -d=stdout -et x --skip-fork";
    assert_eq!(served(short, &[]), expected);
}

#[test]
fn the_environment_stands_in_and_the_command_line_wins() {
    let variables = [
        ("CONMON_RUNTIME", "/r"),
        ("CONMON_RUNTIME_DIR", "/d"),
        ("CONMON_RUNTIME_ROOT", "/root"),
        ("CONMON_LOG_LEVEL", "warn"),
        ("CONMON_LOG_DRIVER", "none"),
        ("CONMON_SKIP_FORK", "true"),
        ("CONMON_ENABLE_TRACING", "false"),
    ];
    let options = served("-l off", &variables);
    assert_eq!(options.runtime.to_str(), Some("/r"));
    assert_eq!(options.runtime_dir.to_str(), Some("/d"));
    assert_eq!(options.runtime_root, Some("/root".into()));
    assert_eq!(options.log_level, LevelFilter::Off);
    assert_eq!(options.log_driver, LogDriver::None);
    assert!(options.skip_fork);
    assert!(!served("", &[("CONMON_SKIP_FORK", "false")]).skip_fork);
    assert_eq!(served("", &[("CONMON_LOG_LEVEL", "")]).log_level, LevelFilter::Info);
}

#[test]
fn what_is_wrong_is_said_in_the_words_that_clients_know() {
    let cases = [
        ("--x", "unexpected argument '--x' found"),
        ("--x=y", "unexpected argument '--x' found"),
        ("-x", "unexpected argument '-x' found"),
        ("-ex", "unexpected argument '-x' found"),
        ("-é", "unexpected argument '-é' found"),
        ("-V", "unexpected argument '-V' found"),
        ("-- x", "unexpected argument 'x' found"),
        ("x", "unrecognized subcommand 'x'"),
        ("help x", "unrecognized subcommand 'x'"),
        ("-r", "a value is required for '--runtime <RUNTIME>' but none was supplied"),
        ("-r --skip-fork", "a value is required for '--runtime <RUNTIME>' but none was supplied"),
        ("--runtime=", "a value is required for '--runtime <RUNTIME>' but none was supplied"),
        ("-r a -r b", "the argument '--runtime <RUNTIME>' cannot be used multiple times"),
        (
            "--skip-fork=true",
            "unexpected value 'true' for '--skip-fork' found; no more were expected",
        ),
        (
            "-l DEBUG",
            "invalid value 'DEBUG' for '--log-level <LOG_LEVEL>'\n  \
             [possible values: trace, debug, info, warn, error, off]",
        ),
        (
            "--version x",
            "invalid value 'x' for '--version [<VERSION>]'\n  [possible values: default, full]",
        ),
        ("pause", "the following required arguments were not provided:\n  --pod-id <POD_ID>"),
        (
            "pause --pod-id p --user",
            "the following required arguments were not provided:\
             \n  --uid-mappings <UID_MAPPINGS>\n  --gid-mappings <GID_MAPPINGS>",
        ),
        ("pause --pod-id p x", "unexpected argument 'x' found"),
        ("pause --pod-id p --runtime x", "unexpected argument '--runtime' found"),
    ];
    for (words, text) in cases {
        assert_eq!(usage(words, &[]), text, "{words}");
    }
    let text = usage("", &[("CONMON_SKIP_FORK", "yes")]);
    assert_eq!(text, "invalid value 'yes' for '--skip-fork'\n  [possible values: true, false]");
    let shown = Stop::Usage(usage("--x", &[])).to_string();
    assert_eq!(shown.lines().next(), Some("error: unexpected argument '--x' found"));
}

#[test]
fn version_works_with_no_other_option_and_before_all() {
    for words in ["--version", "-v", "-v default", "--version=default", "-vdefault"] {
        assert_eq!(answer(words), version::text(false), "{words}");
    }
    for words in ["--version full", "-vfull", "-v=full", "-j --version=full"] {
        assert_eq!(answer(words), version::text(true), "{words}");
    }
    for words in
        ["--version-json", "-j", "--vj", "--vj=default", "-j -r x", "-j=default pause --pod-id x"]
    {
        assert_eq!(answer(words), version::json(false), "{words}");
    }
    assert_eq!(answer("--vj full"), version::json(true));
    let asked = read_in("", &[("CONMON_VERSION_JSON", "full")]);
    assert_eq!(asked, Err(Stop::Answer(version::json(true))));
}

#[test]
fn help_names_every_option_and_its_variable() {
    for words in ["--help", "-h", "help", "-r x -h"] {
        assert_eq!(answer(words), help::server());
    }
    for opt in SERVER {
        let line = format!("--{}", opt.long);
        let line = help::server().lines().find(|found| found.contains(&line)).map(String::from);
        let line = line.unwrap_or_default();
        assert!(line.contains(opt.help) && line.contains(opt.env.unwrap_or_default()), "{line}");
    }
    assert_eq!(answer("help pause"), help::pause());
    assert_eq!(answer("pause -h"), help::pause());
    assert!(help::pause().contains("--pod-id <POD_ID>"));
}

#[test]
fn pause_with_all_options() {
    let words = "-l off pause --base-path=/b --pod-id=p --ipc --pid --net --user --uts \
                 --uid-mappings=0_0_1 -u 1_1_1 --gid-mappings=2";
    let expected = Pause {
        base_path: "/b".into(),
        pod_id: "p".into(),
        ipc: true,
        pid: true,
        net: true,
        user: true,
        uts: true,
        uid_mappings: vec!["0_0_1".into(), "1_1_1".into()],
        gid_mappings: vec!["2".into()],
    };
    assert_eq!(paused(words), expected);
    let bare = paused("pause --pod-id p");
    assert_eq!(bare.base_path.to_str(), Some("/var/run"));
    assert!(!bare.ipc && !bare.pid && !bare.net && !bare.user && !bare.uts);
    assert!(bare.uid_mappings.is_empty() && bare.gid_mappings.is_empty());
}

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("conmote-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn validation_says_what_is_missing_in_order() {
    let folder = Folder::new("validation");
    let at = |name: &str| folder.0.join(name);
    std::fs::write(at("file"), "").unwrap();
    let options = |runtime: PathBuf, dir: PathBuf, root: Option<PathBuf>| Options {
        runtime,
        runtime_dir: dir,
        runtime_root: root,
        ..served("", &[])
    };
    let refused = |options: &Options| match validate(options) {
        Err(Stop::Failed("create server", reasons)) => reasons.join(" | "),
        other => panic!("{other:?}"),
    };
    let blank = PathBuf::from(" ");
    let file = at("file");
    assert_eq!(
        refused(&options(blank.clone(), blank.clone(), None)),
        "validate config | --runtime flag not set"
    );
    assert_eq!(
        refused(&options(at("none"), blank, None)),
        "validate config | --runtime-dir flag not set"
    );
    let dir = at("dir/deep");
    assert_eq!(
        refused(&options(at("none"), dir.clone(), None)),
        format!("validate config | --runtime '{}' does not exist", at("none").display())
    );
    assert!(!dir.exists());
    assert_eq!(
        refused(&options(file.clone(), dir.clone(), Some(file.clone()))),
        format!("validate config | --runtime-root '{}' does not exist", file.display())
    );
    assert!(dir.is_dir());
    let below_a_file = refused(&options(file.clone(), file.join("x"), None));
    assert!(below_a_file.contains("Not a directory"), "{below_a_file}");
    let root = at("root/deep");
    assert_eq!(validate(&options(file, dir, Some(root.clone()))), Ok(()));
    assert!(root.is_dir());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..Default::default()
    })]

    /// Any arguments: an outcome, not a panic.
    #[test]
    fn any_arguments_are_survived(
        args in proptest::collection::vec(proptest::prelude::any::<Vec<u8>>(), 0..6),
        dashes in 0usize..4,
    ) {
        use std::os::unix::ffi::OsStringExt;
        let args: Vec<OsString> = args
            .into_iter()
            .map(|arg| OsString::from_vec([vec![b'-'; dashes], arg].concat()))
            .collect();
        let _ = read_with(&args, &|_| None);
    }
}
