//! The k8s-file log format, checked to the byte: `2026-08-01T12:00:00.123456789+02:00 stdout F text`.

use crate::error::{Error, Result};

/// The time stamp, a blank, the stream and a blank.
pub const PREFIX: usize = 43;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The time stamp as written.
    pub time: String,
    /// `stdout` or `stderr`.
    pub stream: String,
    /// The container had not ended the line (tag `P`).
    pub partial: bool,
    /// What the container wrote, without the newline.
    pub content: Vec<u8>,
}

/// Seconds, of a day at most, from one time to a later one; both begin like `2026-08-01T12:00:00` and are of one zone.
///
/// # Panics
/// One of them does not.
pub fn seconds_between(earlier: &str, later: &str) -> u32 {
    let seconds = |time: &str| {
        let part = |range: std::ops::Range<usize>| time.get(range).unwrap().parse::<u32>().unwrap();
        part(11..13) * 3600 + part(14..16) * 60 + part(17..19)
    };
    (seconds(later) + 86400 - seconds(earlier)) % 86400
}

/// All records of a log file.
///
/// # Errors
/// A line that isn't a record to the byte, or a last line without newline; it is quoted.
pub fn parse(log: &[u8]) -> Result<Vec<Record>> {
    let Some(body) = log.strip_suffix(b"\n") else {
        return if log.is_empty() { Ok(Vec::new()) } else { Err(wrong("unfinished", log)) };
    };
    body.split(|byte| *byte == b'\n').map(record).collect()
}

fn record(line: &[u8]) -> Result<Record> {
    let (prefix, rest) = line.split_at_checked(PREFIX).ok_or_else(|| wrong("short", line))?;
    let prefix = std::str::from_utf8(prefix).map_err(|_| wrong("wrong start of", line))?;
    let (time, stream) = prefix.split_once(' ').ok_or_else(|| wrong("wrong start of", line))?;
    let stream = stream.strip_suffix(' ').ok_or_else(|| wrong("wrong start of", line))?;
    if !is_time(time) || !["stdout", "stderr"].contains(&stream) {
        return Err(wrong("wrong start of", line));
    }
    let (partial, content) = match rest {
        [b'F', b' ', content @ ..] => (false, content),
        [b'P', b' ', content @ ..] => (true, content),
        _ => return Err(wrong("wrong tag in", line)),
    };
    Ok(Record {
        time: time.to_owned(),
        stream: stream.to_owned(),
        partial,
        content: content.to_vec(),
    })
}

fn is_time(time: &str) -> bool {
    let form = b"dddd-dd-ddTdd:dd:dd.dddddddddsdd:dd";
    let fits = |(byte, form): (u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b's' => byte == b'+' || byte == b'-',
        other => byte == *other,
    };
    time.len() == form.len() && time.bytes().zip(form).all(fits)
}

fn wrong(what: &str, line: &[u8]) -> Error {
    let start = line.get(..line.len().min(120)).unwrap_or_default();
    Error::new(format!("{what} log line: {:?}", String::from_utf8_lossy(start)))
}

/// What the container wrote to one stream, put together again from its records.
pub fn content(records: &[Record], stream: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for record in records.iter().filter(|record| record.stream == stream) {
        all.extend(&record.content);
        if !record.partial {
            all.push(b'\n');
        }
    }
    all
}

/// Each record as `stream tag text`, for comparing a whole log at once.
pub fn summary(records: &[Record]) -> Vec<String> {
    let one = |record: &Record| {
        let tag = if record.partial { 'P' } else { 'F' };
        format!("{} {tag} {}", record.stream, String::from_utf8_lossy(&record.content))
    };
    records.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-08-01T12:00:00.123456789+02:00";

    #[test]
    fn a_log_comes_back_as_the_container_wrote_it() -> Result {
        let log = format!(
            "{TIME} stdout P he\n{TIME} stderr F oops\n{TIME} stdout F llo\n{TIME} stdout F \n"
        );
        let records = parse(log.as_bytes())?;
        assert_eq!(content(&records, "stdout"), b"hello\n\n");
        assert_eq!(summary(&records)[1], "stderr F oops");
        Ok(())
    }

    #[test]
    fn anything_but_a_record_is_refused() {
        for line in [
            "x\n",
            "\n",
            &format!("{TIME} stdin F x\n"),
            &format!("{TIME} stdout F x"),
            &format!("{TIME}  stdout F\n"),
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
