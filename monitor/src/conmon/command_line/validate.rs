//! The checks on a command line, in conmon's order and words: callers and test
//! suites match on them.

use std::ffi::{CString, OsString};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;
use rustix::fs::Access;

use super::log_path::{self, LogDriver};
use super::options::Options;
use super::stop::Stop;
use super::{journal, log_file, notify};
use crate::conmon::config::{ApiVersion, Config, ExitCommand, LogConfig, Mode, Runtime};
use crate::conmon::strerror::strerror;

/// The version of conmon that this program stands in for. Podman and CRI-O
/// read it to learn what they may ask for, and podman looks for another conmon
/// when it doesn't like the answer.
const CONMON_VERSION: &str = "2.2.1";

/// Where links to attach sockets go when the caller doesn't say.
const DEFAULT_SOCKET_DIR: &str = "/var/run/crio";

/// The checks that come before logging is set up. Returns the name that
/// messages in syslog carry: container id and, if any, tag.
///
/// # Errors
/// The answer to `--version`, or what is missing.
pub fn identity(options: &Options) -> Result<String, Stop> {
    if options.version {
        let commit = concat!("conmote ", env!("CARGO_PKG_VERSION"));
        return Err(Stop::Answer(format!("conmon version {CONMON_VERSION}\ncommit: {commit}")));
    }
    let files = options.log_max_files;
    if files < 0 {
        return Err(Stop::Usage(format!("log-max-files must be non-negative, got {files}")));
    }
    if options.log_rotate && files == 0 {
        return Err(Stop::Usage(format!(
            "log-max-files must be at least 1 when log-rotate is enabled, got {files}"
        )));
    }
    let Some(cid) = &options.cid else {
        return Err(Stop::Usage("Container ID not provided. Use --cid".to_owned()));
    };
    let cid = cid.to_string_lossy();
    Ok(match &options.log_tag {
        Some(tag) => format!("{cid}: {}", tag.to_string_lossy()),
        None => cid.into_owned(),
    })
}

/// The level from which own messages are shown.
///
/// # Errors
/// There is no such level.
pub fn log_level(options: &Options) -> Result<LevelFilter, String> {
    let Some(name) = &options.log_level else {
        return Ok(LevelFilter::Warn);
    };
    let name = name.to_string_lossy();
    match name.to_ascii_lowercase().as_str() {
        "error" | "fatal" | "panic" => Ok(LevelFilter::Error),
        "warn" | "warning" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => Err(format!("No such log level {name}")),
    }
}

/// All other checks. Opens the log file as the last thing that can fail but
/// for options that don't fit a log file.
///
/// # Errors
/// One line, in conmon's words where it has any.
pub fn config(options: Options, log_level: LevelFilter) -> Result<Config, String> {
    let api_version = if options.api_version { ApiVersion::V1 } else { ApiVersion::V0 };
    check_mode(&options, api_version)?;
    let runtime = options.runtime.as_deref().ok_or("Runtime path not provided. Use --runtime")?;
    check_executable(runtime)?;
    let mode = mode(&options)?;
    let cwd = std::env::current_dir().map_err(|_| "Failed to get working directory")?;
    let delay = u64::try_from(options.exit_delay)
        .map_err(|_| "Delay before invoking exit command must be greater than or equal to 0")?;
    let sdnotify_socket = notify::socket(&options)?;
    let log = log_config(&options)?;

    let is_exec = matches!(mode, Mode::Exec { .. });
    let cid = options.cid.unwrap_or_default();
    Ok(Config {
        api_version,
        cuuid: options.cuuid,
        bundle: options.bundle.or_else(|| (!is_exec).then(|| cwd.clone())),
        conmon_pid_file: options.conmon_pidfile,
        container_pid_file: options
            .container_pidfile
            .unwrap_or_else(|| default_pid_file(&cwd, &cid)),
        exit_dir: options.exit_dir,
        persist_dir: options.persist_dir,
        exit_command: options.exit_command.map(|program| ExitCommand {
            program,
            args: options.exit_command_arg,
            delay: Duration::from_secs(delay),
        }),
        runtime: Runtime {
            path: runtime.to_owned(),
            args: options.runtime_arg,
            opts: options.runtime_opt,
            systemd_cgroup: options.systemd_cgroup,
            no_pivot: options.no_pivot,
            no_new_keyring: options.no_new_keyring,
        },
        log,
        socket_dir: options.socket_dir_path.unwrap_or_else(|| DEFAULT_SOCKET_DIR.into()),
        full_attach: options.full_attach,
        stdin: options.stdin,
        leave_stdin_open: options.leave_stdin_open,
        terminal: options.terminal,
        timeout: u64::try_from(options.timeout)
            .ok()
            .filter(|&seconds| seconds > 0)
            .map(Duration::from_secs),
        sync: options.sync,
        sdnotify_socket,
        replace_listen_pid: options.replace_listen_pid,
        syslog: options.syslog,
        log_level,
        cid,
        mode,
    })
}

