//! The namespaces of a pod: what a worker does to have them.
//!
//! A namespace lasts as long as a process is in it or a file is bound to it.
//! The process is the pause process, the pod's first ([`hold`] makes it); the
//! files are [`Files`], and for the engine. When the pause process ends, the hub
//! removes the files. A helper makes it all, in a process of its own, since
//! this one has threads.

mod files;
mod helper;
mod mappings;

pub use files::Files;
pub use helper::{Failure, hold};

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::cli;
use super::containers::{kill, seal, words};
use super::hub::Hub;
use super::spawn;
use super::types::{
    CreateNamespacesRequest, CreateNamespacesResponse, Namespace, NamespaceResponse,
};
use crate::handover::Container;
use crate::runtime::Stdio;
use crate::status::{FAILURE, SUCCESS};
use crate::supervise;

/// The argument that makes the program the helper; those of `pause` follow.
pub const WORD: &str = "pause-for-worker";

/// The helper's exit status when somebody else makes, or has made, the
/// namespaces of that pod (EX_TEMPFAIL of sysexits(3)).
const BUSY: u8 = 75;

/// Where the files are if the request does not say it.
const BASE: &str = "/var/run";

/// How long to wait for another request that makes the same namespaces.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look for its end.
const LOOK: Duration = Duration::from_millis(20);

/// Makes the namespaces of a pod; if they are there already, says where.
///
/// # Errors
/// Says why they cannot be made; nothing of them is left then.
pub fn create(
    hub: &Hub,
    request: &CreateNamespacesRequest,
) -> Result<CreateNamespacesResponse, String> {
    let base = if request.base_path.is_empty() { BASE } else { &request.base_path };
    let files = Files::new(Path::new(base), &request.pod_id)?;
    let init = |reason: String| format!("init pause: {reason}");
    if request.namespaces.contains(&Namespace::User) {
        mappings::check(&request.uid_mappings, &request.gid_mappings).map_err(init)?;
    }
    let deadline = Instant::now() + PATIENCE;
    while !hub.has_pause(&files.pid_file())? {
        match run(&arguments(base, request), &files) {
            Ok(()) => {
                adopt(hub, &files)?;
                break;
            }
            Err(Failure::Busy(_)) if Instant::now() < deadline => thread::sleep(LOOK),
            Err(failure) => return Err(init(failure.text())),
        }
    }
    let namespaces = files.bound().map(|(kind, path)| NamespaceResponse {
        kind: kind.namespace,
        path: path.to_string_lossy().into_owned(),
    });
    Ok(CreateNamespacesResponse { namespaces: namespaces.into() })
}

/// The helper's command line.
fn arguments(base: &str, request: &CreateNamespacesRequest) -> Vec<OsString> {
    let mut args = vec![
        WORD.to_owned(),
        format!("--base-path={base}"),
        format!("--pod-id={}", request.pod_id),
    ];
    for kind in files::KINDS {
        if request.namespaces.contains(&kind.namespace) {
            args.push(format!("--{}", kind.name));
        }
    }
    args.extend(request.uid_mappings.iter().map(|line| format!("--uid-mappings={line}")));
    args.extend(request.gid_mappings.iter().map(|line| format!("--gid-mappings={line}")));
    args.into_iter().map(OsString::from).collect()
}

/// Runs the helper to its end, which is not far.
fn run(args: &[OsString], files: &Files) -> Result<(), Failure> {
    let mut fds = Vec::new();
    let mut outcome = || {
        let stdio = Stdio::open(false, true, &mut fds)?.into();
        let own = (Path::new("/proc/self/exe"), OsStr::new("conmonrs"));
        let kill_at = Some(Instant::now() + spawn::PATIENCE);
        let mut helper =
            spawn::start_program(own.0, own.1, args, &Vec::new(), stdio, None, kill_at)?;
        Ok(supervise::runtime(helper.pid, &mut helper, None, &[], true))
    };
    let outcome: supervise::Outcome = outcome().map_err(Failure::Failed)?;
    let words = words(&outcome, &fds);
    let words = String::from_utf8_lossy(&words).trim_end().to_owned();
    match outcome.status {
        0 => Ok(()),
        _ if outcome.killed => {
            // Its child has ended by now, or will: it waits for it.
            files.remove();
            Err(Failure::Failed(format!("it took too long, or was killed. {words}")))
        }
        status if status == i32::from(BUSY) => Err(Failure::Busy(words)),
        _ => Err(Failure::Failed(words)),
    }
}

/// Hands the pause process to the hub, which removes the files when that ends.
fn adopt(hub: &Hub, files: &Files) -> Result<(), String> {
    let path = files.pid_file();
    let pid = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok());
    let Some(pid) = pid else {
        files.remove();
        return Err(format!("no process id in {}", path.display()));
    };
    let adopted = seal(&files.record())
        .and_then(|record| hub.adopt(&Container { pid: Some(pid), record, fds: Vec::new() }));
    if adopted.is_err() {
        kill(pid);
        files.remove();
    }
    adopted
}

/// Runs the helper, with the arguments after its word.
pub fn run_for_worker(args: &[OsString]) -> u8 {
    let pause = cli::read_pause(args).map_err(|stop| Failure::Failed(stop.to_string()));
    let Err(failure) = pause.and_then(|pause| hold(&pause)) else {
        return SUCCESS;
    };
    eprintln!("{}", failure.text());
    match failure {
        Failure::Busy(_) => BUSY,
        Failure::Failed(_) => FAILURE,
    }
}
