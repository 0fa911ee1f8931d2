//! What conmon can and conmote can't yet. Asking for it is refused by name,
//! never ignored. An entry goes when its feature comes.

use super::log_path::LogDriver;
use super::options::Options;

/// Whether the command line really asks for the feature.
type Asked = fn(&Options, &[LogDriver]) -> bool;

const NOT_BUILT: &[(&str, Asked)] = &[
    ("--restore", |options, _| options.restore.is_some()),
    ("--sdnotify-socket", |options, _| options.sdnotify_socket.is_some()),
    ("--log-rotate", |options, _| options.log_rotate),
    ("--log-allowlist-dir", |options, _| !options.log_allowlist_dir.is_empty()),
    ("--log-global-size-max", |options, _| options.log_global_size_max > 0),
    ("log driver journald", |_, drivers| drivers.contains(&LogDriver::Journald)),
];

/// Refuses what isn't built.
///
/// # Errors
/// One line that names the first such feature.
pub fn refuse(options: &Options, drivers: &[LogDriver]) -> Result<(), String> {
    match NOT_BUILT.iter().find(|(_, asked)| asked(options, drivers)) {
        Some((name, _)) => Err(format!("{name} is not supported by conmote yet")),
        None => Ok(()),
    }
}
