//! What a worker is having created at the moment, for whoever has to clean up
//! should it be killed.
//!
//! A ledger is a file in memory of which the hub has a duplicate. Each entry is
//! one write(2) at its end, so that it is there or not: a number, what it says
//! of the creation with that number, a length, and so many bytes. When nothing
//! is in creation the file is empty.

use std::sync::{Mutex, MutexGuard, PoisonError};

use capnp::message::{Builder, ReaderOptions};
use rustix::fs::MemfdFlags;
use rustix::process::Pid;
use wire::OwnedFd;

use super::convert::Message;
use super::hub::Hub;
use super::schema::conmon_capnp::conmon::create_container_request;
use super::types::CreateContainerRequest;
use crate::inherited::text;

/// The runtime is called; with the request, as far as removing takes it.
const BEGINS: u32 = 1;
/// The runtime's process; with its number.
const RUNS: u32 = 2;
/// Nothing is to be removed.
const ENDS: u32 = 3;

/// Bytes before an entry's own: number, meaning and length, all little-endian.
const HEAD: usize = 12;

/// A worker's ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Made when it is needed first.
    file: Option<OwnedFd>,
    /// Bytes in the file.
    size: u64,
    /// How many creations have begun and not ended.
    open: u32,
    /// The number of the next one.
    next: u32,
}

/// A creation in the ledger, until this is dropped.
#[derive(Debug)]
pub struct Entry<'a> {
    ledger: &'a Ledger,
    number: u32,
}

impl Ledger {
    /// Notes that this is about to be created.
    ///
    /// # Errors
    /// When there is no memory for it, or no hub to keep it.
    pub fn begin(&self, hub: &Hub, request: &CreateContainerRequest) -> Result<Entry<'_>, String> {
        self.begin_with(request, |file| hub.keep_ledger(file))
    }

    fn begin_with(
        &self,
        request: &CreateContainerRequest,
        keep: impl FnOnce(&OwnedFd) -> Result<(), String>,
    ) -> Result<Entry<'_>, String> {
        let failed = |error| format!("cannot note what is created: {}", text(error));
        let mut state = self.lock();
        if state.file.is_none() {
            let file = rustix::fs::memfd_create(c"ledger", MemfdFlags::CLOEXEC).map_err(failed)?;
            keep(&file)?;
            state.file = Some(file);
        }
        let number = state.next;
        state.put(number, BEGINS, &encode(request)).map_err(failed)?;
        state.next = number.wrapping_add(1);
        state.open += 1;
        Ok(Entry { ledger: self, number })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry<'_> {
    /// Notes the runtime's process.
    pub fn runs(&self, runtime: Pid) {
        // Without it nobody waits for the runtime's end, which comes all the same.
        let _ = self.ledger.lock().put(self.number, RUNS, &runtime.as_raw_pid().to_le_bytes());
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let mut state = self.ledger.lock();
        state.open -= 1;
        if state.open > 0 {
            let _ = state.put(self.number, ENDS, &[]);
        } else if let Some(file) = &state.file {
            let _ = rustix::fs::ftruncate(file, 0);
            state.size = 0;
        }
    }
}

impl State {
    fn put(&mut self, number: u32, meaning: u32, bytes: &[u8]) -> rustix::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let length = u32::try_from(bytes.len()).map_err(|_| rustix::io::Errno::FBIG)?;
        let head = [number, meaning, length].map(u32::to_le_bytes);
        let entry = [head.as_flattened(), bytes].concat();
        if rustix::io::pwrite(file, &entry, self.size)? < entry.len() {
            return Err(rustix::io::Errno::NOSPC);
        }
        self.size += entry.len() as u64;
        Ok(())
    }
}

/// A creation that was cut off.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What was asked for, as far as removing takes it.
    pub request: CreateContainerRequest,
    /// The runtime's process, if it came to that.
    pub runtime: Option<Pid>,
}

/// What a ledger says has begun and not ended. What is no entry ends it.
pub fn unfinished(file: &OwnedFd) -> Vec<Unfinished> {
    let mut found: Vec<(u32, Unfinished)> = Vec::new();
    let bytes = read(file);
    let mut rest = &bytes[..];
    while let Some((number, meaning, content)) = next(&mut rest) {
        let own = found.iter().position(|(own, _)| *own == number);
        match (meaning, own) {
            (BEGINS, None) => {
                let Some(request) = decode(content) else { break };
                found.push((number, Unfinished { request, runtime: None }));
            }
            (RUNS, Some(own)) => {
                let pid = content.try_into().ok().map(i32::from_le_bytes);
                if let Some((_, entry)) = found.get_mut(own) {
                    entry.runtime = pid.filter(|pid| *pid > 0).and_then(Pid::from_raw);
                }
            }
            (ENDS, Some(own)) => drop(found.remove(own)),
            _ => break,
        }
    }
    found.into_iter().map(|(_, entry)| entry).collect()
}

