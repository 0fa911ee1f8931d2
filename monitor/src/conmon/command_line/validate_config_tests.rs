use super::*;

#[test]
fn by_default_bundle_and_pid_file_are_in_the_working_directory() {
    let cwd = std::env::current_dir().expect("cwd");
    let config = good("");
    assert_eq!(config.mode, Mode::Create);
    assert_eq!(config.api_version, ApiVersion::V0);
    assert_eq!(config.bundle.as_deref(), Some(cwd.as_path()));
    assert_eq!(config.container_pid_file, cwd.join("pidfile-id"));
    assert_eq!(config.socket_dir, Path::new("/var/run/crio"));
    assert_eq!(config.exit_command, None);
    assert_eq!((config.timeout, config.log.size_max), (None, None));
    assert!(config.log.sync && config.log.k8s_file.is_none() && !config.log.passthrough);
}

#[test]
fn exec_has_a_bundle_only_if_it_was_given_one() {
    let config = good("-e --exec-process-spec /p");
    assert_eq!(config.mode, Mode::Exec { process_spec: "/p".into(), attach: false });
    assert_eq!(config.bundle, None);

    let config = good("-e --exec-process-spec /p --exec-attach --api-version 1 -b /b");
    assert_eq!(config.mode, Mode::Exec { process_spec: "/p".into(), attach: true });
    assert_eq!(config.bundle, Some("/b".into()));
}

#[test]
fn old_style_exec_needs_no_uuid() {
    let config = check("-c id -r /bin/sh -l none -e --exec-process-spec /p");
    assert_eq!(config.expect("should be accepted").cuuid, None);
}

#[test]
fn times_and_sizes_below_one_mean_none() {
    for none in ["0", "-5"] {
        let config = good(&format!("--timeout {none} --log-size-max {none}"));
        assert_eq!((config.timeout, config.log.size_max), (None, None));
    }
    let config = good("--timeout 3 --log-size-max 4 --exit-command /x --exit-delay 5");
    assert_eq!(config.timeout, Some(Duration::from_secs(3)));
    assert_eq!(config.log.size_max, NonZeroU64::new(4));
    let delay = config.exit_command.map(|command| command.delay);
    assert_eq!(delay, Some(Duration::from_secs(5)));
}

#[test]
fn each_path_reaches_its_place() {
    let config = good(
        "--exit-dir /e -0 /persist -P /c.pid -p /p.pid -b /b --socket-dir-path /s --exit-command /x \
         --exit-command-arg= --exit-command-arg b",
    );
    assert_eq!(config.cid, "id");
    assert_eq!(config.cuuid, Some("uuid".into()));
    assert_eq!(config.exit_dir, Some("/e".into()));
    assert_eq!(config.persist_dir, Some("/persist".into()));
    assert_eq!(config.conmon_pid_file, Some("/c.pid".into()));
    assert_eq!(config.container_pid_file, Path::new("/p.pid"));
    assert_eq!(config.bundle, Some("/b".into()));
    assert_eq!(config.socket_dir, Path::new("/s"));
    let exit_command = config.exit_command.expect("exit command");
    assert_eq!(exit_command.program, Path::new("/x"));
    assert_eq!(exit_command.args, ["", "b"]);
}

#[test]
fn each_flag_sets_its_own_setting_and_no_other() {
    const FLAGS: &str = "--full-attach --stdin --leave-stdin-open --terminal --sync --replace-listen-pid \
                         --syslog --systemd-cgroup --no-pivot --no-new-keyring --no-sync-log --api-version";
    let flags: Vec<&str> = FLAGS.split_whitespace().collect();
    for (index, flag) in flags.iter().enumerate() {
        let config = good(flag);
        let set = [
            config.full_attach,
            config.stdin,
            config.leave_stdin_open,
            config.terminal,
            config.sync,
            config.replace_listen_pid,
            config.syslog,
            config.runtime.systemd_cgroup,
            config.runtime.no_pivot,
            config.runtime.no_new_keyring,
            !config.log.sync,
            config.api_version == ApiVersion::V1,
        ];
        let expected: Vec<bool> = (0..flags.len()).map(|other| other == index).collect();
        assert_eq!(set.as_slice(), expected, "{flag}");
    }
}

#[test]
fn the_runtime_keeps_its_arguments_and_options_apart() {
    let runtime = good("--runtime-arg a --runtime-opt=--o --runtime-arg --b").runtime;
    assert_eq!(runtime.path, Path::new("/bin/sh"));
    assert_eq!(runtime.args, ["a", "--b"]);
    assert_eq!(runtime.opts, ["--o"]);
}

#[test]
fn passthrough_keeps_no_file() {
    let log = good("-l passthrough").log;
    assert!(log.passthrough && log.k8s_file.is_none());
}
