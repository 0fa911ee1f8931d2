//! Requests about the pod, and for streams.

use super::*;
use crate::pod::types::*;

impl Message for VersionRequest {
    type Schema = conmon::version_request::Owned;

    fn read(from: conmon::version_request::Reader<'_>) -> Result<Self, String> {
        Ok(VersionRequest {
            verbose: from.get_verbose(),
            metadata: read_map("metadata", from.get_metadata())?,
        })
    }

    fn write(&self, mut to: conmon::version_request::Builder<'_>) {
        to.set_verbose(self.verbose);
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
    }
}

impl Message for CreateNamespacesRequest {
    type Schema = conmon::create_namespaces_request::Owned;

    fn read(from: conmon::create_namespaces_request::Reader<'_>) -> Result<Self, String> {
        Ok(CreateNamespacesRequest {
            namespaces: read_namespaces("namespaces", from.get_namespaces())?,
            uid_mappings: read_texts("uidMappings", from.get_uid_mappings())?,
            gid_mappings: read_texts("gidMappings", from.get_gid_mappings())?,
            base_path: read_text("basePath", from.get_base_path())?,
            pod_id: read_text("podId", from.get_pod_id())?,
            metadata: read_map("metadata", from.get_metadata())?,
        })
    }

    fn write(&self, mut to: conmon::create_namespaces_request::Builder<'_>) {
        write_namespaces(&self.namespaces, to.reborrow().init_namespaces(length(&self.namespaces)));
        write_texts(
            &self.uid_mappings,
            to.reborrow().init_uid_mappings(length(&self.uid_mappings)),
        );
        write_texts(
            &self.gid_mappings,
            to.reborrow().init_gid_mappings(length(&self.gid_mappings)),
        );
        to.set_base_path(&self.base_path);
        to.set_pod_id(&self.pod_id);
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
    }
}

impl Message for StartFdSocketRequest {
    type Schema = conmon::start_fd_socket_request::Owned;

    fn read(from: conmon::start_fd_socket_request::Reader<'_>) -> Result<Self, String> {
        Ok(StartFdSocketRequest { metadata: read_map("metadata", from.get_metadata())? })
    }

    fn write(&self, mut to: conmon::start_fd_socket_request::Builder<'_>) {
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
    }
}

impl Message for ServeExecContainerRequest {
    type Schema = conmon::serve_exec_container_request::Owned;

    fn read(from: conmon::serve_exec_container_request::Reader<'_>) -> Result<Self, String> {
        Ok(ServeExecContainerRequest {
            metadata: read_map("metadata", from.get_metadata())?,
            id: read_text("id", from.get_id())?,
            command: read_texts("command", from.get_command())?,
            tty: from.get_tty(),
            stdin: from.get_stdin(),
            stdout: from.get_stdout(),
            stderr: from.get_stderr(),
            cgroup_manager: named("cgroupManager", from.get_cgroup_manager())?.into(),
        })
    }

    fn write(&self, mut to: conmon::serve_exec_container_request::Builder<'_>) {
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
        to.set_id(&self.id);
        write_texts(&self.command, to.reborrow().init_command(length(&self.command)));
        to.set_tty(self.tty);
        to.set_stdin(self.stdin);
        to.set_stdout(self.stdout);
        to.set_stderr(self.stderr);
        to.set_cgroup_manager(self.cgroup_manager.into());
    }
}

impl Message for ServeAttachContainerRequest {
    type Schema = conmon::serve_attach_container_request::Owned;

    fn read(from: conmon::serve_attach_container_request::Reader<'_>) -> Result<Self, String> {
        Ok(ServeAttachContainerRequest {
            metadata: read_map("metadata", from.get_metadata())?,
            id: read_text("id", from.get_id())?,
            stdin: from.get_stdin(),
            stdout: from.get_stdout(),
            stderr: from.get_stderr(),
        })
    }

    fn write(&self, mut to: conmon::serve_attach_container_request::Builder<'_>) {
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
        to.set_id(&self.id);
        to.set_stdin(self.stdin);
        to.set_stdout(self.stdout);
        to.set_stderr(self.stderr);
    }
}

impl Message for ServePortForwardContainerRequest {
    type Schema = conmon::serve_port_forward_container_request::Owned;

    fn read(
        from: conmon::serve_port_forward_container_request::Reader<'_>,
    ) -> Result<Self, String> {
        Ok(ServePortForwardContainerRequest {
            metadata: read_map("metadata", from.get_metadata())?,
            net_ns_path: read_text("netNsPath", from.get_net_ns_path())?,
        })
    }

    fn write(&self, mut to: conmon::serve_port_forward_container_request::Builder<'_>) {
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
        to.set_net_ns_path(&self.net_ns_path);
    }
}