fn read(file: &OwnedFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = vec![0u8; 64 * 1024];
    while let Ok(count @ 1..) = rustix::io::pread(file, &mut piece[..], bytes.len() as u64) {
        bytes.extend(piece.iter().take(count));
    }
    bytes
}

/// Takes an entry off the front: number, meaning, content.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u32, u32, &'a [u8])> {
    let (head, after) = rest.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let (content, after) = after.split_at_checked(number(8)? as usize)?;
    *rest = after;
    Some((number(0)?, number(4)?, content))
}

fn encode(request: &CreateContainerRequest) -> Vec<u8> {
    let needed = CreateContainerRequest {
        id: request.id.clone(),
        global_args: request.global_args.clone(),
        env_vars: request.env_vars.clone(),
        cgroup_manager: request.cgroup_manager,
        ..CreateContainerRequest::default()
    };
    let mut message = Builder::new_default();
    needed.write(message.init_root::<create_container_request::Builder<'_>>());
    capnp::serialize::write_message_to_words(&message)
}

fn decode(mut bytes: &[u8]) -> Option<CreateContainerRequest> {
    let message = capnp::serialize::read_message(&mut bytes, ReaderOptions::new()).ok()?;
    let request = message.get_root::<create_container_request::Reader<'_>>().ok()?;
    CreateContainerRequest::read(request).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pod::types::CgroupManager;
    use proptest::prelude::*;

    fn request(id: &str) -> CreateContainerRequest {
        CreateContainerRequest {
            id: id.into(),
            global_args: vec!["--debug".into()],
            env_vars: vec![("A".into(), "b\nc".into())],
            cgroup_manager: CgroupManager::Cgroupfs,
            ..CreateContainerRequest::default()
        }
    }

    fn kept(ledger: &Ledger) -> OwnedFd {
        let state = ledger.lock();
        rustix::io::fcntl_dupfd_cloexec(state.file.as_ref().unwrap(), 3).unwrap()
    }

    #[test]
    fn what_has_begun_and_not_ended_is_found() {
        let ledger = Ledger::default();
        let mut kept_times = 0;
        let mut begin = |id: &str| {
            let keep = |_: &OwnedFd| {
                kept_times += 1;
                Ok(())
            };
            ledger.begin_with(&request(id), keep).unwrap()
        };
        let (one, two, three) = (begin("one"), begin("two\0"), begin("three"));
        two.runs(rustix::process::getpid());
        drop(one);
        let file = kept(&ledger);
        let own = Some(rustix::process::getpid());
        let expected = [
            Unfinished { request: request("two\0"), runtime: own },
            Unfinished { request: request("three"), runtime: None },
        ];
        assert_eq!(unfinished(&file), expected);
        drop((two, three));
        assert_eq!(rustix::fs::fstat(&file).unwrap().st_size, 0);
        assert_eq!(unfinished(&file), []);
        let again = begin("again");
        assert_eq!(unfinished(&file).len(), 1);
        drop(again);
        assert_eq!(kept_times, 1);
    }

    #[test]
    fn paths_and_logs_are_not_kept() {
        let full = CreateContainerRequest { bundle_path: "/b".into(), ..request("x") };
        assert_eq!(decode(&encode(&full)), Some(request("x")));
    }

    proptest! {
        #[test]
        fn a_ledger_that_was_cut_off_or_spoilt_is_read_all_the_same(
            cut in 0..400u64, at in 0..400u64, to in any::<u8>()
        ) {
            let ledger = Ledger::default();
            let one = ledger.begin_with(&request("one"), |_| Ok(())).unwrap();
            one.runs(rustix::process::getpid());
            let _two = ledger.begin_with(&request("two"), |_| Ok(())).unwrap();
            let file = kept(&ledger);
            rustix::fs::ftruncate(&file, cut).unwrap();
            for entry in unfinished(&file) {
                prop_assert!(["one", "two"].contains(&&*entry.request.id));
            }
            rustix::io::pwrite(&file, &[to], at).unwrap();
            prop_assert!(unfinished(&file).len() <= 2);
        }
    }
}
