//! Responses: written by the server, read by clients.

use capnp::struct_list;

use super::*;
use crate::pod::types::*;

type Where = conmon::namespace_response::Owned;

fn read_where(
    list: capnp::Result<struct_list::Reader<'_, Where>>,
) -> Result<Vec<NamespaceResponse>, String> {
    let list = named("namespaces", list)?;
    bounded("namespaces", list.len())?;
    list.iter()
        .map(|entry| {
            Ok(NamespaceResponse {
                kind: named("namespaces: type", entry.get_type())?.into(),
                path: read_text("namespaces: path", entry.get_path())?,
            })
        })
        .collect()
}

fn write_where(namespaces: &[NamespaceResponse], mut list: struct_list::Builder<'_, Where>) {
    for (index, namespace) in (0..).zip(namespaces) {
        let mut entry = list.reborrow().get(index);
        entry.set_type(namespace.kind.into());
        entry.set_path(&namespace.path);
    }
}

impl Message for VersionResponse {
    type Schema = conmon::version_response::Owned;

    fn read(from: conmon::version_response::Reader<'_>) -> Result<Self, String> {
        Ok(VersionResponse {
            process_id: from.get_process_id(),
            version: read_text("version", from.get_version())?,
            tag: read_text("tag", from.get_tag())?,
            commit: read_text("commit", from.get_commit())?,
            build_date: read_text("buildDate", from.get_build_date())?,
            target: read_text("target", from.get_target())?,
            rust_version: read_text("rustVersion", from.get_rust_version())?,
            cargo_version: read_text("cargoVersion", from.get_cargo_version())?,
            cargo_tree: read_text("cargoTree", from.get_cargo_tree())?,
        })
    }

    fn write(&self, mut to: conmon::version_response::Builder<'_>) {
        to.set_process_id(self.process_id);
        to.set_version(&self.version);
        to.set_tag(&self.tag);
        to.set_commit(&self.commit);
        to.set_build_date(&self.build_date);
        to.set_target(&self.target);
        to.set_rust_version(&self.rust_version);
        to.set_cargo_version(&self.cargo_version);
        to.set_cargo_tree(&self.cargo_tree);
    }
}

impl Message for CreateContainerResponse {
    type Schema = conmon::create_container_response::Owned;

    fn read(from: conmon::create_container_response::Reader<'_>) -> Result<Self, String> {
        Ok(CreateContainerResponse { container_pid: from.get_container_pid() })
    }

    fn write(&self, mut to: conmon::create_container_response::Builder<'_>) {
        to.set_container_pid(self.container_pid);
    }
}

impl Message for ExecSyncContainerResponse {
    type Schema = conmon::exec_sync_container_response::Owned;

    fn read(from: conmon::exec_sync_container_response::Reader<'_>) -> Result<Self, String> {
        Ok(ExecSyncContainerResponse {
            exit_code: from.get_exit_code(),
            stdout: named("stdout", from.get_stdout())?.to_vec(),
            stderr: named("stderr", from.get_stderr())?.to_vec(),
            timed_out: from.get_timed_out(),
        })
    }

    fn write(&self, mut to: conmon::exec_sync_container_response::Builder<'_>) {
        to.set_exit_code(self.exit_code);
        to.set_stdout(&self.stdout);
        to.set_stderr(&self.stderr);
        to.set_timed_out(self.timed_out);
    }
}

impl Message for AttachResponse {
    type Schema = conmon::attach_response::Owned;

    fn read(_from: conmon::attach_response::Reader<'_>) -> Result<Self, String> {
        Ok(AttachResponse {})
    }

    fn write(&self, _to: conmon::attach_response::Builder<'_>) {}
}

impl Message for ReopenLogResponse {
    type Schema = conmon::reopen_log_response::Owned;

    fn read(_from: conmon::reopen_log_response::Reader<'_>) -> Result<Self, String> {
        Ok(ReopenLogResponse {})
    }

    fn write(&self, _to: conmon::reopen_log_response::Builder<'_>) {}
}

impl Message for SetWindowSizeResponse {
    type Schema = conmon::set_window_size_response::Owned;

    fn read(_from: conmon::set_window_size_response::Reader<'_>) -> Result<Self, String> {
        Ok(SetWindowSizeResponse {})
    }

    fn write(&self, _to: conmon::set_window_size_response::Builder<'_>) {}
}

impl Message for CreateNamespacesResponse {
    type Schema = conmon::create_namespaces_response::Owned;

    fn read(from: conmon::create_namespaces_response::Reader<'_>) -> Result<Self, String> {
        Ok(CreateNamespacesResponse { namespaces: read_where(from.get_namespaces())? })
    }

    fn write(&self, mut to: conmon::create_namespaces_response::Builder<'_>) {
        write_where(&self.namespaces, to.reborrow().init_namespaces(length(&self.namespaces)));
    }
}

impl Message for StartFdSocketResponse {
    type Schema = conmon::start_fd_socket_response::Owned;

    fn read(from: conmon::start_fd_socket_response::Reader<'_>) -> Result<Self, String> {
        Ok(StartFdSocketResponse { path: read_text("path", from.get_path())? })
    }

    fn write(&self, mut to: conmon::start_fd_socket_response::Builder<'_>) {
        to.set_path(&self.path);
    }
}

impl Message for ServeExecContainerResponse {
    type Schema = conmon::serve_exec_container_response::Owned;

    fn read(from: conmon::serve_exec_container_response::Reader<'_>) -> Result<Self, String> {
        Ok(ServeExecContainerResponse { url: read_text("url", from.get_url())? })
    }

    fn write(&self, mut to: conmon::serve_exec_container_response::Builder<'_>) {
        to.set_url(&self.url);
    }
}

impl Message for ServeAttachContainerResponse {
    type Schema = conmon::serve_attach_container_response::Owned;

    fn read(from: conmon::serve_attach_container_response::Reader<'_>) -> Result<Self, String> {
        Ok(ServeAttachContainerResponse { url: read_text("url", from.get_url())? })
    }

    fn write(&self, mut to: conmon::serve_attach_container_response::Builder<'_>) {
        to.set_url(&self.url);
    }
}

impl Message for ServePortForwardContainerResponse {
    type Schema = conmon::serve_port_forward_container_response::Owned;

    fn read(
        from: conmon::serve_port_forward_container_response::Reader<'_>,
    ) -> Result<Self, String> {
        Ok(ServePortForwardContainerResponse { url: read_text("url", from.get_url())? })
    }

    fn write(&self, mut to: conmon::serve_port_forward_container_response::Builder<'_>) {
        to.set_url(&self.url);
    }
}
