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
            Some(path) => path.clone(),
            None => dist()?.join("monitor"),
        };
        let takes_conmon = |measure: &&Measure| {
            measure.rival == Rival::Conmon && measure.sides.contains(&Side::Theirs)
        };
        let conmon = chosen.iter().any(takes_conmon).then_some(&args.theirs);
        let wanted =
            [(Some(&ours), "--ours"), (conmon, "--theirs"), (args.conmonrs.as_ref(), "--conmonrs")];
        for (program, option) in wanted {
            if let Some(program) = program.filter(|program| !program.exists()) {
                let program = program.display();
                return Err(format!(
                    "there is no {program}; install it, or name another with {option}"
                ));
            }
        }
        let [runtime, bare, sampler] = built(
            ["small-runtime", "bare", "xtask"],
            &["-p", "tests", "-p", "xtask", "--release"],
        )?;
        let (conmon, conmonrs) = (args.theirs.clone(), args.conmonrs.clone());
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
