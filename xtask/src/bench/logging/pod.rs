//! A container of a pod, whose server writes its log.

use super::super::cgroup::{Groups, born};
use super::super::memory::runtime;
use super::{Took, timed};
use crate::report::{Context, Result};
use ::tests::pod::Server;
use ::tests::{Container, Scratch};
use std::path::PathBuf;

/// Lets the container write all it has to; its log, the time, and the processor time of the server with all
/// its workers and roles.
pub(super) fn written(container: &Container, scratch: &Scratch) -> Result<(PathBuf, Took)> {
    let groups = Groups::new();
    let mut server = Server::new(scratch).context("cannot prepare")?;
    server.runtime = runtime(scratch, groups.as_ref())?;
    let pod = born(groups.as_ref(), || server.start()).context("no pod")?;
    let created = pod.create(container).context("cannot create the container")?;
    // With the server gone, nothing of its work is left out.
    let took = timed(groups.as_ref(), &created.exit, || created.start(), || pod.stop())?;
    Ok((created.log.clone(), took))
}
