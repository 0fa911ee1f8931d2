//! What machine this is, so that a figure can be judged.

use super::measure::Rival;
use super::recorded;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The machine and the programs of one run.
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    /// The first line of what conmon says to `--version`.
    pub(crate) conmon: String,
    /// The same of conmonrs, if it takes part.
    pub(crate) conmonrs: Option<String>,
    /// As typed.
    pub(crate) command: String,
}

impl Machine {
    /// Looks around.
    pub(crate) fn look(conmon: &Path, conmonrs: Option<&Path>) -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        Machine {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            processor: model(&cpuinfo).unwrap_or("an unknown processor").into(),
            kernel: kernel.trim().into(),
            conmon: version(conmon),
            conmonrs: conmonrs.map(version),
            command: format!("cargo xtask {}", arguments.join(" ")),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({"processors": self.processors, "processor": self.processor, "kernel": self.kernel,
               "ours": env!("CARGO_PKG_VERSION"), "theirs": self.conmon, "conmonrs": self.conmonrs,
               "command": self.command})
    }

    /// `conmon 2.1.6`, from `conmon version 2.1.6`; `conmonrs 1.0.1`, from `version: 1.0.1`, or because its
    /// figures are the recorded ones.
    pub(crate) fn rival(&self, rival: Rival) -> String {
        match (rival, &self.conmonrs) {
            (Rival::Conmon, _) => self.conmon.replacen("version ", "", 1),
            (Rival::Conmonrs, Some(version)) => version.replacen("version:", rival.name(), 1),
            (Rival::Conmonrs, None) => recorded::PROGRAM.into(),
        }
    }
}

fn model(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

/// The first line of what a program says about itself.
fn version(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or("unknown").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rivals_are_known_by_name_and_version() {
        let machine = |conmonrs: Option<&str>| Machine {
            processors: 1,
            processor: String::new(),
            kernel: String::new(),
            conmon: "conmon version 2.1.6".into(),
            conmonrs: conmonrs.map(String::from),
            command: String::new(),
        };
        assert_eq!(machine(None).rival(Rival::Conmon), "conmon 2.1.6");
        assert_eq!(machine(None).rival(Rival::Conmonrs), "conmonrs 1.0.1");
        assert_eq!(machine(Some("version: 1.1.0")).rival(Rival::Conmonrs), "conmonrs 1.1.0");
    }

    #[test]
    fn the_processor_is_known_by_its_name() {
        assert_eq!(model("processor\t: 0\nmodel name\t: A B\n"), Some("A B"));
        assert_eq!(model(""), None);
    }
}
