//! The methods of the pod server, and where each is done.

use wire::OwnedFd;

use super::containers::Client;
use super::hub::Hub;
use super::ledger::Ledger;
use super::service::{Call, Service};
use super::settings::Settings;
use super::types::*;
use super::{attach, containers, exec, fds, namespaces, stream, version};

/// The service that a worker offers on its connection.
#[derive(Debug)]
pub struct Methods {
    settings: Settings,
    hub: Hub,
    ledger: Ledger,
    /// A second descriptor of the connection.
    connection: OwnedFd,
}

impl Methods {
    /// With what the server was started with, and the way to the hub.
    pub fn new(settings: Settings, hub: Hub, connection: OwnedFd) -> Self {
        Methods { settings, hub, ledger: Ledger::default(), connection }
    }

    /// The way to the hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }
}

impl Service for Methods {
    fn version(&self, _: &Call, request: VersionRequest) -> Result<VersionResponse, String> {
        let hub = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        Ok(version::version(hub.unsigned_abs(), request.verbose))
    }

    fn create_container(
        &self,
        call: &Call,
        request: CreateContainerRequest,
    ) -> Result<CreateContainerResponse, String> {
        containers::create(
            &self.settings,
            &self.hub,
            &self.ledger,
            &Client { call, connection: &self.connection },
            &request,
        )
    }

    fn exec_sync_container(
        &self,
        call: &Call,
        request: ExecSyncContainerRequest,
    ) -> Result<ExecSyncContainerResponse, String> {
        exec::exec(&self.settings, &self.hub, call, &request)
    }

    fn attach_container(&self, _: &Call, request: AttachRequest) -> Result<AttachResponse, String> {
        attach::attach(&self.hub, &request).map(|()| AttachResponse {})
    }

    fn reopen_log_container(
        &self,
        _: &Call,
        request: ReopenLogRequest,
    ) -> Result<ReopenLogResponse, String> {
        attach::reopen_log(&self.hub, &request).map(|()| ReopenLogResponse {})
    }

    fn set_window_size_container(
        &self,
        _: &Call,
        request: SetWindowSizeRequest,
    ) -> Result<SetWindowSizeResponse, String> {
        attach::set_window_size(&self.hub, &request).map(|()| SetWindowSizeResponse {})
    }

    fn create_namespaces(
        &self,
        _: &Call,
        request: CreateNamespacesRequest,
    ) -> Result<CreateNamespacesResponse, String> {
        namespaces::create(&self.hub, &request)
    }

    fn start_fd_socket(
        &self,
        _: &Call,
        _: StartFdSocketRequest,
    ) -> Result<StartFdSocketResponse, String> {
        fds::start(&self.settings, &self.hub)
    }

    fn serve_exec_container(
        &self,
        _: &Call,
        request: ServeExecContainerRequest,
    ) -> Result<ServeExecContainerResponse, String> {
        let url = stream::offer::exec(&self.hub, &request)?;
        Ok(ServeExecContainerResponse { url })
    }

    fn serve_attach_container(
        &self,
        _: &Call,
        request: ServeAttachContainerRequest,
    ) -> Result<ServeAttachContainerResponse, String> {
        let url = stream::offer::attach(&self.hub, &request)?;
        Ok(ServeAttachContainerResponse { url })
    }

    fn serve_port_forward_container(
        &self,
        _: &Call,
        request: ServePortForwardContainerRequest,
    ) -> Result<ServePortForwardContainerResponse, String> {
        let url = stream::offer::port_forward(&self.hub, &request)?;
        Ok(ServePortForwardContainerResponse { url })
    }
}
