//! What a container costs in memory beside itself, by three counts that must agree roughly, at several numbers of
//! containers.

mod alone;
mod look;
mod starter;
mod state;

use super::Args;
use super::cgroup::Groups;
use super::measure::Side;
use super::rounds::bare;
use crate::report::{Context, Result};
use ::tests::{Scratch, under_test};
use alone::{Alone, Bare};
use look::{Look, looks, values};
use starter::Starter;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(crate) use state::State;

impl State {
    /// Starts more and more containers, and looks three ways: how much free memory has gone (less what the same
    /// containers take without monitor), what the control group of the monitors is charged, what their processes map.
    pub(crate) fn sample(self, args: &Args, side: Side) -> Result<Vec<Option<f64>>> {
        let numbers = self.numbers(args);
        let bare = bare()?;
        let groups = Groups::new();
        let looks = match side {
            Side::Floor => {
                let mut processes = Bare::default();
                let one_more = || {
                    let started = processes.one_more(Path::new(&bare), groups.as_ref());
                    started.context("cannot start a process")
                };
                looks(&numbers, groups.as_ref(), one_more, |_| Ok(()))?
            }
            Side::Ours | Side::Theirs => {
                let alone = self.without_monitor(&numbers, &bare)?;
                let mut looks = self.with_monitor(&numbers, &bare, groups.as_ref())?;
                for (look, alone) in looks.iter_mut().zip(alone) {
                    look.taken -= alone.taken;
                }
                looks
            }
        };
        Ok(values(&numbers, &looks))
    }

    fn without_monitor(self, numbers: &[usize], bare: &str) -> Result<Vec<Look>> {
        let scratch = Scratch::new().context("cannot prepare")?;
        let mut alone = Alone::new(self, &scratch, bare.into()).context("cannot prepare")?;
        let one_more = || alone.one_more().context("cannot start a container");
        looks(numbers, None, one_more, |_| Ok(()))
    }

    fn with_monitor(
        self,
        numbers: &[usize],
        bare: &str,
        groups: Option<&Groups>,
    ) -> Result<Vec<Look>> {
        let scratch = Scratch::new().context("cannot prepare")?;
        let runtime = runtime(&scratch, groups)?;
        let starter =
            Starter::new(self, &scratch, runtime, groups, bare.into()).context("cannot prepare")?;
        let mut held = vec![];
        let one_more = || {
            held.push(starter.one_more().context("cannot start a container")?);
            Ok(())
        };
        let looks = looks(numbers, groups, one_more, |number| {
            starter.rest(number).context("the monitors do not come to rest")
        });
        // The processes have to be gone before their groups can go.
        drop((held, starter));
        drop(scratch);
        looks
    }
}

/// The small runtime. If there are groups it first leaves the one it was started in, so that containers are not charged
/// to the monitors.
pub(super) fn runtime(scratch: &Scratch, groups: Option<&Groups>) -> Result<PathBuf> {
    let runtime = under_test::small_runtime().context("cannot prepare")?;
    let Some(groups) = groups else { return Ok(runtime) };
    let path = scratch.join("runtime.sh");
    let moves: String = groups
        .others
        .doors()
        .iter()
        .map(|door| format!("echo 0 > '{}'\n", door.display()))
        .collect();
    let script = format!("#!/bin/sh\n{moves}exec '{}' \"$@\"\n", runtime.display());
    fs::write(&path, script)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .context(format!("cannot write {}", path.display()))?;
    Ok(path)
}
