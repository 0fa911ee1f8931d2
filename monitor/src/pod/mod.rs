//! The pod server's front door, called as `conmonrs`: command line, Cap'n
//! Proto RPC on a unix socket, and what its methods do.
//!
//! [`server`] is the process that an engine starts; it becomes the hub. The hub
//! starts [`worker`]s, which serve connections with [`rpc`], and do in
//! [`methods`] what is asked of them: whatever has to stay goes to the hub
//! ([`hub`]).
//! More processes of ours there may be: one for each streaming session
//! ([`stream`]), the fd server ([`fds`]), and for a moment the one that makes
//! [`namespaces`], or cleans up after a worker ([`clean_up`]).

pub mod arguments;
pub mod attach;
pub mod clean_up;
pub mod cli;
pub mod collect;
pub mod containers;
pub(crate) mod convert;
pub mod exec;
pub mod fds;
pub mod hub;
pub mod json;
pub mod ledger;
pub mod logs;
pub mod messages;
pub mod methods;
pub mod namespaces;
pub mod record;
pub mod rpc;
pub mod schema;
pub mod server;
pub mod service;
pub mod settings;
pub mod spawn;
pub mod stream;
pub mod types;
pub mod unique;
pub mod version;
pub mod worker;

use std::ffi::OsString;

use self::cli::{Command, Stop};
use crate::inherited;
use crate::status::{FAILURE, SUCCESS};

/// Runs the pod server's front door with the arguments after the program's
/// name: starts a server, or works for one.
pub fn run(args: &[OsString]) -> u8 {
    match args.split_first() {
        Some((word, _)) if word == worker::WORD => return ended(worker::serve()),
        Some((word, _)) if word == stream::WORD => return ended(stream::serve()),
        Some((word, _)) if word == fds::server::WORD => return ended(fds::server::serve()),
        Some((word, _)) if word == clean_up::WORD => return ended(clean_up::clean_up()),
        Some((word, rest)) if word == namespaces::WORD => return namespaces::run_for_worker(rest),
        _ => {}
    }
    let inherited_fds = inherited::list();
    match cli::read(args).and_then(|command| begin(command, &inherited_fds)) {
        Ok(()) => SUCCESS,
        Err(stop) => stop.report(),
    }
}

/// The exit status of a process that the hub has started.
fn ended(work: Result<(), String>) -> u8 {
    match work {
        Ok(()) => SUCCESS,
        Err(text) => {
            eprintln!("conmonrs: {text}");
            FAILURE
        }
    }
}

fn begin(command: Command, inherited_fds: &[i32]) -> Result<(), Stop> {
    match command {
        Command::Serve(options) => {
            cli::validate(&options)?;
            match server::start(options, inherited_fds)? {}
        }
        Command::Pause(pause) => {
            for number in inherited_fds {
                drop(wire::sys::take_inherited(*number));
            }
            namespaces::hold(&pause)
                .map_err(|failure| Stop::Failed("init pause", vec![failure.text()]))
        }
    }
}
