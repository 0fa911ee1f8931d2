//! The command line and environment of `conmonrs`, option by option: what
//! engines and their packages know.

mod help;
mod parse;
mod stop;
mod table;
#[cfg(test)]
mod tests;
mod validate;

pub use stop::Stop;
pub use validate::validate;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use log::LevelFilter;

use self::parse::{Environment, Parsed, parse};
use self::table::{PAUSE, SERVER};
use super::version;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Start a server; not validated yet.
    Serve(Options),
    /// Hold the namespaces of a pod.
    Pause(Pause),
}

/// What a server is started with. Paths are as given; blank means not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which messages of the server are shown.
    pub log_level: LevelFilter,
    /// Where they go.
    pub log_driver: LogDriver,
    /// The OCI runtime; not looked up in `$PATH`.
    pub runtime: PathBuf,
    /// Folder of the server: socket, pid file.
    pub runtime_dir: PathBuf,
    /// Where the runtime keeps its state; `None`: where it likes.
    pub runtime_root: Option<PathBuf>,
    /// Whether the server stays in the foreground, without a pid file.
    pub skip_fork: bool,
}

/// Where messages of the server go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDriver {
    /// Nowhere.
    None,
    /// To its standard output.
    Stdout,
    /// To the journal.
    Systemd,
}

/// What the process that holds a pod's namespaces is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Folder for the files that the namespaces are bound to.
    pub base_path: PathBuf,
    /// Id of the pod, names those files.
    pub pod_id: String,
    /// Whether to make an IPC namespace.
    pub ipc: bool,
    /// Whether to make a PID namespace.
    pub pid: bool,
    /// Whether to make a network namespace.
    pub net: bool,
    /// Whether to make a user namespace.
    pub user: bool,
    /// Whether to make a UTS namespace.
    pub uts: bool,
    /// Lines of uid_map (user_namespaces(7)).
    pub uid_mappings: Vec<String>,
    /// Lines of gid_map.
    pub gid_mappings: Vec<String>,
}

/// Reads the arguments after the program's name, and the environment.
///
/// # Errors
/// Help and version, which are asked for; or what is wrong.
pub fn read(args: &[OsString]) -> Result<Command, Stop> {
    read_with(args, &|name| std::env::var_os(name))
}

fn read_with(args: &[OsString], environment: Environment<'_>) -> Result<Command, Stop> {
    let parsed = parse(SERVER, args, environment).map_err(Stop::Usage)?;
    if parsed.flag("help") {
        return Err(Stop::Answer(help::server()));
    }
    let rest = parsed.rest.and_then(|at| args.get(at..)).unwrap_or_default();
    let pause = match rest.split_first() {
        None => None,
        Some((word, rest)) if word == "pause" => Some(pause(rest, environment)?),
        Some((word, rest)) if word == "help" => return Err(help_command(rest)),
        Some((word, _)) => return Err(unrecognized(word)),
    };
    let how_much = |name| parsed.value(name).map(|value| value == "full");
    if let Some(full) = how_much("version") {
        return Err(Stop::Answer(version::text(full)));
    }
    if let Some(full) = how_much("version-json") {
        return Err(Stop::Answer(version::json(full)));
    }
    Ok(match pause {
        Some(pause) => Command::Pause(pause),
        None => Command::Serve(options(&parsed)),
    })
}

fn help_command(rest: &[OsString]) -> Stop {
    match rest.first() {
        None => Stop::Answer(help::server()),
        Some(word) if word == "pause" => Stop::Answer(help::pause()),
        Some(word) if word == "help" => Stop::Answer(help::server()),
        Some(word) => unrecognized(word),
    }
}

fn unrecognized(word: &OsStr) -> Stop {
    Stop::Usage(format!("unrecognized subcommand '{}'", word.display()))
}

fn options(parsed: &Parsed) -> Options {
    let path = |name| PathBuf::from(parsed.value(name).unwrap_or_default());
    let text = |name| parsed.value(name).and_then(OsStr::to_str).unwrap_or_default();
    Options {
        // The table lets only these through, and has a default.
        log_level: text("log-level").parse().unwrap_or(LevelFilter::Info),
        log_driver: match text("log-driver") {
            "none" => LogDriver::None,
            "stdout" => LogDriver::Stdout,
            _ => LogDriver::Systemd,
        },
        runtime: path("runtime"),
        runtime_dir: path("runtime-dir"),
        runtime_root: parsed.value("runtime-root").map(PathBuf::from),
        skip_fork: parsed.flag("skip-fork"),
    }
}

/// Reads the arguments after `pause`, as a worker writes them.
///
/// # Errors
/// As [`read`].
pub fn read_pause(args: &[OsString]) -> Result<Pause, Stop> {
    pause(args, &|_| None)
}

fn pause(args: &[OsString], environment: Environment<'_>) -> Result<Pause, Stop> {
    let parsed = parse(PAUSE, args, environment).map_err(Stop::Usage)?;
    if parsed.flag("help") {
        return Err(Stop::Answer(help::pause()));
    }
    if let Some(arg) = parsed.rest.and_then(|at| args.get(at)) {
        return Err(Stop::Usage(format!("unexpected argument '{}' found", arg.display())));
    }
    let user = parsed.flag("user");
    let required = PAUSE.iter().filter(|opt| match opt.long {
        "pod-id" => true,
        "uid-mappings" | "gid-mappings" => user,
        _ => false,
    });
    let missing: Vec<String> = required
        .filter(|opt| parsed.value(opt.long).is_none())
        .map(|opt| format!("\n  {}", opt.shown()))
        .collect();
    if !missing.is_empty() {
        let missing = missing.concat();
        return Err(Stop::Usage(format!(
            "the following required arguments were not provided:{missing}"
        )));
    }
    let text = |value: &OsStr| {
        value.to_str().map(String::from).ok_or_else(|| {
            Stop::Usage(format!("invalid UTF-8 was detected in '{}'", value.display()))
        })
    };
    let texts = |name| -> Result<Vec<String>, Stop> {
        parsed.values(name).iter().map(|value| text(value)).collect()
    };
    Ok(Pause {
        base_path: parsed.value("base-path").unwrap_or_default().into(),
        pod_id: text(parsed.value("pod-id").unwrap_or_default())?,
        ipc: parsed.flag("ipc"),
        pid: parsed.flag("pid"),
        net: parsed.flag("net"),
        user,
        uts: parsed.flag("uts"),
        uid_mappings: texts("uid-mappings")?,
        gid_mappings: texts("gid-mappings")?,
    })
}
