//! Requests about containers.

use capnp::struct_list;

use super::*;
use crate::pod::types::*;

type Drivers = conmon::log_driver::Owned;

fn read_log_drivers(
    list: capnp::Result<struct_list::Reader<'_, Drivers>>,
) -> Result<Vec<LogDriver>, String> {
    let list = named("logDrivers", list)?;
    bounded("logDrivers", list.len())?;
    list.iter()
        .map(|driver| {
            Ok(LogDriver {
                kind: named("logDrivers: type", driver.get_type())?.into(),
                path: read_text("logDrivers: path", driver.get_path())?,
                max_size: driver.get_max_size(),
            })
        })
        .collect()
}

fn write_log_drivers(drivers: &[LogDriver], mut list: struct_list::Builder<'_, Drivers>) {
    for (index, driver) in (0..).zip(drivers) {
        let mut entry = list.reborrow().get(index);
        entry.set_type(driver.kind.into());
        entry.set_path(&driver.path);
        entry.set_max_size(driver.max_size);
    }
}

impl Message for CreateContainerRequest {
    type Schema = conmon::create_container_request::Owned;

    fn read(from: conmon::create_container_request::Reader<'_>) -> Result<Self, String> {
        Ok(CreateContainerRequest {
            id: read_text("id", from.get_id())?,
            bundle_path: read_text("bundlePath", from.get_bundle_path())?,
            terminal: from.get_terminal(),
            stdin: from.get_stdin(),
            exit_paths: read_texts("exitPaths", from.get_exit_paths())?,
            oom_exit_paths: read_texts("oomExitPaths", from.get_oom_exit_paths())?,
            log_drivers: read_log_drivers(from.get_log_drivers())?,
            cleanup_cmd: read_texts("cleanupCmd", from.get_cleanup_cmd())?,
            global_args: read_texts("globalArgs", from.get_global_args())?,
            command_args: read_texts("commandArgs", from.get_command_args())?,
            metadata: read_map("metadata", from.get_metadata())?,
            env_vars: read_map("envVars", from.get_env_vars())?,
            cgroup_manager: named("cgroupManager", from.get_cgroup_manager())?.into(),
            additional_fds: read_numbers("additionalFds", from.get_additional_fds())?,
            leak_fds: read_numbers("leakFds", from.get_leak_fds())?,
        })
    }

    fn write(&self, mut to: conmon::create_container_request::Builder<'_>) {
        to.set_id(&self.id);
        to.set_bundle_path(&self.bundle_path);
        to.set_terminal(self.terminal);
        to.set_stdin(self.stdin);
        write_texts(&self.exit_paths, to.reborrow().init_exit_paths(length(&self.exit_paths)));
        write_texts(
            &self.oom_exit_paths,
            to.reborrow().init_oom_exit_paths(length(&self.oom_exit_paths)),
        );
        write_log_drivers(
            &self.log_drivers,
            to.reborrow().init_log_drivers(length(&self.log_drivers)),
        );
        write_texts(&self.cleanup_cmd, to.reborrow().init_cleanup_cmd(length(&self.cleanup_cmd)));
        write_texts(&self.global_args, to.reborrow().init_global_args(length(&self.global_args)));
        write_texts(
            &self.command_args,
            to.reborrow().init_command_args(length(&self.command_args)),
        );
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
        write_map(&self.env_vars, to.reborrow().init_env_vars(length(&self.env_vars)));
        to.set_cgroup_manager(self.cgroup_manager.into());
        write_numbers(
            &self.additional_fds,
            to.reborrow().init_additional_fds(length(&self.additional_fds)),
        );
        write_numbers(&self.leak_fds, to.reborrow().init_leak_fds(length(&self.leak_fds)));
    }
}

impl Message for ExecSyncContainerRequest {
    type Schema = conmon::exec_sync_container_request::Owned;

    fn read(from: conmon::exec_sync_container_request::Reader<'_>) -> Result<Self, String> {
        Ok(ExecSyncContainerRequest {
            id: read_text("id", from.get_id())?,
            timeout_sec: from.get_timeout_sec(),
            command: read_texts("command", from.get_command())?,
            terminal: from.get_terminal(),
            metadata: read_map("metadata", from.get_metadata())?,
            env_vars: read_map("envVars", from.get_env_vars())?,
            cgroup_manager: named("cgroupManager", from.get_cgroup_manager())?.into(),
        })
    }

    fn write(&self, mut to: conmon::exec_sync_container_request::Builder<'_>) {
        to.set_id(&self.id);
        to.set_timeout_sec(self.timeout_sec);
        write_texts(&self.command, to.reborrow().init_command(length(&self.command)));
        to.set_terminal(self.terminal);
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
        write_map(&self.env_vars, to.reborrow().init_env_vars(length(&self.env_vars)));
        to.set_cgroup_manager(self.cgroup_manager.into());
    }
}

impl Message for AttachRequest {
    type Schema = conmon::attach_request::Owned;

    fn read(from: conmon::attach_request::Reader<'_>) -> Result<Self, String> {
        Ok(AttachRequest {
            id: read_text("id", from.get_id())?,
            socket_path: read_text("socketPath", from.get_socket_path())?,
            exec_session_id: read_text("execSessionId", from.get_exec_session_id())?,
            stop_after_stdin_eof: from.get_stop_after_stdin_eof(),
            metadata: read_map("metadata", from.get_metadata())?,
        })
    }

    fn write(&self, mut to: conmon::attach_request::Builder<'_>) {
        to.set_id(&self.id);
        to.set_socket_path(&self.socket_path);
        to.set_exec_session_id(&self.exec_session_id);
        to.set_stop_after_stdin_eof(self.stop_after_stdin_eof);
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
    }
}

impl Message for ReopenLogRequest {
    type Schema = conmon::reopen_log_request::Owned;

    fn read(from: conmon::reopen_log_request::Reader<'_>) -> Result<Self, String> {
        Ok(ReopenLogRequest {
            id: read_text("id", from.get_id())?,
            metadata: read_map("metadata", from.get_metadata())?,
        })
    }

    fn write(&self, mut to: conmon::reopen_log_request::Builder<'_>) {
        to.set_id(&self.id);
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
    }
}

impl Message for SetWindowSizeRequest {
    type Schema = conmon::set_window_size_request::Owned;

    fn read(from: conmon::set_window_size_request::Reader<'_>) -> Result<Self, String> {
        Ok(SetWindowSizeRequest {
            id: read_text("id", from.get_id())?,
            width: from.get_width(),
            height: from.get_height(),
            metadata: read_map("metadata", from.get_metadata())?,
        })
    }

    fn write(&self, mut to: conmon::set_window_size_request::Builder<'_>) {
        to.set_id(&self.id);
        to.set_width(self.width);
        to.set_height(self.height);
        write_map(&self.metadata, to.reborrow().init_metadata(length(&self.metadata)));
    }
}
