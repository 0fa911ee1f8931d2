//! The programs at work, so that it can be seen which of their pages are in memory.

use super::resident::Resident;
use crate::bench::small_runtime;
use crate::bench::system::private_dirty_kb;
use crate::elf::Elf;
use crate::report::{Context, Result, root, table};
use ::tests::{Call, Container, Scratch, Session, wait};
use std::path::PathBuf;

/// kB of private dirty memory of the process that stays with an idle container: `enough`, or less, as soon as it comes
/// to rest with that; what it has after some seconds otherwise.
pub(super) fn idle_hub_dirty_kb(enough: u64) -> Result<u64> {
    small_runtime()?;
    let scratch = Scratch::new().context("cannot prepare a container")?;
    let container = Container::new(["sleep", "infinity"]);
    let _session = started(&scratch, &container).context("cannot start an idle container")?;
    let hub = scratch.idle().context("cannot find the idle hub")?;
    let dirty = || private_dirty_kb(hub.pid as u32);
    let small = wait::until("it to rest", || Ok(dirty().filter(|kb| *kb <= enough)));
    small.ok().or_else(dirty).context("cannot read the memory of the idle hub")
}

/// The pages of an idle hub; then of a hub and its roles while output comes and a client is attached. As a text, to be
/// shown when the containers are gone: whoever reads it may end us.
pub(super) fn show(programs: &[(String, PathBuf)], symbols: usize) -> Result<String> {
    let mut text = String::new();
    let scratch = Scratch::new().context("cannot prepare a container")?;
    let _idle = started(&scratch, &Container::new(["sleep", "infinity"]))
        .context("cannot start an idle container")?;
    let hub = scratch.idle().context("cannot find the idle hub")?.pid;
    text += &one(programs, "exit-reaper", "idle", hub, symbols)?;
    let busy = Container::sh("while echo hello; do sleep 0.1; done").stdin();
    let session = started(&scratch, &busy).context("cannot start a busy container")?;
    let mut client = session.attach().context("cannot attach")?;
    client.send(b"hello\n").and_then(|()| client.expect("hello\n")).context("not attached")?;
    let roles = wait::until("both roles at work", || {
        let hub = session.monitor()?;
        let mut roles = scratch.monitors();
        roles.retain(|process| process.parent == hub);
        let there = |name: &str| roles.iter().any(|role| role.name == name);
        Ok((there("log-writer") && there("attach-proxy")).then_some(roles))
    });
    let roles = roles.context("cannot find the roles")?;
    let hub = session.monitor().context("cannot find the hub")?;
    text += &one(programs, "exit-reaper", "with both roles at work", hub, symbols)?;
    for role in roles {
        text += &one(programs, &role.name, "at work", role.pid, symbols)?;
    }
    Ok(text)
}

fn started(scratch: &Scratch, container: &Container) -> ::tests::Result<Session> {
    let call = Call::create(scratch, container)?.no_exit_command();
    call.program(&root().join("dist/monitor")).running()
}

/// The pages of one process.
fn one(
    programs: &[(String, PathBuf)],
    name: &str,
    state: &str,
    pid: i32,
    symbols: usize,
) -> Result<String> {
    let found = programs.iter().find(|(program, _)| program == name);
    let (_, with_symbols) = found.context(format!("{name} is no program of ours"))?;
    let elf = Elf::read(with_symbols)?;
    if !same_layout(&elf, &Elf::read(&root().join("dist").join(name))?) {
        return Err(format!("{name} differs with and without symbols; its pages have no names"));
    }
    let resident = Resident::of(pid as u32).context(format!("cannot look at {name}"))?;
    let (all, own) = resident.kilobytes();
    let head = format!("\n{name}, {state}: {all} kB in memory, {own} kB its own\n");
    if all == 0 {
        return Ok(head + "(without root the kernel does not show pages)\n");
    }
    let (sections, pages) = (resident.by_section(&elf), resident.own_pages(&elf, symbols));
    let between = "pages of its own, with what is in them in bytes:\n";
    Ok(head + &table(&sections) + between + &table(&pages))
}

/// Symbols say something about a program only if that is the same program.
fn same_layout(one: &Elf, other: &Elf) -> bool {
    let layout = |elf: &Elf| {
        let loaded = elf.sections.iter().filter(|section| section.address > 0);
        loaded.map(|section| (section.address, section.size)).collect::<Vec<_>>()
    };
    layout(one) == layout(other)
}
