//! The programs that a comparison takes.

use super::Args;
use super::measure::{Measure, Rival, Side};
use crate::dist::{cargo, dist, executable};
use crate::report::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The programs of a comparison.
pub(crate) struct Programs {
    pub(crate) ours: PathBuf,
    pub(crate) conmon: PathBuf,
    pub(crate) conmonrs: Option<PathBuf>,
    /// The small OCI runtime.
    pub(crate) runtime: PathBuf,
    /// The least program (see tests/src/bin/bare).
    pub(crate) bare: PathBuf,
    /// This program, optimised: what feeds and checks the others may not be what is measured.
    pub(crate) sampler: PathBuf,
}

impl Programs {
    /// Builds ours and what the samples need, and sees that those are there that these measures compare with.
    pub(crate) fn find(args: &Args, chosen: &[&Measure]) -> Result<Programs> {
        let ours = match &args.ours {
            Some(path) => there(path, "--ours")?,
            None => dist()?.join("monitor"),
        };
        let takes_conmon = |measure: &&Measure| {
            measure.rival == Rival::Conmon && measure.sides.contains(&Side::Theirs)
        };
        let conmon = match chosen.iter().any(takes_conmon) {
            true => there(&args.theirs, "--theirs")?,
            false => args.theirs.clone(),
        };
        let conmonrs =
            args.conmonrs.as_deref().map(|path| there(path, "--conmonrs")).transpose()?;
        let [runtime, bare, sampler] = built(
            ["small-runtime", "bare", "xtask"],
            &["-p", "tests", "-p", "xtask", "--release"],
        )?;
        Ok(Programs { ours, conmon, conmonrs, runtime, bare, sampler })
    }

    /// What a sample is taken of; None where there is nobody to compare with.
    pub(crate) fn of(&self, rival: Rival, side: Side) -> Option<&Path> {
        match (side, rival) {
            (Side::Theirs, Rival::Conmon) => Some(&self.conmon),
            (Side::Theirs, Rival::Conmonrs) => self.conmonrs.as_deref(),
            (Side::Ours | Side::Floor, _) => Some(&self.ours),
        }
    }
}

/// The same path for those who run in other folders, if there is something.
fn there(program: &Path, option: &str) -> Result<PathBuf> {
    if !program.exists() {
        let program = program.display();
        return Err(format!("there is no {program}; install it, or name another with {option}"));
    }
    std::path::absolute(program).context(format!("cannot find {}", program.display()))
}

/// Builds the programs of the tests, the small OCI runtime and the least program, beside this one.
pub(crate) fn small_runtime() -> Result<()> {
    built(["small-runtime", "bare"], &["-p", "tests"]).map(|_| ())
}

fn built<const N: usize>(names: [&str; N], arguments: &[&str]) -> Result<[PathBuf; N]> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--message-format=json"]).args(arguments);
    for name in names {
        command.args(["--bin", name]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut paths = [const { PathBuf::new() }; N];
    for (path, name) in paths.iter_mut().zip(names) {
        *path = executable(&messages, name).context(format!("cannot build {name}, see above"))?;
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::catalogue;
    use super::*;

    fn of(name: &str, conmonrs: Option<&str>, side: Side) -> Option<PathBuf> {
        let programs = Programs {
            ours: "monitor".into(),
            conmon: "conmon".into(),
            conmonrs: conmonrs.map(PathBuf::from),
            runtime: "small-runtime".into(),
            bare: "bare".into(),
            sampler: "xtask".into(),
        };
        let measure = catalogue::ALL.iter().find(|measure| measure.name == name).unwrap();
        programs.of(measure.rival, side).map(Path::to_owned)
    }

    #[test]
    fn pods_are_compared_with_conmonrs_and_with_nobody_if_there_is_none() {
        for pods in ["pod-memory", "pod-create", "pod-create-parked", "pod-log", "pod-end"] {
            assert_eq!(of(pods, None, Side::Ours), Some("monitor".into()));
            assert_eq!(of(pods, None, Side::Theirs), None);
            assert_eq!(of(pods, Some("conmonrs"), Side::Theirs), Some("conmonrs".into()));
        }
        assert_eq!(of("start", Some("conmonrs"), Side::Theirs), Some("conmon".into()));
    }

    #[test]
    fn a_program_is_found_from_other_folders_too() {
        let found = there(Path::new("Cargo.toml"), "--ours");
        assert!(found.is_ok_and(|path| path.is_absolute() && path.ends_with("Cargo.toml")));
        let missing = there(Path::new("no/such"), "--conmonrs");
        let message = "there is no no/such; install it, or name another with --conmonrs";
        assert_eq!(missing, Err(message.into()));
    }
}
