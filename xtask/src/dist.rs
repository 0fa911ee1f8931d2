//! `dist`: the four programs, built for release, stripped and static, in `dist/`.

use crate::report::{Context, PROGRAMS, Result, root};
use argh::FromArgs;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Build the four programs and put them into dist/.
#[derive(FromArgs)]
#[argh(subcommand, name = "dist")]
pub(crate) struct Args {}

pub(crate) fn main(_: Args) -> Result<ExitCode> {
    println!("{}", dist()?.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds and returns the folder with the programs. Several callers at once are safe: one builds,
/// the others wait, and a program that runs is never written into (its file is replaced by rename,
/// and only when it changed).
pub(crate) fn dist() -> Result<PathBuf> {
    let folder = root().join("dist");
    fs::create_dir_all(&folder).context("cannot make dist/")?;
    let lock = File::open(&folder).context("cannot open dist/")?;
    lock.lock().context("cannot lock dist/")?;
    for (program, built) in build(&[])? {
        replace(&built, &folder.join(&program))
            .context(format!("cannot copy {program} into dist/"))?;
    }
    link(&folder).context("cannot make the link dist/conmonrs")?;
    Ok(folder)
}

/// Makes the name by which `monitor` is the pod server, beside it.
pub(crate) fn link(folder: &Path) -> std::io::Result<()> {
    match std::os::unix::fs::symlink("monitor", folder.join("conmonrs")) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// The same programs with their symbols, in a target folder of their own: what `tidy` and `size` look into.
pub(crate) fn unstripped() -> Result<Vec<(String, PathBuf)>> {
    let folder = target_dir()?.join("unstripped");
    let folder = folder.to_str().context("the target folder's name is not UTF-8")?;
    let strip = ["profile.release.strip=false", "profile.release.package.exit-reaper.strip=false"];
    let [all, hub] = strip;
    build(&["--config", all, "--config", hub, "--target-dir", folder])
}

/// A `cargo` command that runs in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(root());
    command
}

/// What `cargo metadata` says about our own packages.
pub(crate) fn metadata() -> Result<serde_json::Value> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo metadata")?;
    serde_json::from_slice(&output.stdout).context("cannot read what cargo metadata says")
}

/// Where cargo builds.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let metadata = metadata()?;
    let folder =
        metadata["target_directory"].as_str().context("cargo metadata names no target folder")?;
    Ok(folder.into())
}

/// Builds the programs for release; each comes with its name, in the order of `PROGRAMS`.
fn build(extra: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let mut command = cargo();
    command.args(["build", "--release", "--message-format=json-render-diagnostics"]);
    for program in PROGRAMS {
        command.args(["-p", program, "--bin", program]);
    }
    command.args(["--config", &without_paths()]);
    let output =
        command.args(extra).stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    if !output.status.success() {
        return Err("cargo build --release failed, see above".into());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    PROGRAMS
        .iter()
        .map(|program| {
            let path = executable(&messages, program)
                .context(format!("cargo build made no program {program}"))?;
            Ok((program.to_string(), path))
        })
        .collect()
}

/// Keeps the names of this machine's folders out of the programs: each place that can panic has the path of a crate's
/// source, and constants of the roles are counted by the byte. As a line of cargo's configuration.
fn without_paths() -> String {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    let flags: Vec<String> = registries
        .map(|registry| format!("'--remap-path-prefix={}/='", registry.path().display()))
        .collect();
    format!("target.'cfg(target_env = \"gnu\")'.rustflags=[{}]", flags.join(","))
}

/// Finds a program's path in what `cargo build` says, one JSON object per line.
pub(crate) fn executable(messages: &str, program: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| {
            let is_it =
                message["reason"] == "compiler-artifact" && message["target"]["name"] == program;
            message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
        })
}

/// Puts a copy of `from` at `to`, never leaving a half-written file there.
pub(crate) fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    let new = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    fs::copy(from, &temporary)?;
    fs::rename(&temporary, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"monitor\"},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"monitor\"},\"executable\":\"/t/monitor\"}\n",
            "not json\n",
        );
        assert_eq!(executable(messages, "monitor"), Some("/t/monitor".into()));
        assert_eq!(executable(messages, "log-writer"), None);
    }

    #[test]
    fn a_program_in_use_is_replaced_and_not_written_into() {
        let folder = std::env::temp_dir().join(format!("conmote-dist-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (from, to) = (folder.join("from"), folder.join("to"));
        fs::write(&to, "old").unwrap();
        fs::write(&from, "new").unwrap();
        let mut open = File::open(&to).unwrap();
        replace(&from, &to).unwrap();
        let mut seen = String::new();
        std::io::Read::read_to_string(&mut open, &mut seen).unwrap();
        assert_eq!((seen.as_str(), fs::read_to_string(&to).unwrap().as_str()), ("old", "new"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
