//! The options of `conmonrs`, as tables: the parser and the help text read them.

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// Nothing: it is there or not.
    Nothing,
    /// A value.
    Value,
    /// A value, each time it is given.
    Values,
    /// A value, or nothing, which means this one.
    Perhaps(&'static str),
}

/// One option.
#[derive(Debug)]
pub(super) struct Opt {
    /// Its name, without `--`.
    pub(super) long: &'static str,
    /// Another name, without `--`.
    pub(super) alias: Option<&'static str>,
    /// Its letter.
    pub(super) short: Option<char>,
    /// The variable that stands in for it.
    pub(super) env: Option<&'static str>,
    /// What it takes.
    pub(super) takes: Takes,
    /// All values that are allowed; empty: any.
    pub(super) values: &'static [&'static str],
    /// The value when neither option nor variable is there.
    pub(super) default: Option<&'static str>,
    /// One line for `--help`.
    pub(super) help: &'static str,
}

impl Opt {
    /// `<LOG_LEVEL>`.
    fn placeholder(&self) -> String {
        format!("<{}>", self.long.to_uppercase().replace('-', "_"))
    }

    /// As messages name it: `--log-level <LOG_LEVEL>`.
    pub(super) fn shown(&self) -> String {
        match self.takes {
            Takes::Nothing => format!("--{}", self.long),
            Takes::Value | Takes::Values => format!("--{} {}", self.long, self.placeholder()),
            Takes::Perhaps(_) => format!("--{} [{}]", self.long, self.placeholder()),
        }
    }
}

/// What most options have in common.
const PLAIN: Opt = Opt {
    long: "",
    alias: None,
    short: None,
    env: None,
    takes: Takes::Value,
    values: &[],
    default: None,
    help: "",
};

const HELP: Opt =
    Opt { long: "help", short: Some('h'), takes: Takes::Nothing, help: "print this help", ..PLAIN };

const HOW_MUCH: &[&str] = &["default", "full"];

/// Options of the server.
pub(super) const SERVER: &[Opt] = &[
    Opt {
        long: "version",
        short: Some('v'),
        env: Some("CONMON_VERSION"),
        takes: Takes::Perhaps("default"),
        values: HOW_MUCH,
        help: "print the version, and what this was built from and with",
        ..PLAIN
    },
    Opt {
        long: "version-json",
        alias: Some("vj"),
        short: Some('j'),
        env: Some("CONMON_VERSION_JSON"),
        takes: Takes::Perhaps("default"),
        values: HOW_MUCH,
        help: "the same, as JSON",
        ..PLAIN
    },
    Opt {
        long: "log-level",
        short: Some('l'),
        env: Some("CONMON_LOG_LEVEL"),
        values: &["trace", "debug", "info", "warn", "error", "off"],
        default: Some("info"),
        help: "which messages of the server are shown",
        ..PLAIN
    },
    Opt {
        long: "log-driver",
        short: Some('d'),
        env: Some("CONMON_LOG_DRIVER"),
        values: &["none", "stdout", "systemd"],
        default: Some("systemd"),
        help: "where messages of the server go",
        ..PLAIN
    },
    Opt {
        long: "runtime",
        short: Some('r'),
        env: Some("CONMON_RUNTIME"),
        help: "path of the OCI runtime",
        ..PLAIN
    },
    Opt {
        long: "runtime-dir",
        env: Some("CONMON_RUNTIME_DIR"),
        help: "folder for the socket and other files of the server",
        ..PLAIN
    },
    Opt {
        long: "runtime-root",
        env: Some("CONMON_RUNTIME_ROOT"),
        help: "folder in which the OCI runtime keeps its state",
        ..PLAIN
    },
    Opt {
        long: "skip-fork",
        env: Some("CONMON_SKIP_FORK"),
        takes: Takes::Nothing,
        help: "stay in the foreground",
        ..PLAIN
    },
    Opt {
        long: "enable-tracing",
        short: Some('e'),
        env: Some("CONMON_ENABLE_TRACING"),
        takes: Takes::Nothing,
        help: "accepted, without effect: there is no tracing",
        ..PLAIN
    },
    Opt {
        long: "tracing-endpoint",
        short: Some('t'),
        env: Some("CONMON_TRACING_ENDPOINT"),
        default: Some("http://127.0.0.1:4317"),
        help: "accepted, without effect",
        ..PLAIN
    },
    HELP,
];

/// Options of `pause`.
pub(super) const PAUSE: &[Opt] = &[
    Opt {
        long: "base-path",
        short: Some('p'),
        env: Some("CONMON_PAUSE_BASE_PATH"),
        default: Some("/var/run"),
        help: "folder for the files that the namespaces are bound to",
        ..PLAIN
    },
    Opt { long: "pod-id", env: Some("CONMON_PAUSE_POD_ID"), help: "id of the pod", ..PLAIN },
    Opt { long: "ipc", takes: Takes::Nothing, help: "make an IPC namespace", ..PLAIN },
    Opt { long: "pid", takes: Takes::Nothing, help: "make a PID namespace", ..PLAIN },
    Opt { long: "net", takes: Takes::Nothing, help: "make a network namespace", ..PLAIN },
    Opt { long: "user", takes: Takes::Nothing, help: "make a user namespace", ..PLAIN },
    Opt { long: "uts", takes: Takes::Nothing, help: "make a UTS namespace", ..PLAIN },
    Opt {
        long: "uid-mappings",
        short: Some('u'),
        takes: Takes::Values,
        help: "a line of uid_map, with --user",
        ..PLAIN
    },
    Opt {
        long: "gid-mappings",
        short: Some('g'),
        takes: Takes::Values,
        help: "a line of gid_map, with --user",
        ..PLAIN
    },
    HELP,
];
