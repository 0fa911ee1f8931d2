//! The json-file log format, checked to the byte: `{"log":"text\n","stream":"stdout","time":"2026-08-01T12:00:00.5Z"}`.

use serde_json::Value;

use crate::error::{Context, Error, Result};
use crate::k8s_log::Record;

/// What stands before the content.
pub const HEAD: &[u8] = b"{\"log\":\"";

/// Most bytes from the end of the content to the end of the line.
pub const END: usize = 61;

/// All objects of a log file, as records: one whose content does not end with a newline is partial.
///
/// # Errors
/// A line that isn't such an object to the byte, or a last line without newline; it is quoted.
pub fn parse(log: &[u8]) -> Result<Vec<Record>> {
    let text = std::str::from_utf8(log).context("the log")?;
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(wrong("unfinished", text));
    }
    text.lines().map(record).collect()
}

fn record(line: &str) -> Result<Record> {
    let object: Value = serde_json::from_str(line).context(format_args!("log line {line:?}"))?;
    let field = |name: &str| object[name].as_str().ok_or_else(|| wrong("incomplete", line));
    let (text, stream, time) = (field("log")?, field("stream")?, field("time")?);
    // This order and nothing else.
    let end = format!("\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}");
    let in_form = line.as_bytes().starts_with(HEAD) && line.ends_with(&end);
    let known = ["stdout", "stderr"].contains(&stream) && is_time(time) && !text.is_empty();
    if !in_form || !known {
        return Err(wrong("wrong", line));
    }
    let content = text.strip_suffix('\n');
    Ok(Record {
        time: time.to_owned(),
        stream: stream.to_owned(),
        partial: content.is_none(),
        content: content.unwrap_or(text).as_bytes().to_vec(),
    })
}

/// Whether it is RFC 3339 in UTC, without zeros at the end of a fraction.
fn is_time(time: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:dd";
    let Some((second, fraction)) = time.split_at_checked(form.len()) else {
        return false;
    };
    let fits =
        |(byte, form): (u8, &u8)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form };
    let digits = fraction.strip_suffix('Z').map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    let fraction_fits = digits.is_some_and(|digits| {
        let point = fraction.starts_with('.');
        let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        only_digits && digits.len() <= 9 && !digits.ends_with('0') && point != digits.is_empty()
    });
    second.bytes().zip(form).all(fits) && fraction_fits
}

fn wrong(what: &str, line: &str) -> Error {
    let start: String = line.chars().take(120).collect();
    Error::new(format!("{what} log line: {start:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_a_record() -> Result {
        let log = concat!(
            r#"{"log":"a\u003c\n","stream":"stdout","time":"2026-08-01T12:00:00.5Z"}"#,
            "\n",
            r#"{"log":"b","stream":"stderr","time":"2026-08-01T12:00:00Z"}"#,
            "\n",
        );
        let records = parse(log.as_bytes())?;
        assert_eq!(crate::k8s_log::summary(&records), ["stdout F a<", "stderr P b"]);
        Ok(())
    }

    #[test]
    fn anything_else_is_refused() {
        for line in [
            "{}\n",
            r#"{"log":"a","stream":"stdout","time":"2026-08-01T12:00:00Z"}"#,
            "{\"stream\":\"stdout\",\"log\":\"a\",\"time\":\"2026-08-01T12:00:00Z\"}\n",
            "{\"log\":\"a\",\"stream\":\"stdin\",\"time\":\"2026-08-01T12:00:00Z\"}\n",
            "{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"2026-08-01T12:00:00.50Z\"}\n",
            "{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"2026-08-01T12:00:00+00:00\"}\n",
            "{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"2026-08-01T12:00:00.Z\"}\n",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
