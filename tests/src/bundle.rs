//! An OCI bundle (runtime-spec, config.md) whose root is made of this machine's own read-only folders.

use crate::error::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// What programs need to run at all; on most machines some of them are links into /usr.
const SHARED: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "etc"];

/// What podman allows a container by default.
const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// Takes the command out of the bundle's `config.json` and puts it into a container with a root of its own,
/// the network of the host, and nothing to write to but /tmp.
///
/// # Errors
/// `config.json` or the root cannot be read or made.
pub fn isolate(bundle: &Path) -> Result {
    let path = bundle.join("config.json");
    let text = fs::read(&path).context(format_args!("cannot read {}", path.display()))?;
    let mut config: Value =
        serde_json::from_slice(&text).context(format_args!("cannot parse {}", path.display()))?;
    let root = bundle.join("rootfs");
    for folder in ["proc", "dev", "tmp"] {
        fs::create_dir_all(root.join(folder))
            .context(format_args!("cannot make {}", root.display()))?;
    }
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        ),
        mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        mount("/tmp", "tmpfs", "tmpfs", &["nosuid", "nodev", "mode=1777"]),
    ];
    for name in SHARED {
        mounts.extend(
            share(name, &root).context(format_args!("cannot prepare /{name} for the container"))?,
        );
    }
    config["mounts"] = json!(mounts);
    config["root"] = json!({"path": "rootfs", "readonly": true});
    config["hostname"] = json!("conmote");
    config["linux"] = json!({
        "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
    });
    let sets = ["bounding", "effective", "permitted"];
    config["process"]["capabilities"] =
        sets.into_iter().map(|set| (set.to_string(), json!(CAPABILITIES))).collect();
    fs::write(&path, config.to_string()).context(format_args!("cannot write {}", path.display()))
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({"destination": destination, "type": kind, "source": source, "options": options})
}

/// Makes a folder of this machine appear in the container: a link as the same link, a folder as a read-only mount.
fn share(name: &str, root: &Path) -> std::io::Result<Option<Value>> {
    let here = Path::new("/").join(name);
    let Ok(kind) = fs::symlink_metadata(&here) else { return Ok(None) };
    if kind.is_symlink() {
        symlink(fs::read_link(&here)?, root.join(name))?;
        return Ok(None);
    }
    fs::create_dir_all(root.join(name))?;
    let path = here.display().to_string();
    Ok(Some(mount(&path, "bind", &path, &["rbind", "ro", "nosuid", "nodev"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_stays_and_gets_a_root_of_its_own() {
        let bundle = std::env::temp_dir().join(format!("conmote-bundle-{}", std::process::id()));
        fs::create_dir_all(&bundle).unwrap();
        fs::write(bundle.join("config.json"), "{\"process\":{\"args\":[\"true\"]}}").unwrap();
        isolate(&bundle).unwrap();
        let config: Value =
            serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
        assert_eq!(config["process"]["args"], json!(["true"]));
        assert_eq!(config["root"]["readonly"], json!(true));
        let mounts = config["mounts"].as_array().unwrap();
        assert!(
            mounts.iter().any(|mount| mount["source"] == "/usr" && mount["options"][1] == "ro")
        );
        fs::remove_dir_all(&bundle).unwrap();
    }
}
