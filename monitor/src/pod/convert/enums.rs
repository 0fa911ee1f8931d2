//! Choices: each with the same names on both sides.

use super::conmon;
use crate::pod::types::{CgroupManager, LogDriverType, Namespace};

impl From<conmon::CgroupManager> for CgroupManager {
    fn from(manager: conmon::CgroupManager) -> CgroupManager {
        match manager {
            conmon::CgroupManager::Systemd => CgroupManager::Systemd,
            conmon::CgroupManager::Cgroupfs => CgroupManager::Cgroupfs,
        }
    }
}

impl From<CgroupManager> for conmon::CgroupManager {
    fn from(manager: CgroupManager) -> conmon::CgroupManager {
        match manager {
            CgroupManager::Systemd => conmon::CgroupManager::Systemd,
            CgroupManager::Cgroupfs => conmon::CgroupManager::Cgroupfs,
        }
    }
}

impl From<conmon::Namespace> for Namespace {
    fn from(kind: conmon::Namespace) -> Namespace {
        match kind {
            conmon::Namespace::Ipc => Namespace::Ipc,
            conmon::Namespace::Net => Namespace::Net,
            conmon::Namespace::Pid => Namespace::Pid,
            conmon::Namespace::User => Namespace::User,
            conmon::Namespace::Uts => Namespace::Uts,
        }
    }
}

impl From<Namespace> for conmon::Namespace {
    fn from(kind: Namespace) -> conmon::Namespace {
        match kind {
            Namespace::Ipc => conmon::Namespace::Ipc,
            Namespace::Net => conmon::Namespace::Net,
            Namespace::Pid => conmon::Namespace::Pid,
            Namespace::User => conmon::Namespace::User,
            Namespace::Uts => conmon::Namespace::Uts,
        }
    }
}

impl From<conmon::log_driver::Type> for LogDriverType {
    fn from(kind: conmon::log_driver::Type) -> LogDriverType {
        use conmon::log_driver::Type;
        match kind {
            Type::ContainerRuntimeInterface => LogDriverType::ContainerRuntimeInterface,
            Type::Json => LogDriverType::Json,
            Type::Journald => LogDriverType::Journald,
        }
    }
}

impl From<LogDriverType> for conmon::log_driver::Type {
    fn from(kind: LogDriverType) -> conmon::log_driver::Type {
        use conmon::log_driver::Type;
        match kind {
            LogDriverType::ContainerRuntimeInterface => Type::ContainerRuntimeInterface,
            LogDriverType::Json => Type::Json,
            LogDriverType::Journald => Type::Journald,
        }
    }
}
