//! Which monitor is being tested, and the small runtime that goes with it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::error::{Context, Error, Result};

/// The variable that names another monitor to test, e.g. `/usr/bin/conmon`.
pub const BINARY: &str = "CONMON_BINARY";

/// The variable that names another small runtime.
pub const RUNTIME: &str = "SMALL_RUNTIME";

/// The monitor under test: `CONMON_BINARY`, else `dist/monitor` in the workspace, built first if it is not there.
///
/// # Errors
/// It cannot be built.
pub fn binary() -> Result<PathBuf> {
    static FOUND: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        if let Some(path) = env::var_os(BINARY) {
            return Ok(path.into());
        }
        let path = workspace().join("dist/monitor");
        if !path.exists() {
            build().map_err(|error| error.to_string())?;
        }
        Ok(path)
    });
    found.clone().map_err(Error::new)
}

fn build() -> Result {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace()).args(["run", "--quiet", "-p", "xtask", "--", "dist"]);
    let status = cargo.status().context("cannot run cargo to build dist/")?;
    if !status.success() {
        return Err(Error::new("cannot build dist/: `cargo xtask dist` failed"));
    }
    Ok(())
}

/// The directory of the workspace that the tests were built from.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// What `--version` prints.
///
/// # Errors
/// The binary cannot be run.
pub fn version() -> Result<String> {
    let binary = binary()?;
    let output = Command::new(&binary)
        .arg("--version")
        .output()
        .context(format_args!("cannot run {}", binary.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the binary under test is the original conmon. Ours says `conmote` in the second line of its version.
///
/// # Errors
/// The binary cannot be run.
pub fn is_original() -> Result<bool> {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    let original = !version()?.contains("conmote");
    Ok(*KNOWN.get_or_init(|| original))
}

/// Whether a test of a deliberate difference (see `docs/differences.md`) is to run, that is, whether the binary is ours.
/// Says so when it is not.
///
/// # Errors
/// The binary cannot be run.
pub fn is_ours() -> Result<bool> {
    let ours = !is_original()?;
    if !ours {
        eprintln!("skipped: a deliberate difference from the original, which is under test");
    }
    Ok(ours)
}

/// Says that a test cannot run on this machine. With `CI=true` in the environment that is a panic instead, so that
/// nobody takes skipped tests for passed ones.
///
/// # Panics
/// In CI.
pub fn skipped(why: impl std::fmt::Display) {
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "cannot run: {why}");
    eprintln!("skipped: {why}");
}

/// The small OCI runtime: `SMALL_RUNTIME`, else next to the running program (where cargo puts both).
///
/// # Errors
/// It is not there: it has to be built first.
pub fn small_runtime() -> Result<PathBuf> {
    match env::var_os(RUNTIME) {
        Some(path) => Ok(path.into()),
        None => beside_us("small-runtime"),
    }
}

/// The least program (see src/bin/bare), next to the running program.
///
/// # Errors
/// It is not there: it has to be built first.
pub fn bare() -> Result<PathBuf> {
    beside_us("bare")
}

fn beside_us(program: &str) -> Result<PathBuf> {
    let me = env::current_exe().context("cannot find the running program")?;
    let found = me.ancestors().skip(1).take(2).map(|directory| directory.join(program));
    found.into_iter().find(|path| path.exists()).ok_or_else(|| {
        let next_to = me.display();
        Error::new(format!("no {program} next to {next_to}: run `cargo build -p tests`"))
    })
}
