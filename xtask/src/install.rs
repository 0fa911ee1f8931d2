//! `install`: the programs to where podman can find them, and the manual page.

use crate::dist::{dist, link, replace};
use crate::man;
use crate::report::{Context, PROGRAMS, Result, root};
use argh::FromArgs;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Build, then copy the programs to PREFIX/libexec/conmote and the manual page to PREFIX/share/man/man8.
#[derive(FromArgs)]
#[argh(subcommand, name = "install")]
pub(crate) struct Args {
    /// where to install (default: /usr/local)
    #[argh(option, default = "\"/usr/local\".into()")]
    prefix: PathBuf,
}

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    let from = dist()?;
    let prefix = std::path::absolute(&args.prefix).context("cannot use this prefix")?;
    let to = prefix.join("libexec/conmote");
    fs::create_dir_all(&to).context(format!("cannot make {}", to.display()))?;
    for program in PROGRAMS {
        replace(&from.join(program), &to.join(program))
            .context(format!("cannot write {program} to {}", to.display()))?;
    }
    let manual = prefix.join("share/man/man8");
    fs::create_dir_all(&manual).context(format!("cannot make {}", manual.display()))?;
    replace(&root().join(man::PAGE), &manual.join("monitor.8"))
        .context(format!("cannot write monitor.8 to {}", manual.display()))?;
    link(&to).context(format!("cannot make the link conmonrs in {}", to.display()))?;
    println!("# Installed. For podman, put these lines into /etc/containers/containers.conf:");
    println!("[engine]\nconmon_path = [\"{}\"]\n", to.join("monitor").display());
    println!("[containers]\nlog_driver = \"k8s-file\"");
    Ok(ExitCode::SUCCESS)
}
