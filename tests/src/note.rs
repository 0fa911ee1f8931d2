//! Notes: one JSON object per line about how a program was called. The small runtime writes one on each call when
//! `SMALL_RUNTIME_TRACE` names a file, and `small-runtime note FILE …` writes one and does nothing else, which makes it
//! the exit command of choice.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::{process, wait};

/// How a program was called.
#[derive(Clone, Debug)]
pub struct Note {
    /// Its arguments, the program's name first.
    pub args: Vec<String>,
    /// Its environment, `NAME=VALUE`.
    pub env: Vec<String>,
    /// Its open descriptors, with what each refers to.
    pub fds: BTreeMap<i32, String>,
    /// Its working directory.
    pub directory: String,
    /// `/proc/self/status`: signal masks, umask, and more.
    pub status: String,
    /// `/proc/self/oom_score_adj`.
    pub oom_score_adj: String,
    /// Its pid.
    pub pid: i32,
    /// Its parent's pid.
    pub parent: i32,
    /// Since the epoch, in microseconds.
    pub time: u64,
}

impl Note {
    /// The value of an environment variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        let find =
            |variable: &'_ String| variable.split_once('=').is_some_and(|(known, _)| known == name);
        self.env.iter().find(|variable| find(variable))?.split_once('=').map(|(_, value)| value)
    }

    /// The arguments without the program's name.
    pub fn arguments(&self) -> Vec<&str> {
        self.args.iter().skip(1).map(String::as_str).collect()
    }

    /// What follows this argument.
    pub fn value_of(&self, option: &str) -> Option<&str> {
        let mut arguments = self.args.iter().skip_while(|argument| *argument != option);
        arguments.nth(1).map(String::as_str)
    }

    /// Whether this signal's number is in a mask of the status, e.g. `SigIgn:` or `SigBlk:`.
    pub fn has_signal(&self, mask: &str, signal: i32) -> bool {
        process::mask(&self.status, mask).is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
    }
}

/// A note about the running program, one line of JSON.
pub fn about_self() -> String {
    let env = std::env::vars_os()
        .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.to_string_lossy()));
    let args = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let pid = std::process::id() as i32;
    let time =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let fds =
        process::fds(pid).into_iter().filter(|(_, target)| *target != format!("/proc/{pid}/fd"));
    let fds: serde_json::Map<String, Value> =
        fds.map(|(number, target)| (number.to_string(), target.into())).collect();
    let note = json!({
        "args": args.collect::<Vec<_>>(),
        "env": env.collect::<Vec<_>>(),
        "fds": fds,
        "directory": std::env::current_dir().unwrap_or_default().to_string_lossy(),
        "status": process::proc_file(pid, "status"),
        "oom_score_adj": process::proc_file(pid, "oom_score_adj").trim(),
        "pid": pid,
        "parent": std::os::unix::process::parent_id(),
        "time": u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
    });
    format!("{note}\n")
}

/// All whole notes in a text.
pub fn parse(text: &[u8]) -> Vec<Note> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.filter_map(|line| one(&serde_json::from_slice(line).ok()?)).collect()
}

fn one(value: &Value) -> Option<Note> {
    let texts = |name: &str| -> Option<Vec<String>> {
        let all = value.get(name)?.as_array()?;
        Some(all.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect())
    };
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let number = |name: &str| i32::try_from(value.get(name)?.as_i64()?).ok();
    let fds = value.get("fds")?.as_object()?.iter();
    Some(Note {
        args: texts("args")?,
        env: texts("env")?,
        fds: fds
            .filter_map(|(number, target)| {
                Some((number.parse().ok()?, target.as_str()?.to_owned()))
            })
            .collect(),
        directory: text("directory")?,
        status: text("status")?,
        oom_score_adj: text("oom_score_adj")?,
        pid: number("pid")?,
        parent: number("parent")?,
        time: value.get("time")?.as_u64()?,
    })
}

/// Waits for the first note in this file.
///
/// # Errors
/// There is none in time.
pub fn wait_for(path: &Path) -> Result<Note> {
    wait::for_file(path, "a note", |content| parse(content?).into_iter().next())
}

/// The note of the first call in this file that has `verb` among its arguments, e.g. `create`.
///
/// # Errors
/// There is none in time.
pub fn wait_for_verb(path: &Path, verb: &str) -> Result<Note> {
    let has_verb = |note: &Note| note.args.iter().any(|argument| argument == verb);
    wait::for_file(path, format_args!("a note of {verb}"), |content| {
        parse(content?).into_iter().find(has_verb)
    })
}

/// All notes in this file as it is now.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Vec<Note>> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::new(format!("cannot read {}: {error}", path.display())))?;
    Ok(parse(&bytes))
}
