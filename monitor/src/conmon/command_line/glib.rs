//! GLib's way of writing options, which is how conmon's callers write theirs.
//!
//! What engines depend on, and no other parser does the same way: the value of
//! an option is whatever comes next, even `--rm`, `--` or nothing at all; short
//! options form clusters but never carry a value (`-it`, not `-cNAME`); a flag
//! takes `=anything` and is on; positional arguments may stand anywhere and
//! mean nothing. Names must be complete. Arguments are bytes, of any encoding.
//!
//! This file knows how options are written, not which there are: those come in
//! as a table.

use std::fmt;

use super::integer::{self, IntegerError};

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Flag,
    /// Any bytes.
    Text,
    /// A 32-bit number.
    Int32,
    /// A 64-bit number.
    Int64,
}

/// One row of the option table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name, without the leading `--`.
    pub long: &'static str,
    /// Name after a single `-`.
    pub short: Option<u8>,
    /// What follows.
    pub kind: Kind,
}

/// A value found on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A flag was there.
    On,
    /// Bytes, as given.
    Text(Vec<u8>),
    /// A number within its type's range.
    Number(i64),
}

/// What the command line said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A call for help, seen before any mistake.
    Help,
    /// Long names and values, in order of appearance.
    Options(Vec<(&'static str, Value)>),
}

/// A command line GLib would refuse; [`fmt::Display`] gives GLib's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No such option; the whole argument is shown.
    Unknown(Vec<u8>),
    /// The command line ended where a value was due.
    MissingValue(String),
    /// A second short option in one cluster wanted a value.
    SecondValue(String),
    /// The value of the named option is not an acceptable number.
    Integer(IntegerError, Vec<u8>, String),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(argument) => {
                write!(out, "Unknown option {}", String::from_utf8_lossy(argument))
            }
            Self::MissingValue(option) => write!(out, "Missing argument for {option}"),
            Self::SecondValue(option) => write!(out, "Error parsing option {option}"),
            Self::Integer(problem, value, option) => {
                let value = String::from_utf8_lossy(value);
                match problem {
                    IntegerError::NotANumber => {
                        write!(out, "Cannot parse integer value “{value}” for {option}")
                    }
                    IntegerError::OutOfRange => {
                        write!(out, "Integer value “{value}” for {option} out of range")
                    }
                }
            }
        }
    }
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// The first mistake, in the order of the arguments.
pub fn parse<A: AsRef<[u8]>>(table: &[Entry], args: &[A]) -> Result<Parsed, Error> {
    let mut args = args.iter().map(AsRef::as_ref);
    let mut found = Vec::new();
    while let Some(arg) = args.next() {
        match arg {
            b"--" => break,
            b"--help" | b"--help-all" => return Ok(Parsed::Help),
            [b'-', b'-', name @ ..] => long(table, arg, name, &mut args, &mut found)?,
            [b'-', letters @ ..] if !letters.is_empty() => {
                let asks_help = cluster(table, arg, letters, &mut args, &mut found)?;
                if asks_help {
                    return Ok(Parsed::Help);
                }
            }
            _positional => {}
        }
    }
    Ok(Parsed::Options(found))
}

/// `--name`, `--name=value` or `--name value`.
fn long<'a>(
    table: &[Entry],
    arg: &[u8],
    name: &'a [u8],
    args: &mut impl Iterator<Item = &'a [u8]>,
    found: &mut Vec<(&'static str, Value)>,
) -> Result<(), Error> {
    let mut parts = name.splitn(2, |&byte| byte == b'=');
    let name = parts.next().unwrap_or_default();
    let attached = parts.next();
    let entry = table
        .iter()
        .find(|entry| entry.long.as_bytes() == name)
        .ok_or_else(|| Error::Unknown(arg.to_vec()))?;
    let written = format!("--{}", entry.long);
    let value = match entry.kind {
        Kind::Flag => Value::On,
        kind => {
            let text = attached.or_else(|| args.next());
            convert(kind, text.ok_or_else(|| Error::MissingValue(written.clone()))?, written)?
        }
    };
    found.push((entry.long, value));
    Ok(())
}

/// `-x` or `-xyz`, letter by letter; true when one of them asks for help.
///
/// The letters before an unknown one have their say first: `-TZ abc` complains
/// of the number, not of `-TZ`.
fn cluster<'a>(
    table: &[Entry],
    arg: &[u8],
    letters: &[u8],
    args: &mut impl Iterator<Item = &'a [u8]>,
    found: &mut Vec<(&'static str, Value)>,
) -> Result<bool, Error> {
    let mut value_taken = false;
    for &letter in letters {
        if matches!(letter, b'h' | b'?') {
            return Ok(true);
        }
        let entry = table
            .iter()
            .find(|entry| entry.short == Some(letter))
            .ok_or_else(|| Error::Unknown(arg.to_vec()))?;
        let written = format!("-{}", char::from(letter));
        let value = match entry.kind {
            Kind::Flag => Value::On,
            _ if value_taken => return Err(Error::SecondValue(written)),
            kind => {
                value_taken = true;
                convert(
                    kind,
                    args.next().ok_or_else(|| Error::MissingValue(written.clone()))?,
                    written,
                )?
            }
        };
        found.push((entry.long, value));
    }
    Ok(false)
}

fn convert(kind: Kind, text: &[u8], option: String) -> Result<Value, Error> {
    let (min, max) = match kind {
        Kind::Flag => return Ok(Value::On),
        Kind::Text => return Ok(Value::Text(text.to_vec())),
        Kind::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        Kind::Int64 => (i64::MIN, i64::MAX),
    };
    integer::parse(text, min, max)
        .map(Value::Number)
        .map_err(|problem| Error::Integer(problem, text.to_vec(), option))
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic)]
#[path = "glib_tests.rs"]
mod tests;
