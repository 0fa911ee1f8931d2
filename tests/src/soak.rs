//! A long time in the life of containers: what stays must not grow, and what ends must leave nothing behind.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use crate::container::Container;
use crate::error::{Context, Error, Result};
use crate::load::Kind;
use crate::verify::{self, Expected};
use crate::{Call, Client, Scratch, Session, sys, under_test, wait};

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Exec sessions in one container, one after the other.
    pub execs: u64,
    /// Clients of one container, one after the other, each with a line that goes in and out.
    pub attaches: u64,
    /// Megabytes of log that one container writes.
    pub megabytes: u64,
    /// Containers, one after the other.
    pub containers: u64,
}

impl Amounts {
    /// All of it.
    pub const FULL: Amounts =
        Amounts { execs: 10_000, attaches: 10_000, megabytes: 1000, containers: 1000 };

    /// This share of everything, at least one of each.
    pub fn share(self, share: f64) -> Amounts {
        let part = |amount: u64| ((amount as f64 * share) as u64).max(1);
        Amounts {
            execs: part(self.execs),
            attaches: part(self.attaches),
            megabytes: part(self.megabytes),
            containers: part(self.containers),
        }
    }
}

/// Does all of it, and tells `said` about each part that went well.
///
/// # Errors
/// The first thing that has grown or was left behind, or that failed.
pub fn soak(amounts: Amounts, mut said: impl FnMut(&str)) -> Result {
    said(&format!("{} exec sessions: {}", amounts.execs, execs(amounts.execs)?));
    said(&format!("{} attached clients: {}", amounts.attaches, attaches(amounts.attaches)?));
    said(&format!("{} MB of log: {}", amounts.megabytes, log(amounts.megabytes)?));
    containers(amounts.containers)?;
    said(&format!("{} containers: nothing left behind", amounts.containers));
    Ok(())
}

/// The most private dirty memory, in kB, that an idle hub may have at any time.
const BUDGET_KB: u64 = 16;

/// What an idle hub has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hub {
    private_dirty_kb: u64,
    fds: usize,
}

impl Hub {
    fn look(scratch: &Scratch) -> Result<Hub> {
        let hub = scratch.idle()?;
        let kb = hub.private_dirty_kb().ok_or_else(|| Error::new("the hub is gone"))?;
        Ok(Hub { private_dirty_kb: kb, fds: hub.fds().len() })
    }

    /// What it was and what it is now, if it has not grown. A page of stack comes and goes.
    fn then(self, now: Hub) -> Result<String> {
        if now.private_dirty_kb > self.private_dirty_kb.max(BUDGET_KB) || now.fds > self.fds {
            return Err(Error::new(format!("the hub has grown: {self}; then {now}")));
        }
        Ok(format!("before {self}; after {now}"))
    }
}

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kB, {} descriptors", self.private_dirty_kb, self.fds)
    }
}

/// Does something many times; the hub must be after it as it was after the first few times.
fn again_and_again(
    scratch: &Scratch,
    times: u64,
    mut once: impl FnMut() -> Result,
) -> Result<String> {
    /// What is only needed once has been needed by then.
    const FIRST: u64 = 3;
    let mut before = Hub::look(scratch)?;
    for number in 0..times + FIRST {
        if number == FIRST {
            before = Hub::look(scratch)?;
        }
        once().context(format_args!("number {number}"))?;
    }
    before.then(Hub::look(scratch)?)
}

fn execs(times: u64) -> Result<String> {
    let (scratch, bare) = (Scratch::new()?, under_test::bare()?);
    let temporary = scratch.directory("tmp")?;
    let over_bare = |call: Call| call.set("-r", &bare).without("--runtime-arg").no_exit_command();
    let call = Call::create(&scratch, &Container::new(["-"]))?;
    let container = over_bare(call).created()?;
    let mut left_by_first = None;
    again_and_again(&scratch, times, || {
        let call = Call::exec(&scratch, &container, &Container::new(["-"]))?;
        let mut session = over_bare(call).env("TMPDIR", &temporary).spawn()?;
        session.release()?;
        session.attach_message()?;
        let mut client = Client::connect(&session.paths.bundle)?;
        session.release()?;
        session.backgrounded()?;
        session.pid()?;
        client.expect("hi")?;
        client.read_to_end()?;
        let status = session.message()?.map(|message| message.value);
        session.monitor_gone()?;
        if status != Some(0) {
            return Err(Error::new(format!("an exec session ended with {status:?}")));
        }
        nothing_new(&session, &temporary, &mut left_by_first)
    })
}

