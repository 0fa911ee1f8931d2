//! What conmon can and conmote can't yet. Asking for it is refused by name,
//! never ignored. An entry goes when its feature comes.

use super::options::Options;

/// Whether the command line really asks for the feature.
type Asked = fn(&Options) -> bool;

const NOT_BUILT: &[(&str, Asked)] = &[
    ("--log-rotate", |options| options.log_rotate),
    ("--log-allowlist-dir", |options| !options.log_allowlist_dir.is_empty()),
    ("--log-global-size-max", |options| options.log_global_size_max > 0),
];

/// Refuses what isn't built.
///
/// # Errors
/// One line that names the first such feature.
pub fn refuse(options: &Options) -> Result<(), String> {
    match NOT_BUILT.iter().find(|(_, asked)| asked(options)) {
        Some((name, _)) => Err(format!("{name} is not supported by conmote yet")),
        None => Ok(()),
    }
}
