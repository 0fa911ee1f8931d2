//! `test`: everything that tells whether conmote works, counted together, ending with `N passed, N failed`.

mod run;
mod tools;

use crate::dist::{cargo, dist};
use crate::report::Result;
use argh::FromArgs;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Install what the tests need, run all of them, and count. With CI=true in the environment also
/// rustfmt, clippy and the size budgets, and an ignored test or a missing tool is a failure.
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

impl From<bool> for Count {
    fn from(passed: bool) -> Count {
        Count { passed: passed.into(), failed: (!passed).into(), ignored: 0 }
    }
}

/// The original, as Debian installs it: what it passes, we have to pass.
pub(crate) const ORIGINAL: &str = "/usr/bin/conmon";

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    all(strict, args.filter.as_deref())
}

/// Runs everything; `strict` as in CI.
pub(crate) fn all(strict: bool, filter: Option<&str>) -> Result<ExitCode> {
    let mut count = Count::default();
    let missing = tools::install_missing();
    for tool in &missing {
        println!("test: {tool} is missing; install it, or run this as root where apt-get works");
    }
    if strict {
        count.failed += missing.len() as u64;
    }
    if filter.is_none() {
        count += guarded("tidy", crate::tidy::check());
        if strict {
            count += lints();
            count += guarded("size", crate::size::check());
        }
    }
    count += run::cargo_test(&["--workspace", "--exclude", "tests"], filter, &[]);
    match dist() {
        Err(error) => count += guarded("dist", Err(error)),
        Ok(folder) => {
            count += end_to_end(&["-p", "tests"], filter, &folder.join("monitor"), strict);
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
    if strict {
        count.failed += count.ignored;
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(if count.failed == 0 && count.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    outcome.unwrap_or_else(|error| {
        println!("{name}: {error}");
        Count::from(false)
    })
}

/// rustfmt and clippy over the whole workspace, warnings being errors.
fn lints() -> Count {
    let mut fmt = cargo();
    fmt.args(["fmt", "--all", "--check"]);
    let mut clippy = cargo();
    clippy.args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
    let mut count = Count::default();
    count += succeeds("rustfmt", &mut fmt);
    count += succeeds("clippy", &mut clippy);
    count
}

fn succeeds(name: &str, command: &mut Command) -> Count {
    let passed = command.stdin(Stdio::null()).status().is_ok_and(|status| status.success());
    println!("{name} ... {}", if passed { "ok" } else { "FAILED" });
    Count::from(passed)
}
