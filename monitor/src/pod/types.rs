//! Requests and responses of the pod server's RPC methods, as plain values.
//!
//! Field by field what `monitor/schema/conmon.capnp` says; a field that a
//! client leaves out has the default of its type. Nothing here is checked
//! beyond its type: ids and paths are what the client sent.

/// Key and value pairs: trace context of a request (`metadata`), environment
/// variables. In the order sent; a key may repeat.
pub type Map = Vec<(String, String)>;

/// Who the server is; also a client's test whether it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionRequest {
    /// Whether [`VersionResponse::cargo_tree`] is wanted.
    pub verbose: bool,
    /// Trace context.
    pub metadata: Map,
}

/// Answer to [`VersionRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionResponse {
    /// Pid of the server: the process that the pid file names.
    pub process_id: u32,
    /// Strict semantic version, without `v`.
    pub version: String,
    /// Tag of the sources, or empty.
    pub tag: String,
    /// Commit of the sources.
    pub commit: String,
    /// When it was built, UTC, `2026-11-21 22:39:51`.
    pub build_date: String,
    /// Target triple.
    pub target: String,
    /// `rustc --version`.
    pub rust_version: String,
    /// `cargo --version`.
    pub cargo_version: String,
    /// The crates it is made of; empty unless asked for.
    pub cargo_tree: String,
}

/// How a container's control group is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupManager {
    /// By systemd: the runtime gets `--systemd-cgroup`.
    #[default]
    Systemd,
    /// By the runtime itself, below `/sys/fs/cgroup`.
    Cgroupfs,
}

/// Format of a container's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogDriverType {
    /// What the kubelet reads: time, stream, `F` or `P`, text.
    #[default]
    ContainerRuntimeInterface,
    /// One JSON object per line.
    Json,
    /// To the journal.
    Journald,
}

/// One log of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogDriver {
    /// Its format.
    pub kind: LogDriverType,
    /// Its file; not used by the journal.
    pub path: String,
    /// Bytes after which it is rotated; 0: never.
    pub max_size: u64,
}

/// Create a container: the runtime's `create`. Starting it is up to the
/// client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateContainerRequest {
    /// Id of the new container.
    pub id: String,
    /// Folder with its `config.json`.
    pub bundle_path: String,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// Whether it has a standard input.
    pub stdin: bool,
    /// Files that get the exit status.
    pub exit_paths: Vec<String>,
    /// Files that are made when it runs out of memory.
    pub oom_exit_paths: Vec<String>,
    /// Its logs, each gets everything.
    pub log_drivers: Vec<LogDriver>,
    /// Program and arguments to run after the exit; empty: none.
    pub cleanup_cmd: Vec<String>,
    /// Arguments for the runtime before `create`.
    pub global_args: Vec<String>,
    /// Arguments for the runtime after `create`.
    pub command_args: Vec<String>,
    /// Trace context.
    pub metadata: Map,
    /// Environment of the runtime, on top of the server's own.
    pub env_vars: Map,
    /// Who makes its control group.
    pub cgroup_manager: CgroupManager,
    /// Slots of the fd socket: descriptors for the runtime, 3 and up.
    pub additional_fds: Vec<u64>,
    /// Slots of the fd socket: descriptors to keep open until it ends.
    pub leak_fds: Vec<u64>,
}

/// Answer to [`CreateContainerRequest`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CreateContainerResponse {
    /// Pid of the container's first process.
    pub container_pid: u32,
}

/// Run a command in a container and wait for its end and output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSyncContainerRequest {
    /// Id of the container.
    pub id: String,
    /// Seconds until the command is killed; 0: never. Any value may come.
    pub timeout_sec: u64,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Trace context.
    pub metadata: Map,
    /// Environment of the runtime.
    pub env_vars: Map,
    /// As the container's.
    pub cgroup_manager: CgroupManager,
}

