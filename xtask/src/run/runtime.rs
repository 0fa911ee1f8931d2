//! Which OCI runtime creates the container.

use crate::report::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tests::{Call, Scratch, Session};

/// A runtime to try.
pub(crate) enum Runtime {
    /// runc or one like it: containers are isolated, and have a root directory.
    Real(PathBuf),
    /// The tests' own: containers are plain processes.
    Small,
}

/// The wanted runtime, or those that may work here, the best one first.
pub(crate) fn candidates(wanted: Option<&str>) -> Result<Vec<Runtime>> {
    match wanted {
        Some("small") => Ok(vec![Runtime::Small]),
        Some(name) => {
            Ok(vec![Runtime::Real(find(name).context(format!("run: there is no runtime {name}"))?)])
        }
        None => {
            let real =
                ["runc", "crun"].into_iter().filter(|_| crate::sys::is_root()).filter_map(find);
            Ok(real.map(Runtime::Real).chain([Runtime::Small]).collect())
        }
    }
}

/// Finds a program by path or by name.
fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Path::new(name).exists().then(|| name.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

impl Runtime {
    /// For messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Runtime::Real(path) => path.display().to_string(),
            Runtime::Small => "the small runtime of the tests, without isolation".into(),
        }
    }

    /// Makes the call and the bundle fit this runtime.
    pub(crate) fn prepare(&self, call: Call, scratch: &Scratch) -> Result<Call> {
        let Runtime::Real(path) = self else { return Ok(call) };
        let bundle = &call.paths().bundle;
        tests::bundle::isolate(bundle).context("cannot prepare the container's root")?;
        Ok(call
            .set("-r", path)
            .without("--runtime-arg")
            .add("--runtime-arg", "--root")
            .add("--runtime-arg", state(scratch)))
    }

    /// Lets the created container run.
    pub(crate) fn start(&self, session: &Session) -> Result<()> {
        let Runtime::Real(path) = self else {
            return session.start().context("cannot start the container");
        };
        let root = session.paths.runtime_root.with_file_name(STATE);
        let output = Command::new(path)
            .arg("--root")
            .arg(root)
            .args(["start", &session.paths.id])
            .stdin(Stdio::null())
            .output()
            .context(format!("cannot run {}", path.display()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!(
            "cannot start the container: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))
    }

    /// Removes what the runtime has left of the container; there may be nothing.
    pub(crate) fn delete(&self, scratch: &Scratch, id: &str) {
        let Runtime::Real(path) = self else { return };
        let mut command = Command::new(path);
        command.arg("--root").arg(state(scratch)).args(["delete", "--force", id]);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The folder, beside the small runtime's, for the state of a real one.
const STATE: &str = "state";

fn state(scratch: &Scratch) -> PathBuf {
    scratch.join(STATE)
}
