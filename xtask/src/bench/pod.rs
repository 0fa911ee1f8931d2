//! How long a pod server takes: to have a container created, and to end.

use super::Args;
use super::latency::{kill, runtime_alone};
use super::measure::{Metric, Side, Target};
use super::rounds::bare;
use super::stats::median;
use crate::report::{Context, Result};
use std::time::{Duration, Instant};
use tests::pod::{Pod, PodContainer, Server};
use tests::{Container, Error, Scratch, wait};

/// How long a connection is quiet before it is parked, where that is waited for, in ms.
const PARK_MS: u32 = 30;

/// Containers that a server has when it is told to end.
const CONTAINERS: usize = 50;

pub(crate) fn create_metrics(parked: bool) -> Vec<Metric> {
    if parked {
        let name = "createContainer on a parked connection, beside the runtime";
        return vec![
            Metric::new("pod-create-parked", name, "ms"),
            Metric::new("pod-create-parked-whole", "… with the runtime", "ms"),
        ];
    }
    let added = Metric::new("pod-create", "createContainer, beside the runtime", "ms");
    vec![
        added.target(Target::Below(1.4)).headline(),
        Metric::new("pod-create-whole", "… with the runtime", "ms"),
    ]
}

/// What a call of createContainer takes more than the least runtime alone, in turns; on a connection that is in use, or
/// each time on one that has been parked.
pub(crate) fn create(args: &Args, parked: bool) -> Result<Vec<Option<f64>>> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let bare = bare()?;
    let pod = started(&scratch, &bare, parked).context("no pod")?;
    let (mut calls, mut alone) = (vec![], vec![]);
    // The first call finds everything cold.
    for repetition in 0..=args.repetitions {
        let [call, runtime] = create_once(&scratch, &pod, &bare, parked)
            .context("a repetition failed")?
            .map(|took| took.as_secs_f64() * 1e3);
        if repetition > 0 {
            calls.push(call);
            alone.push(runtime);
        }
    }
    let (call, alone) = (median(calls), median(alone));
    Ok(vec![Some(call - alone), Some(call)])
}

/// The times of a call, and of the runtime alone.
fn create_once(
    scratch: &Scratch,
    pod: &Pod<'_>,
    bare: &str,
    parked: bool,
) -> tests::Result<[Duration; 2]> {
    let (alone, pid) = runtime_alone(scratch, bare)?;
    kill(pid)?;
    let container = pod.prepare(&Container::new(["-"]))?;
    if parked {
        at_rest(scratch, 1)?;
    }
    let began = Instant::now();
    let created = pod.client.create_container(&container.request);
    let took = began.elapsed();
    kill(created.map_err(|error| Error::new(error.to_string()))?.container_pid as i32)?;
    killed(&container)?;
    Ok([took, alone])
}

pub(crate) fn end_metrics(_: &Args) -> Vec<Metric> {
    let name = format!("SIGINT with {CONTAINERS} containers → server gone");
    vec![Metric::new("pod-end", name, "ms").target(Target::Below(80.0)).headline()]
}

/// From the signal to the end of the server, which has killed its containers and recorded their ends.
pub(crate) fn end(_: &Args, _: Side) -> Result<Vec<Option<f64>>> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let pod = started(&scratch, &bare()?, false).context("no pod")?;
    let containers: tests::Result<Vec<PodContainer>> =
        (0..CONTAINERS).map(|_| pod.create(&Container::new(["-"]))).collect();
    let containers = containers.context("cannot create a container")?;
    let began = Instant::now();
    pod.stop().context("the server does not end")?;
    let took = began.elapsed();
    containers.iter().try_for_each(killed).context("a container's end is not recorded")?;
    Ok(vec![Some(took.as_secs_f64() * 1e3)])
}

/// A server over the least runtime.
fn started<'a>(scratch: &'a Scratch, bare: &str, parked: bool) -> tests::Result<Pod<'a>> {
    let mut server = Server::new(scratch)?;
    server.runtime = bare.into();
    if parked { parking_soon(server).start() } else { server.start() }
}

/// A server that parks a quiet connection sooner than others do; conmonrs has no worker and takes no notice.
pub(super) fn parking_soon(server: Server<'_>) -> Server<'_> {
    server.env("CONMOTE_PARK_MS", PARK_MS)
}

/// Waits until the container's exit file is there and says that it was killed.
fn killed(container: &PodContainer) -> tests::Result {
    match container.exit()?.as_str() {
        "137" => Ok(()),
        other => Err(Error::new(format!("{} holds {other:?}", container.exit.display()))),
    }
}

/// Waits until so many servers have one process each: their connections are parked, and their workers gone.
pub(super) fn at_rest(scratch: &Scratch, servers: usize) -> tests::Result {
    wait::until("the servers to be alone", || {
        Ok((scratch.monitors().len() <= servers).then_some(()))
    })
}
