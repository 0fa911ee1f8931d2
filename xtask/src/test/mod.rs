//! `test`: everything that tells whether conmote works, counted together, ending with `N passed, N failed`.

mod go;
pub(crate) mod run;
pub(crate) mod tools;

use crate::dist::{cargo, dist};
use crate::report::Result;
use argh::FromArgs;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Install what the tests need, run all of them, and count. With CI=true in the environment also
/// rustfmt, clippy, the size budgets and the generated code, and an ignored test or a missing tool is a failure.
#[derive(FromArgs)]
#[argh(subcommand, name = "test")]
pub(crate) struct Args {
    /// run only tests whose name contains this, and no other checks
    #[argh(option)]
    filter: Option<String>,
}

/// How many checks held; everything that `test` runs ends up as one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl std::ops::Add for Count {
    type Output = Count;

    fn add(mut self, other: Count) -> Count {
        self += other;
        self
    }
}

impl From<bool> for Count {
    fn from(passed: bool) -> Count {
        Count { passed: passed.into(), failed: (!passed).into(), ignored: 0 }
    }
}

/// The tests that are for this machine, and not for a node (`vm`).
const HERE: [&str; 11] = [
    "-p",
    "tests",
    "--lib",
    "--test",
    "conmon_*",
    "--test",
    "conmote_*",
    "--test",
    "podman_*",
    "--test",
    "pod_*",
];

/// The original, as Debian installs it: what it passes, we have to pass.
pub(crate) const ORIGINAL: &str = "/usr/bin/conmon";

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    all(strict, args.filter.as_deref())
}

/// Runs everything; `strict` as in CI.
pub(crate) fn all(strict: bool, filter: Option<&str>) -> Result<ExitCode> {
    let mut count = Count::default();
    count += installed(&tools::FOR_TESTS, strict);
    let unfit_go = go::unfit().inspect(|problem| println!("test: {problem}"));
    if strict {
        count.failed += u64::from(unfit_go.is_some());
    }
    if filter.is_none() {
        count += guarded("tidy", crate::tidy::check());
        if strict {
            count += lints();
            count += guarded("size", crate::size::check());
            count += guarded("schema", crate::schema::check());
        }
    }
    count += run::cargo_test(&["--workspace", "--exclude", "tests"], filter, &[]);
    count += run::cargo_test(&["-p", "tests", "--doc"], filter, &[]);
    match dist() {
        Err(error) => count += guarded("dist", Err(error)),
        Ok(folder) => {
            count += end_to_end(&HERE, filter, &folder.join("monitor"), strict);
            if strict || crate::sys::is_root() {
                if unfit_go.is_none() {
                    count += go::tests(filter, &folder);
                }
            } else {
                println!("go: skipped: real containers take root");
            }
            if Path::new(ORIGINAL).exists() {
                println!(
                    "test: the same for the original, {ORIGINAL}: it must pass what we are asked to pass"
                );
                let compliance = ["-p", "tests", "--test", "conmon_*", "--test", "podman_*"];
                let run = || end_to_end(&compliance, filter, Path::new(ORIGINAL), strict);
                let mut original = run();
                if original.failed > 0 {
                    // Its own races are not what is under test; a wrong test fails again.
                    println!("test: the original failed; it gets a second chance, ours does not");
                    original = run();
                }
                count += original;
            }
        }
    }
    if filter.is_none() {
        count += on_a_node(strict);
    }
    if strict {
        count.failed += count.ignored;
    }
    if count.failed > 0 {
        run::failures().iter().for_each(|what| println!("failed: {what}"));
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(if count.failed == 0 && count.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Installs what is missing. What is missing all the same is told, and is a failure when `strict`.
fn installed(tools: &[tools::Tool], strict: bool) -> Count {
    let missing = tools::install_missing(tools);
    for tool in &missing {
        if strict {
            run::note_failure(&format!("{tool} is missing"));
        }
        println!("test: {tool} is missing; install it, or run this as root where apt-get works");
    }
    Count { failed: if strict { missing.len() as u64 } else { 0 }, ..Count::default() }
}

/// The tests that take a node of their own, unless this machine cannot make one: then, too, when `strict`, so that
/// they fail.
fn on_a_node(strict: bool) -> Count {
    let count = installed(&tools::FOR_THE_NODE, strict);
    if strict || (crate::sys::is_root() && tools::all_found(&tools::FOR_THE_NODE)) {
        return count + guarded("vm", crate::vm::check());
    }
    println!("vm: skipped: this takes root and what is missing above");
    count
}

/// Runs tests with this monitor; `strict` also tells them that a test which cannot run has failed.
fn end_to_end(which: &[&str], filter: Option<&str>, monitor: &Path, strict: bool) -> Count {
    let ci = strict.then_some(("CI", OsStr::new("true")));
    let variables: Vec<_> =
        [("CONMON_BINARY", monitor.as_os_str())].into_iter().chain(ci).collect();
    run::cargo_test(which, filter, &variables)
}

/// A check that could not even be made has failed.
fn guarded(name: &str, outcome: Result<Count>) -> Count {
    let count = outcome.unwrap_or_else(|error| {
        println!("{name}: {error}");
        Count::from(false)
    });
    if count.failed > 0 {
        run::note_failure(name);
    }
    count
}

/// rustfmt and clippy over the whole workspace, warnings being errors; gofmt over what is in Go.
fn lints() -> Count {
    let mut fmt = cargo();
    fmt.args(["fmt", "--all", "--check"]);
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
    let mut count = Count::default();
    count += succeeds("rustfmt", &mut fmt);
    count += succeeds("clippy", &mut clippy);
    count += guarded("gofmt", go::formatted());
    count
}

fn succeeds(name: &str, command: &mut Command) -> Count {
    let passed = command.stdin(Stdio::null()).status().is_ok_and(|status| status.success());
    println!("{name} ... {}", if passed { "ok" } else { "FAILED" });
    if !passed {
        run::note_failure(name);
    }
    Count::from(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_tests_is_run_here_or_on_a_node() {
        let folder = crate::report::root().join("tests/tests");
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let here = HERE
                .iter()
                .filter_map(|word| word.strip_suffix('*'))
                .any(|start| name.starts_with(start));
            assert!(here || name.starts_with("node_"), "{name} is run by nobody");
            // A node runs those that are ignored elsewhere, and no others.
            let text = std::fs::read_to_string(&path).unwrap();
            let (tests, ignored) = (text.matches("#[test]"), text.matches("#[ignore"));
            assert_eq!(ignored.count(), if here { 0 } else { tests.count() }, "{name}");
        }
    }
}
