//! What an idle, detached container costs in memory, by three counts that must agree roughly.

use super::cgroup::Group;
use super::system::{System, share};
use super::{Args, Metric, Target};
use crate::report::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{Call, Container, Scratch, Session, under_test};

pub(crate) const METRICS: [Metric; 8] = [
    Metric { name: "idle container, whole system", unit: "kB", target: Target::AtMost(0.25) },
    Metric { name: "… of it slab", unit: "kB", target: Target::Open },
    Metric { name: "… of it page tables", unit: "kB", target: Target::Open },
    Metric { name: "idle container, control group", unit: "kB", target: Target::AtMost(0.25) },
    Metric { name: "… of it kernel", unit: "kB", target: Target::Open },
    Metric { name: "… of it memfds", unit: "kB", target: Target::Open },
    Metric { name: "idle container, PSS and page tables", unit: "kB", target: Target::Open },
    Metric { name: "idle container, processes", unit: "1", target: Target::Open },
];

/// Starts many containers that do nothing, and looks three ways: how much free memory has gone (less what the same
/// containers take without monitor), what the control group of the monitors is charged, what their processes map.
pub(crate) fn sample(args: &Args) -> Result<Vec<Option<f64>>> {
    let alone = without_monitor(args.containers)?;
    let scratch = Scratch::new().context("cannot prepare")?;
    // Two groups: one for the monitors, one for everything else.
    let groups = Group::new().zip(Group::new());
    let runtime = match &groups {
        Some((_, others)) => escaping_runtime(scratch.path(), &others.doors())?,
        None => under_test::small_runtime().context("cannot prepare")?,
    };
    let before = System::settled()?;
    let mut sessions = vec![];
    for _ in 0..args.containers {
        sessions
            .push(idle(&scratch, &runtime, groups.as_ref()).context("cannot start a container")?);
    }
    let after = System::settled()?;
    let each = |bytes: f64| Some(bytes / 1024.0 / args.containers as f64);
    let mut values = vec![
        each(before.free - after.free - alone.free),
        each(after.slab - before.slab - alone.slab),
        each(after.page_tables - before.page_tables - alone.page_tables),
    ];
    match &groups {
        Some((monitors, _)) => {
            let charged = monitors.charged()?;
            values.push(each(charged.anonymous + charged.kernel + charged.shared));
            values.extend([each(charged.kernel), each(charged.shared)]);
            let processes = monitors.processes();
            values.push(each(processes.iter().copied().map(share).sum()));
            values.push(Some(processes.len() as f64 / args.containers as f64));
        }
        None => values.resize(METRICS.len(), None),
    }
    // The processes have to be gone before the groups can go.
    drop((sessions, scratch));
    Ok(values)
}

fn idle(
    scratch: &Scratch,
    runtime: &Path,
    groups: Option<&(Group, Group)>,
) -> tests::Result<Session> {
    let call = Call::create(scratch, &sleeping())?.no_exit_command().set("-r", runtime);
    let me = std::process::id();
    let enter = |group: Option<&Group>| {
        group.map_or(Ok(()), |group| group.add(me)).map_err(tests::Error::new)
    };
    // The monitor is born in its group, so that all it ever allocates is charged there.
    enter(groups.map(|(monitors, _)| monitors))?;
    let session = call.spawn();
    enter(groups.map(|(_, others)| others))?;
    let mut session = session?;
    session.release()?;
    session.backgrounded()?;
    session.pid()?;
    session.start()?;
    Ok(session)
}

fn sleeping() -> Container {
    Container::new(["sleep", "infinity"])
}

/// How much less of everything there is with as many containers, and no monitor.
fn without_monitor(containers: usize) -> Result<System> {
    let scratch = Scratch::new().context("cannot prepare")?;
    let root = scratch.directory("runtime").context("cannot prepare")?;
    let runtime = under_test::small_runtime().context("cannot prepare")?;
    let before = System::settled()?;
    for number in 0..containers {
        let id = number.to_string();
        let bundle = scratch.directory(&id).context("cannot prepare")?;
        sleeping().write_config(&scratch, &bundle).context("cannot prepare")?;
        let create = [
            Path::new("create"),
            "--bundle".as_ref(),
            &bundle,
            "--pid-file".as_ref(),
            &bundle.join("pid"),
        ];
        run(Command::new(&runtime).args(create).arg(&id).env("SMALL_RUNTIME_ROOT", &root))?;
        run(Command::new(&runtime).args(["start", &id]).env("SMALL_RUNTIME_ROOT", &root))?;
    }
    let after = System::settled()?;
    Ok(System {
        free: before.free - after.free,
        slab: after.slab - before.slab,
        page_tables: after.page_tables - before.page_tables,
    })
}

fn run(command: &mut Command) -> Result<()> {
    use std::process::Stdio;
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("cannot run the small runtime")?;
    if status.success() { Ok(()) } else { Err(format!("the small runtime failed: {status}")) }
}

/// A runtime that first leaves the group it was started in, so that containers are not charged to the monitors.
pub(super) fn escaping_runtime(folder: &Path, doors: &[PathBuf]) -> Result<PathBuf> {
    let runtime = under_test::small_runtime().context("cannot prepare")?;
    let path = folder.join("runtime.sh");
    let moves: String =
        doors.iter().map(|door| format!("echo 0 > '{}'\n", door.display())).collect();
    let script = format!("#!/bin/sh\n{moves}exec '{}' \"$@\"\n", runtime.display());
    fs::write(&path, script)
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o755)))
        .context(format!("cannot write {}", path.display()))?;
    Ok(path)
}
