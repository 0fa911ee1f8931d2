//! One-line messages of the roles, written to standard error.
//!
//! `monitor` points standard error of the hub, and so of the roles, at
//! `/dev/null` or, with `--syslog`, at the system log's datagram socket; for a
//! pod at the journal, or at its own standard output. One write is one message, and the `<N>` in front (RFC 3164 priority, facility
//! user) is what the system log sorts by.

use core::fmt::Write;

/// How much a message matters; the number is its RFC 3164 priority.
#[derive(Clone, Copy, Debug)]
pub enum Level {
    /// Something failed and stays so.
    Error = 11,
    /// Something failed and was worked around.
    Warning = 12,
}

/// Longest message in bytes; the rest is cut off.
const MAX: usize = 240;

/// Writes one message of one line. Never fails, never blocks for long.
pub fn write(level: Level, program: &str, text: core::fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; MAX], len: 0 };
    let _ = writeln!(line, "<{}>{program}: {text}", level as u8);
    let text = line.bytes.get(..line.len).unwrap_or(&[]);
    let _ = rustix::io::write(crate::sys::stderr(), text);
}

/// Writes one message of one line as it is, without priority and name: for a
/// child that has not become another program yet. Makes one system call, and
/// nothing else.
pub fn plain(text: core::fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; MAX], len: 0 };
    let _ = writeln!(line, "{text}");
    let text = line.bytes.get(..line.len).unwrap_or(&[]);
    let _ = rustix::io::write(crate::sys::stderr(), text);
}

struct Line {
    bytes: [u8; MAX],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(text.bytes()) {
            *to = from;
            self.len += 1;
        }
        Ok(())
    }
}

/// Reports an error: `error!("log-writer", "cannot write {path}: {errno}")`.
#[macro_export]
macro_rules! error {
    ($program:expr, $($text:tt)*) => {
        $crate::report::write($crate::report::Level::Error, $program, format_args!($($text)*))
    };
}

/// Reports a warning, as [`error!`] does an error.
#[macro_export]
macro_rules! warning {
    ($program:expr, $($text:tt)*) => {
        $crate::report::write($crate::report::Level::Warning, $program, format_args!($($text)*))
    };
}
