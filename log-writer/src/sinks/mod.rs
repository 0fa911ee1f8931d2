//! Where output is logged: one file each.

mod buffer;
mod entry;
mod files;
mod journald;
#[cfg(test)]
mod journald_tests;
mod json_file;
#[cfg(test)]
mod json_file_tests;
mod k8s_file;
#[cfg(test)]
mod k8s_file_tests;
mod log_file;
#[cfg(test)]
mod memory_log;
mod trouble;

pub(crate) use buffer::Space;
pub(crate) use entry::Journal;
pub(crate) use files::{Files, Piece};
pub(crate) use journald::Entries;
pub(crate) use log_file::Form;
