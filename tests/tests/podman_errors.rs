//! What podman's user is told when a container cannot start, word for word where the words come from the runtime.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use tests::podman::{Output, Podman, ROOTFS, eventually};

/// Makes an executable script in the test's directory and returns its path.
fn program(podman: &Podman, name: &str, text: &str) -> String {
    let path = podman.dir().join(name);
    fs::write(&path, text).expect("write a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .expect("make a script executable");
    path.display().to_string()
}

/// A runtime that fails at `verb` as told, and otherwise is runc.
fn runtime_that_fails(podman: &Podman, verb: &str, how: &str) -> String {
    let text = format!(
        "#!/bin/sh\nfor arg; do [ \"$arg\" = {verb} ] && {{ {how}; }}; done\nexec runc \"$@\"\n"
    );
    program(podman, "runtime", &text)
}

/// Runs `true` in the foreground with another runtime.
fn run_with(podman: &Podman, runtime: &str) -> Output {
    podman.run(&["--runtime", runtime, "run", "--name", "c", ROOTFS, "true"])
}

/// A failed start leaves a container that never ran, and no process.
fn nothing_runs(podman: &Podman) {
    assert_eq!(podman.inspect("c", ".State.Running"), "false");
    eventually("no process of the monitor is left", || podman.processes().is_empty());
}

#[test]
fn a_missing_command_is_named_and_gives_127() {
    let Some(podman) = Podman::new() else { return };
    let output = podman.run(&["run", "--name", "c", ROOTFS, "nosuch"]).exits(127);
    output.complains("exec: \"nosuch\": executable file not found in $PATH");
    output.complains("OCI runtime attempted to invoke a command that was not found");
    nothing_runs(&podman);
}

#[test]
fn a_command_that_is_not_executable_is_named_and_gives_126() {
    let Some(podman) = Podman::new() else { return };
    let output = podman.run(&["run", "--name", "c", ROOTFS, "/etc"]).exits(126);
    output.complains("exec: \"/etc\": permission denied: OCI permission denied");
    nothing_runs(&podman);
}

#[test]
fn a_missing_command_is_named_in_the_background_and_on_a_terminal_too() {
    let Some(podman) = Podman::new() else { return };
    podman
        .run(&["run", "-d", ROOTFS, "nosuch"])
        .exits(127)
        .complains("exec: \"nosuch\": executable file not found");
    podman
        .run(&["run", "-dt", ROOTFS, "nosuch"])
        .exits(127)
        .complains("exec: \"nosuch\": executable file not found");
    let output = podman.spawn_on_terminal(&["run", "-it", ROOTFS, "nosuch"]).finish().exits(127);
    assert!(output.text().contains("exec: \"nosuch\": executable file not found"), "{output}");
}

#[test]
fn a_missing_root_is_named_and_gives_125() {
    let Some(podman) = Podman::new() else { return };
    let args = ["run", "--rm", "--rootfs", "/nonexistent/root", "true"];
    podman.run(&args).exits(125).complains("/nonexistent/root: no such file or directory");
}

#[test]
fn a_root_that_vanished_before_the_start_is_reported() {
    let Some(podman) = Podman::new() else { return };
    podman.ok(&["create", "--name", "c", ROOTFS, "true"]);
    fs::rename(podman.in_rootfs(""), podman.dir().join("elsewhere")).expect("move the root away");
    let output = podman.run(&["start", "-a", "c"]);
    assert_ne!(output.code, 0, "{output}");
    output.complains("no such file or directory");
}

#[test]
fn a_wrong_option_gives_125() {
    let Some(podman) = Podman::new() else { return };
    podman.run(&["run", "--bogus", ROOTFS, "true"]).exits(125).complains("unknown flag: --bogus");
}

#[test]
fn the_runtimes_words_reach_the_user_unchanged() {
    let Some(podman) = Podman::new() else { return };
    let words = r#"it broke: "quoted" \ / tab	and ü, 100%"#;
    let runtime =
        runtime_that_fails(&podman, "create", &format!("printf '%s\\n' '{words}' >&2; exit 1"));
    let output = run_with(&podman, &runtime);
    assert_ne!(output.code, 0, "{output}");
    output.complains(&format!("{runtime}: {words}"));
    nothing_runs(&podman);
}

#[test]
fn several_lines_of_the_runtime_all_reach_the_user() {
    let Some(podman) = Podman::new() else { return };
    let runtime =
        runtime_that_fails(&podman, "create", "printf 'first line\\nsecond line\\n' >&2; exit 7");
    let output = run_with(&podman, &runtime);
    assert_ne!(output.code, 0, "{output}");
    output.complains("first line\nsecond line");
    nothing_runs(&podman);
}

#[test]
fn a_runtime_that_fails_without_a_word_is_still_reported() {
    let Some(podman) = Podman::new() else { return };
    for how in ["exit 1", "kill -KILL $$"] {
        let runtime = runtime_that_fails(&podman, "create", how);
        let output = run_with(&podman, &runtime);
        assert_ne!(output.code, 0, "{output}");
        output.complains("Error: ");
        nothing_runs(&podman);
        podman.ok(&["rm", "c"]);
    }
}

#[test]
fn a_runtime_that_cannot_be_executed_is_reported() {
    let Some(podman) = Podman::new() else { return };
    let runtime = program(&podman, "runtime", "#!/nonexistent/interpreter\n");
    let output = run_with(&podman, &runtime);
    assert_ne!(output.code, 0, "{output}");
    output.complains("Error: ");
    nothing_runs(&podman);
}

#[test]
fn a_runtime_that_vanished_before_the_start_is_reported() {
    let Some(podman) = Podman::new() else { return };
    let runtime = runtime_that_fails(&podman, "nothing", "exit 1");
    podman.ok(&["--runtime", &runtime, "create", "--name", "c", ROOTFS, "true"]);
    fs::remove_file(&runtime).expect("remove the runtime");
    let output = podman.run(&["start", "c"]);
    assert_ne!(output.code, 0, "{output}");
    output.complains(&runtime);
}

#[test]
fn a_runtime_that_fails_at_exec_is_reported_and_the_container_goes_on() {
    let Some(podman) = Podman::new() else { return };
    let runtime = runtime_that_fails(&podman, "exec", "echo 'no exec today' >&2; exit 1");
    podman.ok(&["--runtime", &runtime, "run", "-d", "--name", "c", ROOTFS, "sleep", "1000"]);
    for flags in [&["exec"][..], &["exec", "-i"], &["exec", "-d"], &["exec", "-t"]] {
        let output = podman.run(&[flags, &["c", "true"]].concat());
        assert_ne!(output.code, 0, "{output}");
        output.complains("no exec today");
    }
    assert_eq!(podman.inspect("c", ".State.Running"), "true");
}

#[test]
fn a_runtime_that_dies_at_start_after_it_created_is_reported() {
    let Some(podman) = Podman::new() else { return };
    let runtime = runtime_that_fails(&podman, "start", "echo 'no start today' >&2; exit 1");
    let output = run_with(&podman, &runtime);
    assert_ne!(output.code, 0, "{output}");
    output.complains("no start today");
    let _ = podman.run(&["rm", "-f", "-t", "0", "c"]).exits(0);
}

#[test]
fn a_log_that_cannot_be_written_is_reported_and_nothing_starts() {
    let Some(podman) = Podman::new() else { return };
    let path = podman.dir().join("nosuch/directory/log").display().to_string();
    let output =
        podman.run(&["run", "--name", "c", "--log-opt", &format!("path={path}"), ROOTFS, "true"]);
    assert_ne!(output.code, 0, "{output}");
    output.complains("o such file or directory");
    nothing_runs(&podman);
}