/// Answer to [`ExecSyncContainerRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSyncContainerResponse {
    /// Its exit status; 128 and the signal's number; -2: the runtime failed;
    /// -3: timed out.
    pub exit_code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error; empty with a terminal.
    pub stderr: Vec<u8>,
    /// Whether its time was up.
    pub timed_out: bool,
}

/// Listen for attach clients of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachRequest {
    /// Id of the container.
    pub id: String,
    /// Where to make the socket.
    pub socket_path: String,
    /// Not used for anything but messages.
    pub exec_session_id: String,
    /// Whether the container's input ends with that of a client.
    pub stop_after_stdin_eof: bool,
    /// Trace context.
    pub metadata: Map,
}

/// Answer to [`AttachRequest`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttachResponse {}

/// Open the logs of a container anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReopenLogRequest {
    /// Id of the container.
    pub id: String,
    /// Trace context.
    pub metadata: Map,
}

/// Answer to [`ReopenLogRequest`]: the logs are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReopenLogResponse {}

/// Set the size of a container's terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetWindowSizeRequest {
    /// Id of the container.
    pub id: String,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Trace context.
    pub metadata: Map,
}

/// Answer to [`SetWindowSizeRequest`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetWindowSizeResponse {}

/// A kind of namespace, see namespaces(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Namespace {
    /// System V IPC and message queues.
    #[default]
    Ipc,
    /// Network.
    Net,
    /// Process ids.
    Pid,
    /// User and group ids.
    User,
    /// Host name.
    Uts,
}

/// Make the namespaces of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateNamespacesRequest {
    /// Those to make; the others are the host's.
    pub namespaces: Vec<Namespace>,
    /// Lines for `uid_map`, see user_namespaces(7).
    pub uid_mappings: Vec<String>,
    /// Lines for `gid_map`.
    pub gid_mappings: Vec<String>,
    /// Folder for the files they are bound to.
    pub base_path: String,
    /// Id of the pod.
    pub pod_id: String,
    /// Trace context.
    pub metadata: Map,
}

/// Answer to [`CreateNamespacesRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateNamespacesResponse {
    /// All five kinds, always in this order:
    /// ipc, pid, net, user, uts.
    pub namespaces: Vec<NamespaceResponse>,
}

/// Where one namespace is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceResponse {
    /// Its kind.
    pub kind: Namespace,
    /// The file it is bound to.
    pub path: String,
}

/// Listen for descriptors that go with later requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartFdSocketRequest {
    /// Trace context.
    pub metadata: Map,
}

/// Answer to [`StartFdSocketRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartFdSocketResponse {
    /// Path of the socket.
    pub path: String,
}

/// Prepare a streaming exec.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeExecContainerRequest {
    /// Trace context.
    pub metadata: Map,
    /// Id of the container.
    pub id: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether it gets input.
    pub stdin: bool,
    /// Whether its output is wanted.
    pub stdout: bool,
    /// Whether its error output is wanted.
    pub stderr: bool,
    /// As the container's.
    pub cgroup_manager: CgroupManager,
}

/// Answer to [`ServeExecContainerRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeExecContainerResponse {
    /// Where to connect.
    pub url: String,
}

/// Prepare a streaming attach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeAttachContainerRequest {
    /// Trace context.
    pub metadata: Map,
    /// Id of the container.
    pub id: String,
    /// Whether input is sent.
    pub stdin: bool,
    /// Whether output is wanted.
    pub stdout: bool,
    /// Whether error output is wanted.
    pub stderr: bool,
}

/// Answer to [`ServeAttachContainerRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeAttachContainerResponse {
    /// Where to connect.
    pub url: String,
}

/// Prepare a port-forward.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServePortForwardContainerRequest {
    /// Trace context.
    pub metadata: Map,
    /// File of the network namespace to connect from.
    pub net_ns_path: String,
}

/// Answer to [`ServePortForwardContainerRequest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServePortForwardContainerResponse {
    /// Where to connect.
    pub url: String,
}
