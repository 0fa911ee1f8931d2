//! `vm`: a node as it is today, booted in an emulator, and end-to-end tests that run inside.
//!
//! The machine that runs the tests may be old, may be a container, may have neither systemd nor unified control groups.
//! So Debian 13 is put into a disk image (`image`), the programs and the test programs into a second one (`payload`),
//! and qemu boots both (`machine`). What the tests say comes out of the second serial port and is counted like that of
//! `cargo test`; the first one is the node's console, of which the end is shown when something goes wrong.
//!
//! Two nodes are booted side by side: one has our monitor, the other the original, which has to pass what we are asked
//! to pass.

mod image;
mod machine;
mod payload;

use crate::report::Result;
use crate::test::run::print;
use crate::test::tools;
use crate::test::{Count, ORIGINAL};
use argh::FromArgs;
use machine::Node;
use payload::Work;
use std::process::ExitCode;

/// Where our monitor is on a node.
const OURS: &str = "/usr/local/libexec/conmote/monitor";

/// Boot Debian 13 in qemu (systemd, cgroup v2, podman, crun) and run end-to-end tests inside.
#[derive(FromArgs)]
#[argh(subcommand, name = "vm")]
pub(crate) struct Args {
    /// run only tests whose name contains this, or one of these, with blanks between
    #[argh(option)]
    only: Option<String>,
    /// run this shell command inside instead of tests, podman being set up to use the programs
    #[argh(option)]
    shell: Option<String>,
    /// boot one node, not two: with `ours` or with the `original`
    #[argh(option)]
    with: Option<String>,
}

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    if let Some(tool) = tools::install_missing(&tools::FOR_THE_NODE).first() {
        return Err(format!(
            "{tool} is missing; install it, or run this as root where apt-get works"
        ));
    }
    let work = args.shell.map_or(Work::Tests { only: args.only }, Work::Command);
    let node = Node::prepare(&work)?;
    let count = match (args.with.as_deref(), &work) {
        (None, Work::Tests { .. }) => node.both(),
        (None | Some("ours"), _) => node.run(OURS, &mut print)?,
        (Some("original"), _) => node.run(ORIGINAL, &mut print)?,
        (Some(other), _) => return Err(format!("--with is `ours` or `original`, not {other}")),
    };
    let mut good = count.failed == 0;
    if let Work::Tests { .. } = work {
        println!("{} passed, {} failed", count.passed, count.failed);
        good &= count.passed > 0;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The node's part of `cargo xtask test`: all of it.
pub(crate) fn check() -> Result<Count> {
    Ok(Node::prepare(&Work::Tests { only: None })?.both())
}
