//! qemu: booting a node, and listening to it.

use super::OURS;
use super::image::{self, Image};
use super::payload::{self, END, Work};
use crate::report::{Context, Result};
use crate::test::run::{counted, print};
use crate::test::{Count, ORIGINAL};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A node that runs longer hangs.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// For the kernel: panic means reboot at once, which qemu takes for the end; no time is spent against attacks.
const KERNEL: &str = "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off";

/// How many of the console's last lines are shown when the node did not come to its end.
const LAST_LINES: usize = 40;

/// A node, ready to be booted.
pub(super) struct Node {
    image: Image,
    payload: PathBuf,
}

impl Node {
    /// Makes what is missing for it.
    pub(super) fn prepare(work: &Work) -> Result<Node> {
        let image = image::get()?;
        let payload = payload::make(&image.folder, work)?;
        Ok(Node { image, payload })
    }

    /// Boots it twice at the same time, with our monitor and with the original, and counts both; what the second one
    /// says is printed when the first one is done. The original gets a second chance: its own races are not what is
    /// under test, and a wrong test fails again.
    pub(super) fn both(&self) -> Count {
        let said = &mut Vec::new();
        let (ours, original) = std::thread::scope(|scope| {
            let original = scope.spawn(|| self.run(ORIGINAL, &mut |line| said.extend(line)));
            (counted_or_failed(self.run(OURS, &mut print)), original.join())
        });
        println!("vm: the same for the original, {ORIGINAL}");
        print(said);
        let original = original.map_or(Count::from(false), counted_or_failed);
        if original.failed == 0 {
            return ours + original;
        }
        println!("vm: the original failed; it gets a second chance, ours does not");
        ours + counted_or_failed(self.run(ORIGINAL, &mut print))
    }

    /// Boots it with this monitor, gives `each` line that it says to the caller, and counts the results in them.
    pub(super) fn run(&self, monitor: &str, each: &mut impl FnMut(&[u8])) -> Result<Count> {
        let name = monitor.rsplit('/').next().unwrap_or(monitor);
        let console = self.image.folder.join(format!("console-{name}.log"));
        let _ = fs::remove_file(&console);
        println!("vm: booting with {monitor}, the console is in {}", console.display());
        let mut complete = false;
        let watch = &mut |line: &[u8]| {
            each(line);
            complete |= line.trim_ascii() == END.as_bytes();
        };
        let mut count = counted(self.qemu(monitor, &console), "the node", LIMIT, watch)?;
        if !complete || count.passed == 0 {
            // What has not been run has not passed.
            count.failed = count.failed.max(1);
            let text = fs::read(&console).context(format!("cannot read {}", console.display()))?;
            println!("vm: the node ended before its work was done; the last lines of its console:");
            println!("{}", tail(&String::from_utf8_lossy(&text)));
        }
        Ok(count)
    }

    fn qemu(&self, monitor: &str, console: &Path) -> Command {
        // Nobody else ends it when this program is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
        // Emulated, it is the same node on every machine. One processor: with several, some qemus lose code that the
        // kernel changes while another processor runs it. Without cmpxchg16b: after that instruction they leave flags
        // which, when an interrupt saves and restores them, stop the kernel.
        command.args([
            "-accel",
            "tcg,thread=single",
            "-cpu",
            "qemu64,-cx16",
            "-smp",
            "1",
            "-m",
            "1536",
        ]);
        command.args(["-nodefaults", "-no-reboot", "-display", "none", "-nic", "none"]);
        command.arg("-kernel").arg(self.image.kernel());
        command.arg("-initrd").arg(self.image.initrd());
        command.args(["-append", &format!("{KERNEL} conmote.monitor={monitor}")]);
        // What the node writes is forgotten: the image stays as it was made.
        let disk = |path: &Path| {
            format!("file={},format=raw,if=virtio,snapshot=on,cache=unsafe", path.display())
        };
        command.args(["-drive", &disk(&self.image.disk()), "-drive", &disk(&self.payload)]);
        command.args(["-serial", &format!("file:{}", console.display()), "-serial", "stdio"]);
        command
    }
}

fn counted_or_failed(outcome: Result<Count>) -> Count {
    outcome.unwrap_or_else(|error| {
        println!("vm: {error}");
        Count::from(false)
    })
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_console_is_shown_and_all_of_a_short_one() {
        let long: String = (1..=1000).map(|number| format!("{number}\n")).collect();
        assert_eq!(tail(&long).lines().next(), Some("961"));
        assert_eq!(tail(&long).lines().last(), Some("1000"));
        assert_eq!(tail("a\nb"), "a\nb");
    }
}
