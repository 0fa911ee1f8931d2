//! conmon's options: the one table that parsing, `--help` and the manual use.
//!
//! The table is the structure below: `argh` derives from it the help text, a
//! list of all rows, and the code that fills it (see [`super::parse`]). What a
//! value is called there also says what it is: `seconds` and `count` are 32-bit
//! numbers, `bytes` is a 64-bit number, all others are text of any bytes.

use std::ffi::OsString;
use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

use super::parse::{path, text};

/// monitor an OCI container, as conmon does
#[derive(ArgsInfo, Clone, Debug, FromArgs, PartialEq, Eq)]
#[argh(
    usage = "[OPTION...]",
    help_triggers("-h", "-?", "--help", "--help-all"),
    note = "Short options can be joined; a value is always the next argument.\nArguments that are not options are ignored."
)]
pub struct Options {
    /// answer on the sync pipe in the format of version 1 (a flag: its
    /// presence means 1)
    #[argh(switch)]
    pub api_version: bool,

    /// directory of the OCI bundle, also of attach socket and control FIFOs;
    /// the working directory unless with --exec
    #[argh(option, short = 'b', from_str_fn(path), arg_name = "directory")]
    pub bundle: Option<PathBuf>,

    /// container id (required)
    #[argh(option, short = 'c', from_str_fn(text), arg_name = "id")]
    pub cid: Option<OsString>,

    /// file for the process id of the monitor
    #[argh(option, short = 'P', from_str_fn(path), arg_name = "file")]
    pub conmon_pidfile: Option<PathBuf>,

    /// file in which the runtime leaves the container's process id; by default
    /// pidfile-CID in the working directory
    #[argh(option, short = 'p', from_str_fn(path), arg_name = "file")]
    pub container_pidfile: Option<PathBuf>,

    /// name of the container's link in the socket directory (required, but not
    /// with --exec without --api-version)
    #[argh(option, short = 'u', from_str_fn(text), arg_name = "name")]
    pub cuuid: Option<OsString>,

    /// start a further process in a running container
    #[argh(switch, short = 'e')]
    pub exec: bool,

    /// start the further process only when someone has attached to it
    #[argh(switch)]
    pub exec_attach: bool,

    /// JSON file that describes the further process (required with --exec)
    #[argh(option, from_str_fn(path), arg_name = "file")]
    pub exec_process_spec: Option<PathBuf>,

    /// program to run when all is over; PATH is not searched
    #[argh(option, from_str_fn(path), arg_name = "program")]
    pub exit_command: Option<PathBuf>,

    /// argument of the exit command; may be given many times
    #[argh(option, from_str_fn(text), arg_name = "argument")]
    pub exit_command_arg: Vec<OsString>,

    /// seconds to wait before the exit command
    #[argh(option, default = "0", arg_name = "seconds")]
    pub exit_delay: i32,

    /// directory for the file CID with the exit status
    #[argh(option, from_str_fn(path), arg_name = "directory")]
    pub exit_dir: Option<PathBuf>,

    /// put the attach socket straight into the bundle, without a link
    #[argh(switch)]
    pub full_attach: bool,

    /// keep the container's stdin open when an attached client leaves
    #[argh(switch)]
    pub leave_stdin_open: bool,

    /// error, warning (the default), info, debug or trace
    #[argh(option, from_str_fn(text), arg_name = "level")]
    pub log_level: Option<OsString>,

    /// where output goes: k8s-file:PATH, json-file:PATH, journald, passthrough,
    /// none or just PATH (required); may be given many times
    #[argh(option, short = 'l', from_str_fn(text), arg_name = "driver")]
    pub log_path: Vec<OsString>,

    /// bytes after which the log file is started anew; none below 1
    #[argh(option, default = "-1", arg_name = "bytes")]
    pub log_size_max: i64,

    /// bytes after which nothing more is logged to files; no limit below 1
    #[argh(option, default = "-1", arg_name = "bytes")]
    pub log_global_size_max: i64,

    /// tag for the journal, also shown in syslog
    #[argh(option, from_str_fn(text), arg_name = "tag")]
    pub log_tag: Option<OsString>,

    /// NAME=VALUE for the journal; may be given many times
    #[argh(option, from_str_fn(text), arg_name = "label")]
    pub log_label: Vec<OsString>,

    /// keep the old log file as a backup when a new one is started
    #[argh(switch)]
    pub log_rotate: bool,

    /// number of backups to keep; 1 by default
    #[argh(option, default = "1", arg_name = "count")]
    pub log_max_files: i32,

    /// directory in which, or below which, log files may be; may be given many
    /// times; anywhere without it
    #[argh(option, from_str_fn(path), arg_name = "directory")]
    pub log_allowlist_dir: Vec<PathBuf>,

    /// leave the mark for partial lines out of the journal
    #[argh(switch)]
    pub no_container_partial_message: bool,

    /// container name, for the journal
    #[argh(option, short = 'n', from_str_fn(text), arg_name = "name")]
    pub name: Option<OsString>,

    /// tell the runtime not to make a new session keyring
    #[argh(switch)]
    pub no_new_keyring: bool,

    /// tell the runtime not to use pivot_root
    #[argh(switch)]
    pub no_pivot: bool,

    /// don't sync the log to disk when the container has exited
    #[argh(switch)]
    pub no_sync_log: bool,

    /// directory for the files exit and oom
    #[argh(option, short = '0', from_str_fn(path), arg_name = "directory")]
    pub persist_dir: Option<PathBuf>,

    /// set LISTEN_PID to the process id of the runtime
    #[argh(switch)]
    pub replace_listen_pid: bool,

    /// restore the container from a checkpoint in this directory
    #[argh(option, from_str_fn(path), arg_name = "directory")]
    pub restore: Option<PathBuf>,

    /// the OCI runtime's executable (required)
    #[argh(option, short = 'r', from_str_fn(path), arg_name = "program")]
    pub runtime: Option<PathBuf>,

    /// argument for the runtime, before its sub-command; may be given many
    /// times
    #[argh(option, from_str_fn(text), arg_name = "argument")]
    pub runtime_arg: Vec<OsString>,

    /// option for the runtime's sub-command; may be given many times
    #[argh(option, from_str_fn(text), arg_name = "option")]
    pub runtime_opt: Vec<OsString>,

    /// notify socket of the host, to which the container's messages are passed
    #[argh(option, from_str_fn(path), arg_name = "socket")]
    pub sdnotify_socket: Option<PathBuf>,

    /// directory for links to attach sockets; by default /var/run/crio
    #[argh(option, from_str_fn(path), arg_name = "directory")]
    pub socket_dir_path: Option<PathBuf>,

    /// give the container an open stdin
    #[argh(switch, short = 'i')]
    pub stdin: bool,

    /// stay in the foreground
    #[argh(switch)]
    pub sync: bool,

    /// copy messages to syslog
    #[argh(switch)]
    pub syslog: bool,

    /// have the runtime manage cgroups through systemd
    #[argh(switch, short = 's')]
    pub systemd_cgroup: bool,

    /// give the container a terminal
    #[argh(switch, short = 't')]
    pub terminal: bool,

    /// seconds after which the container is killed; never below 1
    #[argh(option, short = 'T', default = "0", arg_name = "seconds")]
    pub timeout: i32,

    /// print the version
    #[argh(switch)]
    pub version: bool,
}

/// Old names that are still accepted, and the option each one is.
pub const ALIASES: &[(&str, &str)] =
    &[("pidfile", "container-pidfile"), ("restore-arg", "runtime-opt")];
