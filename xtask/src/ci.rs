//! `ci`: what a change has to pass, on any machine.

use crate::report::Result;
use argh::FromArgs;
use std::process::ExitCode;

/// All tests, and all checks: as `test` with CI=true.
#[derive(FromArgs)]
#[argh(subcommand, name = "ci")]
pub(crate) struct Args {}

pub(crate) fn main(_: Args) -> Result<ExitCode> {
    crate::test::all(true, None)
}
