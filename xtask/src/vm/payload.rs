//! The node's second disk: the four programs, the test programs, and what to do with them.

use super::image;
use crate::dist::{cargo, dist};
use crate::report::{Context, PROGRAMS, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What the node is to do.
pub(super) enum Work {
    /// Run tests, all or those with this in their name.
    Tests { only: Option<String> },
    /// Run this with a shell.
    Command(String),
}

/// The last line of a node that has done all its work.
pub(super) const END: &str = "vm: that was all";

/// What the node does, a shell script.
const RUN: &str = include_str!("run.sh");

/// Test programs that are worth running on such a node, by the beginning of their names. Those made for it
/// have tests which `cargo test` ignores elsewhere.
const PLAN: [(&str, &str); 1] = [("node_", "--ignored")];

/// The test programs' runtime, and where the programs are put that are under test.
const RUNTIME: &str = "small-runtime";

/// Makes the disk in `folder` and returns its path.
pub(super) fn make(folder: &Path, work: &Work) -> Result<PathBuf> {
    let (content, disk) = (folder.join("payload"), folder.join("payload.img"));
    let _ = fs::remove_dir_all(&content);
    for name in ["bin", "tests"] {
        fs::create_dir_all(content.join(name)).context("cannot make a folder for the payload")?;
    }
    let copy = |from: &Path, to: &str| {
        fs::copy(from, content.join(to)).context(format!("cannot copy {}", from.display()))
    };
    let programs = dist()?;
    for program in PROGRAMS {
        copy(&programs.join(program), &format!("bin/{program}"))?;
    }
    let mut plan = String::new();
    match work {
        Work::Command(command) => {
            fs::write(content.join("command"), command).context("cannot write the command")?;
        }
        Work::Tests { only } => {
            for (name, path) in test_programs()? {
                let found = PLAN.iter().find(|(beginning, _)| name.starts_with(beginning));
                if name == RUNTIME {
                    copy(&path, &format!("tests/{name}"))?;
                } else if let Some((_, arguments)) = found {
                    copy(&path, &format!("tests/{name}"))?;
                    let only = only.as_deref().unwrap_or_default();
                    plan += &format!("{name} {arguments} {only}\n");
                }
            }
        }
    }
    fs::write(content.join("plan"), plan).context("cannot write the plan")?;
    fs::write(content.join("run"), RUN.replace("@END@", END)).context("cannot write a script")?;
    let _ = fs::remove_file(&disk);
    image::file_system(&content, &disk, "1G")?;
    fs::remove_dir_all(&content).context(format!("cannot remove {}", content.display()))?;
    Ok(disk)
}

/// Builds the programs of `tests`; each comes with its name.
fn test_programs() -> Result<Vec<(String, PathBuf)>> {
    let output = cargo()
        .args(["test", "-p", "tests", "--no-run", "--message-format=json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo test --no-run")?;
    if !output.status.success() {
        return Err("cargo test --no-run failed, see above".into());
    }
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages =
        messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    Ok(messages
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_string();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect())
}
