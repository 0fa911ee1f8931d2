//! What a test wants to run: a few words in, an OCI `config.json` or an exec `process.json` out.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Context, Result};
use crate::process;
use crate::scratch::Scratch;

/// The command of a container or of an exec session, and what it is given.
#[derive(Clone, Debug)]
pub struct Container {
    args: Vec<String>,
    env: Vec<String>,
    annotations: Map<String, Value>,
    directory: String,
    pub(crate) terminal: bool,
    pub(crate) stdin: bool,
}

impl Container {
    /// The command with these arguments, without stdin and terminal, in directory `/`.
    pub fn new<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Container {
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        Container {
            args: args.into_iter().map(Into::into).collect(),
            env: vec![format!("PATH={path}")],
            annotations: Map::new(),
            directory: "/".to_owned(),
            terminal: false,
            stdin: false,
        }
    }

    /// A shell script.
    pub fn sh(script: impl Into<String>) -> Container {
        Container::new(["/bin/sh".to_owned(), "-c".to_owned(), script.into()])
    }

    /// With a terminal (`-t`).
    pub fn terminal(mut self) -> Container {
        self.terminal = true;
        self
    }

    /// With standard input (`-i`).
    pub fn stdin(mut self) -> Container {
        self.stdin = true;
        self
    }

    /// With one more environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Container {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// With an annotation, e.g. one of the small runtime's failures on demand.
    pub fn annotation(mut self, name: &str, value: &str) -> Container {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    /// In another working directory.
    pub fn directory(mut self, directory: &str) -> Container {
        directory.clone_into(&mut self.directory);
        self
    }

    fn process(&self, scratch: &Scratch) -> Value {
        let marker = |name: &str| format!("{name}={}", scratch.id());
        let mut env = self.env.clone();
        env.extend([marker(process::MARKER), marker(process::IN_CONTAINER)]);
        json!({
            "terminal": self.terminal,
            "user": {"uid": 0, "gid": 0},
            "args": self.args,
            "env": env,
            "cwd": self.directory,
        })
    }

    /// Writes `config.json` into the bundle directory (OCI runtime spec, config.md).
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_config(&self, scratch: &Scratch, bundle: &Path) -> Result {
        let config = json!({
            "ociVersion": "1.0.2",
            "process": self.process(scratch),
            "root": {"path": "rootfs"},
            "annotations": self.annotations,
        });
        write(&bundle.join("config.json"), &config)
    }

    /// Writes the process object alone, as `exec --process` wants it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_process(&self, scratch: &Scratch, path: &Path) -> Result {
        write(path, &self.process(scratch))
    }
}

fn write(path: &Path, value: &Value) -> Result {
    fs::write(path, value.to_string()).context(format_args!("cannot write {}", path.display()))
}
