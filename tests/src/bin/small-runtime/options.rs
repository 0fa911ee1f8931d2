//! The command line: global options, a verb, its options, and arguments; as forgiving as a test helper may be.

use std::ffi::OsString;
use std::path::PathBuf;

use tests::{Error, Result};

/// The options that take a value, in either place, `--name VALUE` or `--name=VALUE`; all others are flags.
const WITH_VALUE: [&str; 11] = [
    "--bundle",
    "--console-socket",
    "--image-path",
    "--log",
    "--log-format",
    "--pid-file",
    "--preserve-fds",
    "--process",
    "--root",
    "--work-path",
    "-b",
];

/// A command line, taken apart.
pub struct Options {
    /// What to do.
    pub verb: String,
    given: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl Options {
    /// Takes the arguments apart.
    pub fn parse(words: impl Iterator<Item = OsString>) -> Result<Options> {
        let mut words = words.map(|word| {
            word.into_string().map_err(|word| Error::new(format!("not text: argument {word:?}")))
        });
        let mut options = Options { verb: String::new(), given: Vec::new(), arguments: Vec::new() };
        while let Some(word) = words.next() {
            let word = word?;
            // After the container's id, the command.
            if options.verb == "exec" && !options.arguments.is_empty() {
                options.arguments.push(word);
                continue;
            }
            if !word.starts_with('-') {
                match options.verb.is_empty() {
                    true => options.verb = word,
                    false => options.arguments.push(word),
                }
                continue;
            }
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None if WITH_VALUE.contains(&word.as_str()) => {
                    let value = words.next();
                    let value =
                        value.ok_or_else(|| Error::new(format!("no value after {word}")))??;
                    (word, value)
                }
                None => (word, String::new()),
            };
            options.given.push((name, value));
        }
        Ok(options)
    }

    /// The value of an option, if it was given.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.given.iter().rev().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of an option that must be there.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.value(name).ok_or_else(|| Error::new(format!("{} needs {name}", self.verb)))
    }

    /// The argument with this index.
    pub fn argument(&self, index: usize) -> Result<&str> {
        let found = self.arguments.get(index).map(String::as_str);
        found.ok_or_else(|| Error::new(format!("{} needs {} arguments", self.verb, index + 1)))
    }

    /// The arguments from this index on.
    pub fn arguments_from(&self, index: usize) -> &[String] {
        self.arguments.get(index..).unwrap_or_default()
    }

    /// Where the state of all containers is: `SMALL_RUNTIME_ROOT`, else `--root`, else a directory in `/run`.
    pub fn root(&self) -> PathBuf {
        let root = std::env::var_os("SMALL_RUNTIME_ROOT").map(PathBuf::from);
        root.or_else(|| self.value("--root").map(PathBuf::from))
            .unwrap_or_else(|| "/run/small-runtime".into())
    }
}
