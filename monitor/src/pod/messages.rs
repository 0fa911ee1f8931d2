//! The messages of a worker, in the form that the hub and the roles use: on
//! standard error, each line with its priority in front (RFC 3164).

use std::io::Write;

use log::{Level, LevelFilter};

/// Shows messages of this level and above from now on.
pub fn init(level: LevelFilter) {
    let logger = env_logger::Builder::new()
        .filter_level(level)
        .format(|out, record| {
            // The words of a runtime may have lines, which are not to choose
            // their own priority.
            let priority = priority(record.level());
            let text = record.args().to_string();
            text.lines().try_for_each(|line| writeln!(out, "<{priority}>conmonrs: {line}"))
        })
        .build();
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

/// Facility user, and the severity.
fn priority(level: Level) -> u8 {
    8 + match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}
