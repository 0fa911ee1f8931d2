//! Tells the program what it was built from and with, for `--version`.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo:rerun-if-changed=../Cargo.lock");
    // The list of all commits that were ever checked out here: changes with each.
    if let Some(path) = said("git", &["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&path).exists()
    {
        println!("cargo:rerun-if-changed={path}");
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let commit = said("git", &["rev-parse", "HEAD"]);
    tell("COMMIT", commit.as_deref().unwrap_or("unknown"));
    tell("BUILD_DATE", &date());
    tell("TARGET", &variable("TARGET"));
    tell("RUST_VERSION", &said(&variable("RUSTC"), &["--version"]).unwrap_or_default());
    let cargo = variable("CARGO");
    tell("CARGO_VERSION", &said(&cargo, &["--version"]).unwrap_or_default());
    let folder = variable("OUT_DIR");
    let tree = tree(&cargo).unwrap_or_else(|| variable("CARGO_PKG_NAME"));
    if let Err(error) = std::fs::write(Path::new(&folder).join("cargo-tree"), tree) {
        println!("cargo::error=cannot write to {folder}: {error}");
    }
}

fn tell(name: &str, value: &str) {
    println!("cargo:rustc-env=CONMOTE_{name}={value}");
}

/// What a command prints, without white space around it.
fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The age of the sources, so that one commit always gives the same program:
/// as the environment says, or of the commit. Without either, now.
fn date() -> String {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let commit = || said("git", &["log", "-1", "--format=%ct"]);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map(|age| age.as_secs() as i64);
    let seconds = given.or_else(commit).and_then(|text| text.parse().ok());
    let seconds = seconds.unwrap_or_else(|| now().unwrap_or(0));
    let Ok(date) = tz::UtcDateTime::from_timespec(seconds, 0) else { return "unknown".into() };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        date.year(),
        date.month(),
        date.month_day(),
        date.hour(),
        date.minute(),
        date.second()
    )
}

/// The crates that the program is made of. Where our own lie on the building
/// machine is nobody's business.
fn tree(cargo: &str) -> Option<String> {
    let args = ["tree", "--package", "monitor", "--edges", "normal", "--offline"];
    let text = said(cargo, &args)?;
    let lines = text.lines().map(|line| line.split(" (/").next().unwrap_or(line));
    Some(lines.collect::<Vec<_>>().join("\n"))
}
