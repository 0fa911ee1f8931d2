//! The log driver `journald`, with a test in the place of journald: in a mount namespace of its own the monitor finds the
//! test's socket where the journal's would be. Needs root.

use std::fs;
use std::process::Command;

use tests::journal::{Journal, MOUNT};
use tests::podman::{Podman, ROOTFS, Session};
use tests::{Container, Context, Result, k8s_log, namespace, ours_only};

fn line(priority: &str, text: &str, part: bool) -> (String, String, bool) {
    (priority.into(), text.into(), part)
}

#[test]
fn an_entry_is_a_line_and_says_which_container_it_is_from() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let session = journal.call("echo hello")?.set("--log-tag", "tag").running()?;
    let id = session.paths.id.as_str();
    let expected = [
        ("CONTAINER_ID", &id[..12]),
        ("CONTAINER_ID_FULL", id),
        ("CONTAINER_NAME", "some_name"),
        ("CONTAINER_TAG", "tag"),
        ("MESSAGE", "hello\n"),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "tag"),
    ];
    let entry = journal.entry()?;
    let fields: Vec<_> =
        entry.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, expected);
    assert_eq!(session.exit_code()?, 0);
    session.monitor_gone()
}

#[test]
fn without_a_tag_the_name_identifies_the_container() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let session = journal.call("echo hello")?.running()?;
    let entry = journal.entry()?;
    assert_eq!(entry.get("SYSLOG_IDENTIFIER").map(String::as_str), Some("some_name"));
    assert_eq!(entry.get("CONTAINER_TAG"), None);
    session.monitor_gone()
}

#[test]
fn standard_error_has_a_higher_priority() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let session = journal.call("echo bad >&2")?.running()?;
    assert_eq!(journal.line()?, line("3", "bad\n", false));
    session.monitor_gone()
}

#[test]
fn a_line_written_in_pieces_is_one_entry_and_the_last_words_are_a_part() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let script = "printf on; sleep 0.05; printf e; sleep 0.05; echo; echo; printf two";
    let session = journal.call(script)?.running()?;
    assert_eq!(journal.line()?, line("6", "one\n", false));
    assert_eq!(journal.line()?, line("6", "\n", false));
    assert_eq!(journal.line()?, line("6", "two", true));
    session.monitor_gone()
}

#[test]
fn a_terminal_is_logged_line_by_line() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let container = Container::sh("printf a; echo b; echo c").terminal();
    let session = journal.call_of(&container)?.running()?;
    assert_eq!(journal.line()?, line("6", "ab\r\n", false));
    assert_eq!(journal.line()?, line("6", "c\r\n", false));
    session.monitor_gone()
}

#[test]
fn journal_and_log_file_both_get_everything() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let call = journal.call("seq 1 2000")?;
    let file = call.paths().log.clone();
    let session = call.add("-l", format!("k8s-file:{}", file.display())).running()?;
    for number in 1..=2000 {
        assert_eq!(journal.line()?, line("6", &format!("{number}\n"), false));
    }
    assert_eq!(session.exit_code()?, 0);
    let expected: String = (1..=2000).map(|number| format!("{number}\n")).collect();
    assert!(k8s_log::content(&session.log()?, "stdout") == expected.as_bytes());
    session.monitor_gone()
}

#[test]
fn without_journald_a_container_runs_as_ever() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    fs::remove_file(journal.scratch.join("journal/socket")).context("remove")?;
    let session = journal.call("seq 1 10000; exit 3")?.running()?;
    assert_eq!(session.exit_code()?, 3);
    session.monitor_gone()
}

#[test]
fn a_short_container_id_is_refused() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let finished = journal.call("true")?.set("-c", "0123456789ab").finish()?;
    assert_eq!(finished.status, 1);
    let complaint = "Container ID must be longer than 12 characters";
    assert!(finished.stderr.contains(complaint), "{}", finished.stderr);
    Ok(())
}

#[test]
fn a_line_can_say_its_priority_and_labels_are_fields() -> Result {
    ours_only!("conmon 2.2.0");
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let session =
        journal.call("printf '<'; sleep 0.05; echo '4>careful'")?.set("--log-label", "A_1=b");
    let session = session.running()?;
    let entry = journal.entry()?;
    assert_eq!(entry.get("A_1").map(String::as_str), Some("b"));
    assert_eq!(entry.get("PRIORITY").map(String::as_str), Some("4"));
    assert_eq!(entry.get("MESSAGE").map(String::as_str), Some("careful\n"));
    session.monitor_gone()
}

#[test]
fn parts_of_lines_are_not_marked_on_request() -> Result {
    ours_only!("conmon 2.2.0");
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let call = journal.call("printf two")?.flag("--no-container-partial-message");
    let session = call.running()?;
    assert_eq!(journal.line()?, line("6", "two", false));
    session.monitor_gone()
}

#[test]
fn a_label_without_value_is_refused() -> Result {
    ours_only!("conmon 2.2.0");
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let finished = journal.call("true")?.set("--log-label", "A").finish()?;
    assert_eq!(finished.status, 1);
    let complaint = "(none or more than one '=' present in 'A')";
    assert!(finished.stderr.contains(complaint), "{}", finished.stderr);
    Ok(())
}

#[test]
fn the_log_writer_may_be_killed_in_the_middle_of_a_line() -> Result {
    ours_only!();
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let go = journal.scratch.join("go");
    tests::sys::make_fifo(&go).context("mkfifo")?;
    let script = format!("echo first; printf begun; read x < {}; echo ', done'", go.display());
    let session = journal.call(&script)?.running()?;
    assert_eq!(journal.line()?, line("6", "first\n", false));
    assert_eq!(journal.scratch.kill_role("log-writer"), 1);
    fs::write(&go, "\n").context("let the container go on")?;
    let mut entry = journal.line()?;
    if entry.1 == "first\n" {
        // Killed before it was taken out of the pipe.
        entry = journal.line()?;
    }
    assert_eq!(entry, line("6", "begun, done\n", false));
    session.monitor_gone()
}

#[test]
fn podman_can_run_a_container_that_logs_to_the_journal() -> Result {
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let Some(podman) = Podman::new() else { return Ok(()) };
    let script = "echo out; printf unfinished; exit 3";
    let args =
        ["run", "--log-driver", "journald", "--log-opt", "tag=x", ROOTFS, "sh", "-c", script];
    let inner = podman.command(&args);
    let mut command = Command::new("sh");
    let wrapped = namespace::command(MOUNT, &journal.scratch.join("journal"));
    command.args(["-c", &format!("{wrapped}\"$0\" \"$@\"")]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ended = Session::pipes(command).finish().exits(3);
    assert_eq!(ended.text(), "out\nunfinished");
    // podman tells the journal its own events, too.
    let mut ours = Vec::new();
    while ours.len() < 2 {
        let entry = journal.entry()?;
        if entry.get("CONTAINER_TAG").is_some_and(|tag| tag == "x") {
            ours.push(entry.get("MESSAGE").cloned().unwrap_or_default());
        }
    }
    assert_eq!(ours, ["out\n", "unfinished"]);
    Ok(())
}
