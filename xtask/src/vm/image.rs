//! The node's root file system: Debian 13 straight from Debian's archive, made once and kept in the target folder.

use crate::dist::target_dir;
use crate::report::{Context, Result};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is installed, with all it depends on but nothing that is only recommended.
const PACKAGES: &str = "systemd-sysv,dbus,dbus-user-session,libpam-systemd,linux-image-cloud-amd64,passwd,uidmap,iproute2,\
    podman,crun,conmon,criu,libcriu2,catatonit,busybox-static";

/// Files of packages that nobody on this node reads.
const LEFT_OUT: [&str; 4] =
    ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"];

/// Units that only cost time: consoles to log in at, chores of a machine that lives for days, podman's own services.
const MASKED: &str = "getty.target getty@tty1.service serial-getty@ttyS0.service remote-fs.target \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer systemd-tmpfiles-clean.timer \
    systemd-pstore.service systemd-networkd.service systemd-networkd.socket netavark-dhcp-proxy.service \
    netavark-dhcp-proxy.socket podman-auto-update.timer podman-restart.service podman-clean-transient.service \
    podman.service podman.socket";

/// The one driver between the kernel and its root file system; everything else is loaded from there.
const DRIVERS: &str = "virtio_blk";

/// The service that does the work, and then turns the node off.
const SERVICE: &str = "\
[Unit]
Description=end-to-end tests
RequiresMountsFor=/conmote
After=dbus.service systemd-logind.service
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/bin/sh /conmote/run
";

/// Where in a root file system that is being made, and what.
const FILES: [(&str, &str); 6] = [
    ("etc/hostname", "node\n"),
    // Not the first boot, so nobody asks questions and all units are as they are here.
    ("etc/machine-id", "00000000000000000000000000000001\n"),
    ("etc/.updated", ""),
    ("var/.updated", ""),
    ("etc/fstab", "/dev/vda / ext4 defaults 0 0\n/dev/vdb /conmote ext4 ro 0 0\n"),
    ("etc/systemd/system/conmote-tests.service", SERVICE),
];

/// Debian's keys, for machines whose apt does not know them.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Largest size of the file system; the file is only as big as what is in it.
const SIZE: &str = "4G";

/// What qemu boots, and nobody else's as long as this value lives.
pub(super) struct Image {
    pub(super) folder: PathBuf,
    _lock: File,
}

impl Image {
    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("root.img")
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    pub(super) fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }
}

/// The image, made anew when there is none or it was made in another way.
pub(super) fn get() -> Result<Image> {
    let folder = target_dir()?.join("vm");
    fs::create_dir_all(&folder).context(format!("cannot make {}", folder.display()))?;
    let lock = File::open(&folder).context(format!("cannot open {}", folder.display()))?;
    lock.lock().context(format!("cannot lock {}", folder.display()))?;
    let image = Image { folder, _lock: lock };
    let recipe = format!("{PACKAGES}\n{LEFT_OUT:?}\n{MASKED}\n{DRIVERS}\n{FILES:?}\n{SIZE}\n");
    let known = image.folder.join("recipe");
    if fs::read_to_string(&known).is_ok_and(|old| old == recipe) {
        return Ok(image);
    }
    if !crate::sys::is_root() {
        return Err("a node's file system can only be made by root".into());
    }
    let _ = fs::remove_file(&known);
    println!("vm: making a Debian 13 in {}", image.folder.display());
    make(&image)?;
    fs::write(&known, recipe).context(format!("cannot write {}", known.display()))?;
    Ok(image)
}

fn make(image: &Image) -> Result<()> {
    let root = image.folder.join("root");
    let _ = fs::remove_dir_all(&root);
    install(&root)?;
    for (name, text) in FILES {
        write(&root.join(name), text)?;
    }
    fs::create_dir_all(root.join("conmote")).context("cannot make /conmote")?;
    let units = root.join("etc/systemd/system");
    for unit in MASKED.split_whitespace() {
        let _ = fs::remove_file(units.join(unit));
        symlink("/dev/null", units.join(unit)).context(format!("cannot mask {unit}"))?;
    }
    let wants = units.join("multi-user.target.wants");
    fs::create_dir_all(&wants).context("cannot make a folder for units")?;
    symlink("../conmote-tests.service", wants.join("conmote-tests.service"))
        .context("cannot enable a unit")?;
    take(&root, "vmlinuz-", &image.kernel())?;
    take(&root, "initrd.img-", &image.initrd())?;
    file_system(&root, &image.disk(), SIZE)?;
    fs::remove_dir_all(&root).context(format!("cannot remove {}", root.display()))
}

/// Unpacks and sets up the packages.
fn install(root: &Path) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=apt", "--mode=root", "--format=directory"]);
    // A clock that is wrong must not stop us.
    command.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    command.arg("--aptopt=APT::Install-Recommends \"false\"");
    if Path::new(KEYS).exists() {
        command.arg(format!("--keyring={KEYS}"));
    }
    if let Some(proxy) = proxy() {
        command.arg(format!("--aptopt=Acquire::http::Proxy \"{proxy}\""));
    }
    for path in LEFT_OUT {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command.arg(format!("--include={PACKAGES}"));
    // A small initial file system loads quickly; it has to be asked for before the kernel is installed.
    command.arg(format!(
        "--essential-hook=mkdir -p \"$1/etc/initramfs-tools/conf.d\" && \
         echo MODULES=list >\"$1/etc/initramfs-tools/conf.d/small\" && \
         echo {DRIVERS} >\"$1/etc/initramfs-tools/modules\""
    ));
    command.arg("--dpkgopt=force-confold");
    command.arg("--customize-hook=chroot \"$1\" useradd --create-home --uid 1000 user");
    command.arg("trixie").arg(root).arg("http://deb.debian.org/debian");
    succeed(command.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// The proxy that this machine's apt uses, if any.
fn proxy() -> Option<String> {
    let output = Command::new("apt-config")
        .args(["--format", "%v", "dump", "Acquire::http::Proxy"])
        .output()
        .ok()?;
    let proxy = String::from_utf8_lossy(&output.stdout).trim().to_string();
    (!proxy.is_empty()).then_some(proxy)
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).context(format!("cannot make {}", folder.display()))?;
    }
    fs::write(path, text).context(format!("cannot write {}", path.display()))
}

/// Takes the file of /boot whose name begins so.
fn take(root: &Path, beginning: &str, to: &Path) -> Result<()> {
    let boot = root.join("boot");
    let mut files = fs::read_dir(&boot).context("the image has no /boot")?.flatten();
    let found = files
        .find(|file| file.file_name().to_string_lossy().starts_with(beginning))
        .context(format!("the image's /boot has no {beginning}*"))?;
    fs::copy(found.path(), to).context(format!("cannot copy {}", found.path().display()))?;
    Ok(())
}

/// An ext4 file system of at most this size (as mke2fs(8) takes it) with a copy of all that is in `folder`.
pub(super) fn file_system(folder: &Path, to: &Path, size: &str) -> Result<()> {
    let mut command = Command::new("mke2fs");
    // No journal: nobody will want the file system back after a crash.
    command
        .args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d"])
        .arg(folder)
        .arg(to)
        .arg(size);
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    succeed(&mut command)
}

fn succeed(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().context(format!("cannot run {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.trim().lines().rev().take(10).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Err(format!("{program} failed: {}", last.join("\n    ")));
    }
    Ok(())
}