/// What to tell the caller about a command line that passes.
pub fn warning(options: &Options) -> Option<&'static str> {
    let drivers = log_path::parse_all(&options.log_path).unwrap_or_default();
    (options.no_container_partial_message && !drivers.contains(&LogDriver::Journald))
        .then_some("--no-container-partial-message has no effect without journald log driver")
}

fn check_mode(options: &Options, api_version: ApiVersion) -> Result<(), &'static str> {
    if options.restore.is_some() && options.exec {
        return Err("Cannot use 'exec' and 'restore' at the same time");
    }
    if options.exec_attach && !options.exec {
        return Err("Attach can only be specified with exec");
    }
    if options.exec_attach && api_version == ApiVersion::V0 {
        return Err("Attach can only be specified for a non-legacy exec session");
    }
    if options.cuuid.is_none() && !(options.exec && api_version == ApiVersion::V0) {
        return Err("Container UUID not provided. Use --cuuid");
    }
    Ok(())
}

/// Asks `access(2)`, which a searchable directory passes as well; the runtime's
/// start would tell.
fn check_executable(path: &Path) -> Result<(), String> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(io::Error::from)
        .and_then(|path| {
            rustix::fs::access(path.as_c_str(), Access::EXEC_OK)
                .map_err(|errno| io::Error::from_raw_os_error(errno.raw_os_error()))
        })
        .map_err(|error| {
            format!("Runtime path {} is not valid {}", path.display(), strerror(&error))
        })
}

fn mode(options: &Options) -> Result<Mode, &'static str> {
    if options.exec {
        let process_spec = options.exec_process_spec.clone();
        let process_spec =
            process_spec.ok_or("Exec process spec path not provided. Use --exec-process-spec")?;
        return Ok(Mode::Exec { process_spec, attach: options.exec_attach });
    }
    Ok(match options.restore.clone() {
        Some(image) => Mode::Restore { image },
        None => Mode::Create,
    })
}

fn log_config(options: &Options) -> Result<LogConfig, String> {
    let drivers = log_path::parse_all(&options.log_path)?;
    let limit = |bytes: i64| u64::try_from(bytes).ok().and_then(NonZeroU64::new);
    let mut log = LogConfig {
        k8s_file: None,
        json_file: None,
        journal: None,
        passthrough: drivers.contains(&LogDriver::Passthrough),
        size_max: limit(options.log_size_max),
        global_size_max: limit(options.log_global_size_max),
        backups: limit(options.log_max_files.into()).filter(|_| options.log_rotate),
        allowed: log_file::allowed(&options.log_allowlist_dir),
        sync: !options.no_sync_log,
    };
    let to_journal = drivers.contains(&LogDriver::Journald);
    for driver in drivers {
        let place = match driver {
            LogDriver::K8sFile { .. } => &mut log.k8s_file,
            LogDriver::JsonFile { .. } => &mut log.json_file,
            _ => continue,
        };
        if let LogDriver::K8sFile { path } | LogDriver::JsonFile { path } = driver {
            *place = Some(log_file::open(&path, log.allowed.as_deref())?);
        }
    }
    if let (Some(k8s), Some(json)) = (&log.k8s_file, &log.json_file) {
        log_file::check_distinct(k8s, json)?;
    }
    for (name, file) in [("k8s-file", &log.k8s_file), ("json-file", &log.json_file)] {
        let alone = file.is_some() && !to_journal;
        if alone && options.log_tag.is_some() {
            return Err(format!("{name} doesn't support --log-tag"));
        }
        if alone && !options.log_label.is_empty() {
            return Err(format!("{name} doesn't support --log-label"));
        }
    }
    if to_journal {
        log.journal = Some(journal::config(options)?);
    }
    Ok(log)
}

fn default_pid_file(cwd: &Path, cid: &OsString) -> PathBuf {
    let mut path = cwd.as_os_str().as_bytes().to_vec();
    path.extend_from_slice(b"/pidfile-");
    path.extend_from_slice(cid.as_bytes());
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
#[allow(clippy::expect_used)]
#[path = "validate_tests.rs"]
mod tests;
