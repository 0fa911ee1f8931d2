//! conmon's command line: from arguments to a [`Config`].
//!
//! [`glib`] finds options and their values, by the table in [`options`], whose
//! structure [`parse`] fills; [`validate`] checks it and makes the [`Config`].
//! [`manual`] makes the manual page's list of options from the same table.

pub mod glib;
pub mod integer;
pub mod journal;
pub mod log_file;
pub mod log_path;
pub mod manual;
pub mod notify;
pub mod options;
pub mod parse;
pub mod stop;
pub mod validate;

pub use options::Options;
pub use stop::Stop;

use std::ffi::OsStr;

use log::LevelFilter;

use super::config::Config;

/// Reads and checks the arguments after the program's name, and opens the log
/// file. The umask should be set before.
///
/// Own messages go where the options say from the moment the options make
/// enough sense to tell.
///
/// # Errors
/// What to tell the caller instead of going on; see [`Stop::report`].
pub fn read<A: AsRef<OsStr>>(args: &[A]) -> Result<Config, Stop> {
    let options = Options::parse(args)?;
    let identity = validate::identity(&options)?;
    let level = validate::log_level(&options);
    crate::log::init(
        level.as_ref().map_or(LevelFilter::Warn, |level| *level),
        options.syslog.then_some(identity),
    );
    let level = level.map_err(Stop::Refused)?;
    let warning = validate::warning(&options);
    let config = validate::config(options, level).map_err(Stop::Refused)?;
    if let Some(text) = warning {
        log::warn!("{text}");
    }
    Ok(config)
}
