//! The tests in Go: they drive the pod server with the client that engines use.

use super::run::{counted, print};
use super::{Count, succeeds};
use crate::report::{Context, Result, root};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where they are, below `root`.
const MODULE: &str = "tests/go-client";

/// From this release on, `go` fetches the one that go.mod asks for if it is older than that.
const OLDEST: (u32, u32) = (1, 21);

/// Building takes two minutes where nothing is cached, the tests one; more than this is a hang.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Says what is wrong with this machine's Go, if it has one and anything is.
pub(super) fn unfit() -> Option<String> {
    let go = program()?;
    let output = Command::new(&go).args(["env", "GOVERSION"]).current_dir("/").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let version = version.unwrap_or_else(|error| error.to_string());
    let fit = release(&version).is_some_and(|found| found >= OLDEST);
    let advice = "tests/go-client needs a newer one, from https://go.dev/dl";
    (!fit).then(|| format!("{} is {version}; {advice}", go.display()))
}

/// Vets and runs them against the programs in `dist`, if there is a Go to do it.
pub(super) fn tests(filter: Option<&str>, dist: &Path) -> Count {
    let none = filter.is_some_and(|part| !names().iter().any(|name| name.contains(part)));
    if none || program().is_none() {
        return Count::default();
    }
    let mut count = Count::default();
    if filter.is_none() {
        count += succeeds("go vet", go().args(["vet", "./..."]));
    }
    let mut command = go();
    // They mostly wait, so there may be more of them than processors.
    command.args(["test", "-v", "-count=1", "-parallel=4", "-timeout=12m"]);
    command.args(filter.map(|part| format!("-run={part}"))).arg("./...");
    command.env("CONMONRS_BINARY", dist.join("conmonrs"));
    println!("test: go test in {MODULE}");
    let mut results = Results::default();
    let outcome = counted(command, "go test", LIMIT, &mut |line| {
        print(line);
        results.line(&String::from_utf8_lossy(line));
    });
    count += results.end(outcome);
    count
}

/// Whether all of it is as gofmt would write it.
pub(super) fn formatted() -> Result<Count> {
    let at = go().args(["env", "GOROOT"]).output().context("cannot run go")?;
    let gofmt = Path::new(String::from_utf8_lossy(&at.stdout).trim()).join("bin/gofmt");
    let output = Command::new(&gofmt).arg("-l").arg(root().join(MODULE)).output();
    let output = output.context(format!("cannot run {}", gofmt.display()))?;
    let wrong = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && wrong.is_empty();
    println!("gofmt ... {}{wrong}", if passed { "ok" } else { "FAILED\n" });
    Ok(Count::from(passed))
}

/// A `go` command that runs in the module and needs no C compiler.
fn go() -> Command {
    let mut command = Command::new(program().unwrap_or_else(|| "go".into()));
    command.current_dir(root().join(MODULE)).env("CGO_ENABLED", "0");
    command
}

fn program() -> Option<PathBuf> {
    super::tools::find("go")
}

/// Reads `go1.24.4` or `go1.26rc1`.
fn release(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.strip_prefix("go")?.split_once('.')?;
    let minor = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The names of the tests, from their sources: asking `go` would build them first.
fn names() -> Vec<String> {
    let files = fs::read_dir(root().join(MODULE)).into_iter().flatten().flatten();
    let sources =
        files.map(|file| file.path()).filter(|path| path.extension() == Some(OsStr::new("go")));
    sources
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|text| functions(&text))
        .collect()
}

fn functions(source: &str) -> Vec<String> {
    let tests = source.lines().filter_map(|line| line.strip_prefix("func Test"));
    tests.filter_map(|rest| Some(format!("Test{}", rest.split_once('(')?.0))).collect()
}

/// Adds up what `go test -v` says of each test; what a test says of its parts is further to the right.
#[derive(Default)]
struct Results(Count);

impl Results {
    fn line(&mut self, line: &str) {
        self.0.passed += u64::from(line.starts_with("--- PASS: "));
        self.0.failed += u64::from(line.starts_with("--- FAIL: "));
        self.0.ignored += u64::from(line.starts_with("--- SKIP: "));
    }

    /// All of it, when the command has ended and that alone counts so much.
    fn end(mut self, outcome: Result<Count>) -> Count {
        let lost = outcome.map(|count| count.failed).unwrap_or_else(|error| {
            println!("test: {error}");
            1
        });
        // It did not build, or was ended in the middle.
        if self.0.failed == 0 {
            self.0.failed = lost;
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &str, success: bool) -> Count {
        let mut results = Results::default();
        lines.lines().for_each(|line| results.line(line));
        results.end(Ok(Count { failed: u64::from(!success), ..Count::default() }))
    }

    #[test]
    fn each_test_counts_once() {
        let lines =
            "=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/part (0.00s)\nPASS\n";
        assert_eq!(said(lines, true), Count { passed: 1, failed: 0, ignored: 0 });
        let lines =
            "--- PASS: TestA (0.00s)\n--- FAIL: TestB (1.00s)\n--- SKIP: TestC (0.00s)\nFAIL\n";
        assert_eq!(said(lines, false), Count { passed: 1, failed: 1, ignored: 1 });
    }

    #[test]
    fn what_does_not_build_has_failed() {
        assert_eq!(said("x_test.go:1: undefined: y\nFAIL x [build failed]\n", false).failed, 1);
    }

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(release("go1.19.8"), Some((1, 19)));
        assert_eq!(release("go1.26rc1"), Some((1, 26)));
        assert!(release("go1.9") < Some(OLDEST) && release("go1.100.1") > Some(OLDEST));
        assert_eq!(release(""), None);
    }

    #[test]
    fn test_functions_are_found() {
        let source = "func TestOne(t *testing.T) {\nfunc helper() {}\nfunc (p *pod) TestNot() {\n";
        assert_eq!(functions(source), ["TestOne"]);
    }
}
