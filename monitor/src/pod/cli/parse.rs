//! Arguments and environment against a table of options, as clap does it: its
//! rules for spellings, and its words for what is wrong.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::table::{Opt, Takes};

/// Looks a variable of the environment up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What was found: the values of each option that is there, and where the first
/// argument is that is none.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    values: HashMap<&'static str, Vec<OsString>>,
    /// Index of the subcommand among the arguments.
    pub(super) rest: Option<usize>,
}

impl Parsed {
    /// The option's value, if it is there.
    pub(super) fn value(&self, name: &str) -> Option<&OsStr> {
        self.values.get(name)?.first().map(OsString::as_os_str)
    }

    /// All values of the option.
    pub(super) fn values(&self, name: &str) -> &[OsString] {
        self.values.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the option is there.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value == "true")
    }
}

/// Parses up to the first argument that is no option.
///
/// # Errors
/// What is wrong, without `error: `.
pub(super) fn parse(
    table: &'static [Opt],
    args: &[OsString],
    environment: Environment<'_>,
) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        at += 1;
        let bytes = arg.as_bytes();
        if let Some(long) = bytes.strip_prefix(b"--") {
            if long.is_empty() {
                // Only arguments follow, and none is wanted.
                match args.get(at) {
                    Some(arg) => return Err(unexpected(arg.as_bytes())),
                    None => break,
                }
            }
            let (name, value) = split_at_equals(long);
            let opt = table
                .iter()
                .find(|opt| {
                    [Some(opt.long), opt.alias].iter().flatten().any(|n| n.as_bytes() == name)
                })
                .ok_or_else(|| unexpected(&[b"--", name].concat()))?;
            take(&mut parsed, opt, value.map(os), args, &mut at)?;
        } else if bytes.len() > 1
            && let Some(letters) = bytes.strip_prefix(b"-")
        {
            let mut letters = letters;
            while let Some((letter, after)) = letters.split_first() {
                let opt = table
                    .iter()
                    .find(|opt| opt.short == Some(char::from(*letter)))
                    .ok_or_else(|| unexpected(&[b"-", first_letter(letters)].concat()))?;
                if opt.takes == Takes::Nothing {
                    take(&mut parsed, opt, None, args, &mut at)?;
                    letters = after;
                } else {
                    let value =
                        (!after.is_empty()).then(|| after.strip_prefix(b"=").unwrap_or(after));
                    take(&mut parsed, opt, value.map(os), args, &mut at)?;
                    break;
                }
            }
        } else {
            parsed.rest = Some(at - 1);
            break;
        }
    }
    for opt in table {
        if parsed.values.contains_key(opt.long) {
            continue;
        }
        let variable = opt.env.and_then(environment).filter(|value| !value.is_empty());
        let value = match variable {
            Some(value) => Some(checked(opt, value)?),
            None => opt.default.map(OsString::from),
        };
        parsed.values.extend(value.map(|value| (opt.long, vec![value])));
    }
    Ok(parsed)
}

/// Notes an option with the value that came with it, or the next argument.
fn take(
    parsed: &mut Parsed,
    opt: &'static Opt,
    value: Option<OsString>,
    args: &[OsString],
    at: &mut usize,
) -> Result<(), String> {
    let next = || {
        let next =
            args.get(*at).filter(|next| next.len() < 2 || !next.as_bytes().starts_with(b"-"));
        *at += usize::from(next.is_some());
        next.cloned()
    };
    let value = match (opt.takes, value) {
        (Takes::Nothing, Some(value)) => {
            return Err(format!(
                "unexpected value '{}' for '{}' found; no more were expected",
                value.display(),
                opt.shown()
            ));
        }
        (Takes::Nothing, None) => OsString::from("true"),
        (Takes::Perhaps(usual), value) => value.or_else(next).unwrap_or_else(|| usual.into()),
        (Takes::Value | Takes::Values, value) => value.or_else(next).unwrap_or_default(),
    };
    let value = checked(opt, value)?;
    let values = parsed.values.entry(opt.long).or_default();
    if !values.is_empty() && opt.takes != Takes::Values {
        return Err(format!("the argument '{}' cannot be used multiple times", opt.shown()));
    }
    values.push(value);
    Ok(())
}

/// A value that is allowed.
fn checked(opt: &Opt, value: OsString) -> Result<OsString, String> {
    let allowed = if opt.takes == Takes::Nothing { &["true", "false"] } else { opt.values };
    if value.is_empty() {
        return Err(format!("a value is required for '{}' but none was supplied", opt.shown()));
    }
    if !allowed.is_empty() && !allowed.iter().any(|allowed| value == *allowed) {
        return Err(format!(
            "invalid value '{}' for '{}'\n  [possible values: {}]",
            value.display(),
            opt.shown(),
            allowed.join(", ")
        ));
    }
    Ok(value)
}

/// The words that clients of conmonrs look for, to tell that an option is not
/// known.
fn unexpected(arg: &[u8]) -> String {
    format!("unexpected argument '{}' found", String::from_utf8_lossy(arg))
}

fn split_at_equals(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|byte| *byte == b'=') {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

/// The first letter of what may be several, in UTF-8 as far as it is that.
fn first_letter(text: &[u8]) -> &[u8] {
    let length = text.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    text.get(..length.map_or(1, char::len_utf8)).unwrap_or(text)
}

fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
