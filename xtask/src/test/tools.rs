//! The programs that the tests play with, and how to get them on Debian and its kin.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program that the tests need, and the Debian packages it takes.
pub(crate) type Tool = (&'static str, &'static str);

/// What the tests on this machine need.
pub(crate) const FOR_TESTS: [Tool; 8] = [
    ("podman", "podman"),
    ("catatonit", "catatonit"),
    ("runc", "runc"),
    ("conmon", "conmon"),
    ("busybox", "busybox-static"),
    ("git", "git"),
    ("capnp", "capnproto"),
    ("go", "golang-go"),
];

/// What it takes to make and boot a node; Debian's keys are not everywhere where apt is.
pub(crate) const FOR_THE_NODE: [Tool; 3] = [
    ("mmdebstrap", "mmdebstrap debian-archive-keyring"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("mke2fs", "e2fsprogs"),
];

/// Installs what is missing, where that is possible; returns what is missing all the same.
pub(crate) fn install_missing(tools: &[Tool]) -> Vec<&'static str> {
    let packages: Vec<&str> =
        missing(tools).flat_map(|(_, packages)| packages.split(' ')).collect();
    if !packages.is_empty() && crate::sys::is_root() && found("apt-get") {
        println!("test: installing {}", packages.join(" "));
        apt_get(&["update", "-q"]);
        // What is only recommended sets up networks and image builds, which no test needs.
        apt_get(
            &[&["install", "-y", "-q", "--no-install-recommends"], packages.as_slice()].concat(),
        );
    }
    missing(tools).map(|(program, _)| program).collect()
}

/// True when none of these is missing.
pub(crate) fn all_found(tools: &[Tool]) -> bool {
    missing(tools).next().is_none()
}

fn missing(tools: &[Tool]) -> impl Iterator<Item = Tool> {
    tools.iter().copied().filter(|(program, _)| !found(program))
}

fn found(program: &str) -> bool {
    find(program).is_some()
}

/// A program in PATH, or where a user's PATH does not lead.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = ["/usr/sbin", "/sbin", "/usr/local/go/bin"].map(PathBuf::from);
    let folders = std::env::split_paths(&path).chain(others);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
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
