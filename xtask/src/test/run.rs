//! One `cargo test`, its output passed on as it comes and its results counted.

use super::Count;
use crate::dist::cargo;
use crate::report::{Context, Result};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// No `cargo test` takes this long, building included, unless something hangs.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// What has failed so far: in a long output it is hard to find.
static FAILED: Mutex<Vec<String>> = Mutex::new(vec![]);

/// Keeps what has failed for [`failures`].
pub(crate) fn note_failure(what: &str) {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
}

/// All that has failed.
pub(crate) fn failures() -> Vec<String> {
    FAILED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs `cargo test WHICH`, with `variables` set, and counts.
pub(crate) fn cargo_test(
    which: &[&str],
    filter: Option<&str>,
    variables: &[(&str, &OsStr)],
) -> Count {
    let mut command = cargo();
    command.args(["test", "--no-fail-fast", "--color", "never"]).args(which).arg("--").args(filter);
    command.envs(variables.iter().copied());
    println!("test: cargo test {}", which.join(" "));
    counted(command, "cargo test", LIMIT, &mut print).unwrap_or_else(|error| {
        println!("test: {error}");
        Count::from(false)
    })
}

/// Passes a line on as it comes.
pub(crate) fn print(line: &[u8]) {
    let mut out = std::io::stdout();
    let _ = out.write_all(line).and_then(|()| out.flush());
}

/// Runs a command that speaks like `cargo test`, for at most `limit`, and gives `each` line it says to the caller.
pub(crate) fn counted(
    mut command: Command,
    name: &str,
    limit: Duration,
    each: &mut impl FnMut(&[u8]),
) -> Result<Count> {
    // One pipe for both streams keeps cargo's headings and the results in order. A process group of its
    // own lets us end all of it, test programs included; only when nobody is there to press Ctrl-C.
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    let second = writer.try_clone().context("cannot copy a pipe")?;
    command.stdin(Stdio::null()).stdout(writer).stderr(second);
    crate::sys::mind_signals(&mut command);
    let alone = !std::io::IsTerminal::is_terminal(&std::io::stdin());
    if alone {
        command.process_group(0);
    }
    let mut child = command.spawn().context(format!("cannot run {name}"))?;
    drop(command);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = vec![];
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    let (mut tally, deadline) = (Tally::default(), Instant::now() + limit);
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                each(&line);
                tally.line(&String::from_utf8_lossy(&line));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                println!("test: {name}: still not done after {} s, ending it", limit.as_secs());
                let pid = child.id() as i32;
                let _ = ::tests::sys::kill(if alone { -pid } else { pid }, libc::SIGKILL);
                break;
            }
        }
    }
    let status = child.wait().context(format!("cannot wait for {name}"))?;
    Ok(tally.end(status.success()))
}

/// Adds up what `cargo test` says; a test program that began and never gave a result has failed.
#[derive(Default)]
struct Tally {
    count: Count,
    running: Option<String>,
}

impl Tally {
    fn line(&mut self, line: &str) {
        let line = line.trim();
        if (line.starts_with("test ") && line.ends_with(" FAILED"))
            || line.starts_with("--- FAIL: ")
        {
            note_failure(line);
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.running = None;
            self.count += numbers(result);
        } else if line.starts_with("Running ") || line.starts_with("Doc-tests ") {
            self.lost();
            self.running = Some(line.to_string());
        }
    }

    fn lost(&mut self) {
        if let Some(program) = self.running.take() {
            println!("test: no result from: {program}");
            note_failure(&program);
            self.count.failed += 1;
        }
    }

    fn end(mut self, success: bool) -> Count {
        self.lost();
        // It did not build, or cargo knows of a failure that we did not see.
        if !success && self.count.failed == 0 {
            self.count.failed = 1;
        }
        self.count
    }
}

/// Reads `ok. 5 passed; 0 failed; 1 ignored; …`.
fn numbers(result: &str) -> Count {
    let words: Vec<&str> = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let before = |name: &str| {
        words
            .windows(2)
            .find(|pair| pair[1] == name)
            .and_then(|pair| pair[0].parse().ok())
            .unwrap_or(0)
    };
    Count { passed: before("passed"), failed: before("failed"), ignored: before("ignored") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Count {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        counted(command, "sh", Duration::from_secs(60), &mut |_| {}).unwrap()
    }

    const FINE: &str = "echo '   Running unittests a' >&2; \
                        echo 'test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured';";

    #[test]
    fn results_of_all_test_programs_are_added_up() {
        assert_eq!(sh(&format!("{FINE} {FINE}")), Count { passed: 10, failed: 0, ignored: 2 });
        assert_eq!(
            sh("echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored'; exit 101").failed,
            2
        );
    }

    #[test]
    fn a_crashed_test_program_is_a_failure() {
        assert_eq!(sh(&format!("echo '   Running unittests b' >&2; {FINE}")).failed, 1);
        assert_eq!(
            sh(&format!("{FINE} echo '   Running unittests b' >&2; kill -SEGV $$")).failed,
            1
        );
    }

    #[test]
    fn a_build_that_fails_is_a_failure() {
        assert_eq!(sh("exit 101"), Count { passed: 0, failed: 1, ignored: 0 });
    }

    #[test]
    fn a_hanging_test_is_ended_and_a_failure() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo '   Running unittests c'; exec sleep 1000"]);
        assert_eq!(
            counted(command, "sh", Duration::from_millis(300), &mut |_| {}).unwrap().failed,
            1
        );
    }
}
