//! `soak`: a long time in the life of containers, after which nothing may have grown or been left behind.

use crate::bench::small_runtime;
use crate::dist::dist;
use crate::report::{Context, Result};
use argh::FromArgs;
use std::process::ExitCode;
use std::time::Instant;
use tests::soak::{Amounts, soak};

/// Ten thousand exec sessions and as many attached clients, a gigabyte of log, a thousand containers: the hub may not
/// grow, no file, descriptor or process may stay.
#[derive(FromArgs)]
#[argh(subcommand, name = "soak")]
pub(crate) struct Args {
    /// only this share of it, e.g. 0.01 (default: 1)
    #[argh(option, default = "1.0")]
    share: f64,
}

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    dist()?;
    small_runtime()?;
    let began = Instant::now();
    let said = |text: &str| println!("soak: {text} ({} s)", began.elapsed().as_secs());
    soak(Amounts::FULL.share(args.share), said).context("soak")?;
    Ok(ExitCode::SUCCESS)
}
