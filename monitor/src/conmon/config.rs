//! What a checked command line asks for.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use wire::OwnedFd;

/// A command line that makes sense, with its log file open.
#[derive(Debug)]
pub struct Config {
    /// What to start.
    pub mode: Mode,
    /// Form of the answers on the sync pipe.
    pub api_version: ApiVersion,
    /// Container id; may be empty.
    pub cid: OsString,
    /// Name of the link in `socket_dir`; always there except for exec with
    /// API 0.
    pub cuuid: Option<OsString>,
    /// Directory of bundle, attach socket and FIFOs. None only for exec, and
    /// then there is no attach socket and no FIFO.
    pub bundle: Option<PathBuf>,
    /// File for the monitor's own process id.
    pub conmon_pid_file: Option<PathBuf>,
    /// File in which the runtime leaves the container's process id.
    pub container_pid_file: PathBuf,
    /// Directory for the file `<cid>` with the exit status.
    pub exit_dir: Option<PathBuf>,
    /// Directory for the files `exit` and `oom`.
    pub persist_dir: Option<PathBuf>,
    /// What to run at the very end.
    pub exit_command: Option<ExitCommand>,
    /// The OCI runtime and how to call it.
    pub runtime: Runtime,
    /// Where output goes.
    pub log: LogConfig,
    /// Directory for the link to the attach socket; unused with `full_attach`.
    pub socket_dir: PathBuf,
    /// The attach socket is in the bundle and has no link.
    pub full_attach: bool,
    /// The container gets a stdin pipe.
    pub stdin: bool,
    /// Stdin survives the attached clients.
    pub leave_stdin_open: bool,
    /// The container has a terminal.
    pub terminal: bool,
    /// Kill the container after this time, counted from its start.
    pub timeout: Option<Duration>,
    /// Stay in the foreground; no pid file of our own is written then.
    pub sync: bool,
    /// Host socket to which the container's notifications are passed, as
    /// `NOTIFY_SOCKET` names it (sd_notify(3)); only with a bundle.
    pub sdnotify_socket: Option<PathBuf>,
    /// Set `LISTEN_PID` to the runtime's process id whatever it was.
    pub replace_listen_pid: bool,
    /// Own messages go to syslog as well.
    pub syslog: bool,
    /// Own messages below this are not shown.
    pub log_level: LevelFilter,
}

/// What the runtime is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A new container.
    Create,
    /// A container from a checkpoint.
    Restore {
        /// Directory of the checkpoint.
        image: PathBuf,
    },
    /// A further process in a running container.
    Exec {
        /// JSON file that describes it.
        process_spec: PathBuf,
        /// Wait until someone is attached before it starts.
        attach: bool,
    },
}

/// Version of the sync pipe's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiVersion {
    /// Without `--api-version`.
    V0,
    /// With it.
    V1,
}

/// The program that is run when the container is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitCommand {
    /// Its path; `PATH` is not searched.
    pub program: PathBuf,
    /// Its arguments after the program's name; empty ones count.
    pub args: Vec<OsString>,
    /// Time to wait before it runs.
    pub delay: Duration,
}

/// The OCI runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// Its executable.
    pub path: PathBuf,
    /// Arguments before the sub-command.
    pub args: Vec<OsString>,
    /// Options of the sub-command, after our own.
    pub opts: Vec<OsString>,
    /// Pass `--systemd-cgroup` (create and restore).
    pub systemd_cgroup: bool,
    /// Pass `--no-pivot` (create and restore).
    pub no_pivot: bool,
    /// Pass `--no-new-keyring` (create and restore).
    pub no_new_keyring: bool,
}

/// Where output goes. Nothing set means it is dropped.
#[derive(Debug)]
pub struct LogConfig {
    /// The log file in the format Kubernetes reads, open.
    pub k8s_file: Option<LogFile>,
    /// The log file as Docker writes it, open.
    pub json_file: Option<LogFile>,
    /// Goes to the systemd journal, too.
    pub journal: Option<JournalConfig>,
    /// Container and runtime have our own stdin, stdout and stderr.
    pub passthrough: bool,
    /// Start the file anew before it grows beyond this many bytes.
    pub size_max: Option<NonZeroU64>,
    /// Stop logging to files for good after this many bytes.
    pub global_size_max: Option<NonZeroU64>,
    /// How many old files to keep when one is started anew; none: its content
    /// goes.
    pub backups: Option<NonZeroU64>,
    /// Log files may be in these directories and below them, nowhere else;
    /// absolute, without symbolic links. None: anywhere.
    pub allowed: Option<Vec<PathBuf>>,
    /// Sync the file to disk when the container has exited.
    pub sync: bool,
}

impl LogConfig {
    /// The log files, in the order in which their descriptors are handed over.
    pub fn files(&self) -> impl Iterator<Item = &LogFile> {
        [&self.k8s_file, &self.json_file].into_iter().flatten()
    }
}

/// The container's entries in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// The fields that are the same in all of them, in the form of systemd's
    /// native journal protocol.
    pub fields: Vec<u8>,
    /// Parts of lines are marked as such.
    pub marks: bool,
}

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// Opened for appending, closed on exec.
    pub fd: OwnedFd,
}
