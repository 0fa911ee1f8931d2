//! What the RPC door calls: one method per RPC method.

use wire::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::types::*;

/// One call in flight, as the service sees it: whether anybody still waits.
///
/// The client goes when it closes the connection, and when it sends `Finish`
/// before our answer.
#[derive(Debug)]
pub struct Call {
    gone: OwnedFd,
}

impl Call {
    /// A call that somebody waits for.
    ///
    /// # Errors
    /// Those of eventfd(2): no descriptor left.
    pub fn new() -> rustix::io::Result<Call> {
        Ok(Call { gone: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Whether nobody waits for the answer any more; never goes back to false.
    pub fn gone(&self) -> bool {
        let mut watched = [PollFd::new(&self.gone, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// Becomes readable, and stays so, when nobody waits for the answer any
    /// more: for poll(2). Not to be read from.
    pub fn gone_fd(&self) -> BorrowedFd<'_> {
        self.gone.as_fd()
    }

    /// Says that nobody waits any more.
    pub fn cancel(&self) {
        // Fails only when the counter is at its end, and then it is readable.
        let _ = rustix::io::write(&self.gone, &1u64.to_ne_bytes());
    }
}

/// The methods of the pod server. Each is called on a thread of its own; an
/// `Err` goes to the client as a `failed` exception with that text, one line,
/// outer context first.
pub trait Service: Send + Sync {
    /// Answers who the server is.
    fn version(&self, call: &Call, request: VersionRequest) -> Result<VersionResponse, String>;

    /// Creates a container; it is not started.
    fn create_container(
        &self,
        call: &Call,
        request: CreateContainerRequest,
    ) -> Result<CreateContainerResponse, String>;

    /// Runs a command in a container, to its end.
    fn exec_sync_container(
        &self,
        call: &Call,
        request: ExecSyncContainerRequest,
    ) -> Result<ExecSyncContainerResponse, String>;

    /// Listens for attach clients.
    fn attach_container(
        &self,
        call: &Call,
        request: AttachRequest,
    ) -> Result<AttachResponse, String>;

    /// Opens a container's logs anew.
    fn reopen_log_container(
        &self,
        call: &Call,
        request: ReopenLogRequest,
    ) -> Result<ReopenLogResponse, String>;

    /// Sets the size of a container's terminal.
    fn set_window_size_container(
        &self,
        call: &Call,
        request: SetWindowSizeRequest,
    ) -> Result<SetWindowSizeResponse, String>;

    /// Makes the namespaces of the pod.
    fn create_namespaces(
        &self,
        call: &Call,
        request: CreateNamespacesRequest,
    ) -> Result<CreateNamespacesResponse, String>;

    /// Listens for descriptors.
    fn start_fd_socket(
        &self,
        call: &Call,
        request: StartFdSocketRequest,
    ) -> Result<StartFdSocketResponse, String>;

    /// Prepares a streaming exec.
    fn serve_exec_container(
        &self,
        call: &Call,
        request: ServeExecContainerRequest,
    ) -> Result<ServeExecContainerResponse, String>;

    /// Prepares a streaming attach.
    fn serve_attach_container(
        &self,
        call: &Call,
        request: ServeAttachContainerRequest,
    ) -> Result<ServeAttachContainerResponse, String>;

    /// Prepares a port-forward.
    fn serve_port_forward_container(
        &self,
        call: &Call,
        request: ServePortForwardContainerRequest,
    ) -> Result<ServePortForwardContainerResponse, String>;
}

/// How serving a connection ended.
#[derive(Debug)]
pub enum Served {
    /// Nothing came for a while, nothing is in flight, nothing half-read: the
    /// next bytes on it are the beginning of a message.
    Park(OwnedFd),
    /// The client is gone, or sent what no client sends.
    Closed,
}