fn attaches(times: u64) -> Result<String> {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::new(["cat"]).stdin())?;
    let session = call.flag("--leave-stdin-open").running()?;
    let files = names(&session.paths.bundle)?;
    let mut number = 0;
    let grown = again_and_again(&scratch, times, || {
        number += 1;
        let line = format!("line {number}\n");
        let mut client = Client::connect(&session.paths.bundle)?;
        client.send(line.as_bytes())?;
        client.expect(line)
    })?;
    if names(&session.paths.bundle)? != files {
        return Err(Error::new("there are other files in the bundle now"));
    }
    Ok(grown)
}

fn log(megabytes: u64) -> Result<String> {
    let scratch = Scratch::new()?;
    let marks = scratch.directory("marks")?;
    let blocks = (megabytes * 1_000_000 / Kind::Lines.block() as u64).max(1);
    let [bare, done, go] = [under_test::bare()?, marks.join("done"), marks.join("go")]
        .map(|path| path.display().to_string());
    sys::make_fifo(Path::new(&go)).context("a FIFO to start by")?;
    let kind = Kind::Lines.name();
    let script = format!("'{bare}' write {kind} {blocks}; : > '{done}'; exec sleep infinity");
    let script = format!("read word < '{go}'; {script}");
    let session = Call::create(&scratch, &Container::sh(script))?.running()?;
    let before = Hub::look(&scratch)?;
    fs::write(&go, "go\n").context("cannot start the output")?;
    let end = sys::watch_directory(&marks).context("cannot watch a directory")?;
    // Some megabytes a second are what the slowest machine manages.
    let deadline = wait::deadline() + std::time::Duration::from_secs(megabytes);
    while !Path::new(&done).exists() {
        if !sys::readable(&end, deadline).context("inotify")? {
            return Err(Error::new("the container cannot get rid of its output"));
        }
        while sys::read(&end, &mut [0; 4096]).is_ok() {}
    }
    let grown = before.then(Hub::look(&scratch)?)?;
    let file = File::open(&session.paths.log).context("cannot open the log")?;
    verify::k8s_file(BufReader::new(file), Expected::new(Kind::Lines, blocks))
        .context("the log")?;
    Ok(grown)
}

fn containers(times: u64) -> Result {
    let (scratch, bare) = (Scratch::new()?, under_test::bare()?);
    let temporary = scratch.directory("tmp")?;
    let mut left_by_first = None;
    for number in 0..=times {
        let call = Call::create(&scratch, &Container::new(["-"]))?.set("-r", &bare);
        let call = call.without("--runtime-arg").no_exit_command().env("TMPDIR", &temporary);
        let mut session = call.spawn()?;
        session.release()?;
        session.backgrounded()?;
        sys::kill(session.pid()?, libc::SIGKILL).context("cannot end a container")?;
        session.monitor_gone()?;
        let status = session.exit_code()?;
        if status != 137 {
            return Err(Error::new(format!("container {number} ended with {status}")));
        }
        nothing_new(&session, &temporary, &mut left_by_first)?;
    }
    let left = scratch.processes();
    if !left.is_empty() {
        return Err(Error::new(format!("processes were left behind: {left:?}")));
    }
    Ok(())
}

/// What a session that has ended may leave is what the first one left: the files that engines look at, and remove. No
/// socket is among them, and nothing is in the directory for temporary files.
fn nothing_new(
    session: &Session,
    temporary: &Path,
    left_by_first: &mut Option<BTreeSet<String>>,
) -> Result {
    let own = session.paths.bundle.parent().unwrap_or(&session.paths.bundle);
    let left: BTreeSet<String> =
        names(own)?.into_iter().map(|name| name.replace(&session.paths.id, "ID")).collect();
    let first = left_by_first.get_or_insert_with(|| left.clone());
    if left != *first {
        return Err(Error::new(format!("left behind: {left:?}; by the first: {first:?}")));
    }
    if left.iter().any(|name| name.ends_with("attach")) {
        return Err(Error::new(format!("the attach socket was left behind: {left:?}")));
    }
    let strays = names(temporary)?;
    if !strays.is_empty() {
        return Err(Error::new(format!("temporary files were left behind: {strays:?}")));
    }
    fs::remove_dir_all(own).context("cannot clean up")
}

/// Everything in a directory and below, by its path from there.
fn names(directory: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let entries = fs::read_dir(directory);
    for entry in entries.context(format_args!("cannot list {}", directory.display()))? {
        let entry = entry.context("cannot list")?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(names(&entry.path())?.into_iter().map(|below| format!("{name}/{below}")));
        }
        found.insert(name);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_nothing() {
        let some = Amounts::FULL.share(0.005);
        assert_eq!(some, Amounts { execs: 50, attaches: 50, megabytes: 5, containers: 5 });
        assert_eq!(Amounts::FULL.share(0.0).containers, 1);
    }
}
