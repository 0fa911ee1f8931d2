//! The programs that the tests play with, and how to get them on Debian and its kin.

use std::path::Path;
use std::process::{Command, Stdio};

/// A program that the tests need, and the Debian package that has it.
const TOOLS: [(&str, &str); 5] = [
    ("podman", "podman"),
    ("runc", "runc"),
    ("conmon", "conmon"),
    ("busybox", "busybox-static"),
    ("git", "git"),
];

/// Installs what is missing, where that is possible; returns what is missing all the same.
pub(crate) fn install_missing() -> Vec<&'static str> {
    let packages: Vec<&str> = missing().map(|(_, package)| package).collect();
    if !packages.is_empty() && crate::sys::is_root() && found("apt-get") {
        println!("test: installing {}", packages.join(" "));
        apt_get(&["update", "-q"]);
        // What is only recommended sets up networks and image builds, which no test needs.
        apt_get(
            &[&["install", "-y", "-q", "--no-install-recommends"], packages.as_slice()].concat(),
        );
    }
    missing().map(|(program, _)| program).collect()
}

fn missing() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOOLS.into_iter().filter(|(program, _)| !found(program))
}

/// True when the program is in PATH, or where a user's PATH does not lead.
fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|path| Path::is_file(&path))
}

fn apt_get(args: &[&str]) {
    let outcome = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    if !outcome.is_ok_and(|status| status.success()) {
        println!("test: apt-get {} failed", args.join(" "));
    }
}
