//! Filling [`Options`] from arguments.
//!
//! [`super::glib`] decides what on the command line is an option and what is
//! its value, because argh's own idea of that is not GLib's; argh then fills
//! the structure. Between the two, bytes travel as characters U+0000 to U+00FF,
//! since argh reads only strings and paths can be any bytes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use argh::{ArgsInfo, FlagInfoKind, FromArgs, Optionality};

use super::glib::{self, Entry, Kind, Parsed, Value};
use super::options::{ALIASES, Options};
use super::stop::Stop;

impl Options {
    /// Reads the arguments after the program's name.
    ///
    /// A repeated option counts as often as it may: the last one wins, lists
    /// grow in order. Nothing is checked beyond the form.
    ///
    /// # Errors
    /// [`Stop::Answer`] with the help text; [`Stop::Usage`] with GLib's words
    /// for the first mistake.
    pub fn parse<A: AsRef<OsStr>>(args: &[A]) -> Result<Self, Stop> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_ref().as_bytes()).collect();
        match glib::parse(&table(), &args) {
            Ok(Parsed::Options(found)) => fill(found),
            Ok(Parsed::Help) => fill_args(&["--help"]),
            Err(error) => Err(Stop::Usage(format!("option parsing failed: {error}"))),
        }
    }
}

/// The rows of [`Options`], and the old names.
fn table() -> Vec<Entry> {
    let mut table: Vec<Entry> = Options::get_args_info()
        .flags
        .iter()
        .map(|row| Entry {
            long: row.long.trim_start_matches('-'),
            short: row.short.and_then(|letter| u8::try_from(letter).ok()),
            kind: match row.kind {
                FlagInfoKind::Switch => Kind::Flag,
                FlagInfoKind::Option { arg_name: "seconds" | "count" } => Kind::Int32,
                FlagInfoKind::Option { arg_name: "bytes" } => Kind::Int64,
                FlagInfoKind::Option { .. } => Kind::Text,
            },
        })
        // argh's own row; help is for the layer above to recognise.
        .filter(|entry| entry.long != "help")
        .collect();
    for (old, new) in ALIASES {
        let same = table.iter().find(|entry| entry.long == *new).copied();
        table.extend(same.map(|entry| Entry { long: old, short: None, ..entry }));
    }
    table
}

fn fill(found: Vec<(&'static str, Value)>) -> Result<Options, Stop> {
    let mut repeated: Vec<(&str, Value)> = Vec::new();
    let mut last: BTreeMap<&str, Value> = BTreeMap::new();
    for (name, value) in found {
        let name = ALIASES.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new);
        if may_repeat(name) {
            repeated.push((name, value));
        } else {
            last.insert(name, value);
        }
    }
    let mut args = Vec::new();
    for (name, value) in last.into_iter().chain(repeated) {
        args.push(format!("--{name}"));
        match value {
            Value::On => {}
            Value::Number(number) => args.push(number.to_string()),
            Value::Text(bytes) => args.push(bytes.into_iter().map(char::from).collect()),
        }
    }
    fill_args(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn fill_args(args: &[&str]) -> Result<Options, Stop> {
    Options::from_args(&["conmon"], args).map_err(|exit| match exit.status {
        Ok(()) => Stop::Answer(exit.output.trim_end().to_owned()),
        Err(()) => Stop::Usage(format!("option parsing failed: {}", exit.output.trim_end())),
    })
}

fn may_repeat(name: &str) -> bool {
    Options::get_args_info().flags.iter().any(|row| {
        row.long.trim_start_matches('-') == name && row.optionality == Optionality::Repeating
    })
}

/// Reads a value of bytes: characters U+0000 to U+00FF stand for them.
pub(super) fn text(encoded: &str) -> Result<OsString, String> {
    let bytes: Result<Vec<u8>, _> = encoded.chars().map(u8::try_from).collect();
    bytes.map(OsString::from_vec).map_err(|error| error.to_string())
}

/// As [`text`], for a path.
pub(super) fn path(encoded: &str) -> Result<PathBuf, String> {
    text(encoded).map(PathBuf::from)
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
#[path = "parse_tests.rs"]
mod tests;
