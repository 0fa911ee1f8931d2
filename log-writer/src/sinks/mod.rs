//! Where output is logged: one file each.

mod buffer;
mod entry;
mod journald;
#[cfg(test)]
mod journald_tests;
mod k8s_file;
#[cfg(test)]
mod k8s_file_tests;
mod trouble;

pub(crate) use buffer::Space;
pub(crate) use entry::Journal;
pub(crate) use journald::Entries;
pub(crate) use k8s_file::K8sFile;
