//! `size`: where the bytes of the programs go, on disk and in memory, and whether that is within the budgets.

use crate::bench::small_runtime;
use crate::bench::system::private_dirty_kb;
use crate::dist::{dist, unstripped};
use crate::elf::{Elf, PT_LOAD, Segment};
use crate::report::{Context, HUB_DIRTY_BUDGET_KB, PROGRAMS, Result, file_budget, table};
use crate::test::Count;
use ::tests::{Call, Container, Scratch};
use argh::FromArgs;
use std::process::ExitCode;

/// Show the sizes of the programs, by section, segment and symbol, and the memory of an idle hub; fail over budget.
#[derive(FromArgs)]
#[argh(subcommand, name = "size")]
pub(crate) struct Args {
    /// how many of the largest symbols to show for each program (default: 8)
    #[argh(option, default = "8")]
    symbols: usize,
}

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    let count = check()?;
    for (program, path) in unstripped()? {
        let elf = Elf::read(&path)?;
        println!("\n{program}: what is loaded");
        print!("{}", table(&segments(&elf)));
        println!("{program}: largest symbols");
        print!("{}", table(&largest(&elf, args.symbols)));
    }
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints one line per program, and one for the idle hub; a line within its budget counts as passed.
pub(crate) fn check() -> Result<Count> {
    let folder = dist()?;
    let mut count = Count::default();
    let head = ["program", "file", "budget", "code", "constants", "data", "zeroed", "verdict"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for program in PROGRAMS {
        let path = folder.join(program);
        let size = std::fs::metadata(&path).context(format!("cannot find dist/{program}"))?.len();
        let within = size <= file_budget(program);
        count += Count::from(within);
        let elf = Elf::read(&path)?;
        let sum =
            |names: &[&str]| names.iter().map(|name| elf.section(name)).sum::<u64>().to_string();
        rows.push(vec![
            program.into(),
            size.to_string(),
            file_budget(program).to_string(),
            sum(&[".text"]),
            sum(&[".rodata", ".eh_frame", ".eh_frame_hdr", ".gcc_except_table"]),
            sum(&[".data", ".data.rel.ro", ".got", ".tdata"]),
            sum(&[".bss", ".tbss"]),
            verdict(within),
        ]);
    }
    print!("{}", table(&rows));
    let (dirty, mappings) = idle_hub()?;
    let within = dirty <= HUB_DIRTY_BUDGET_KB;
    println!(
        "idle hub, private dirty: {dirty} kB of {HUB_DIRTY_BUDGET_KB} kB: {}",
        verdict(within)
    );
    print!("{mappings}");
    count += Count::from(within);
    Ok(count)
}

fn verdict(within: bool) -> String {
    if within { "ok".into() } else { "OVER BUDGET".into() }
}

/// Runs an idle container and looks at the process that stays with it: its private dirty memory in kB, and a list of
/// the mappings that have any.
fn idle_hub() -> Result<(u64, String)> {
    small_runtime()?;
    let scratch = Scratch::new().context("cannot prepare a container")?;
    let monitor = Call::create(&scratch, &Container::new(["sleep", "infinity"]))
        .and_then(|call| call.program(&crate::report::root().join("dist/monitor")).running())
        .and_then(|session| session.monitor())
        .context("cannot start a container to look at the idle hub")?;
    let dirty =
        private_dirty_kb(monitor as u32).context("cannot read the memory of the idle hub")?;
    let maps = std::fs::read_to_string(format!("/proc/{monitor}/smaps"))
        .context("cannot read its mappings")?;
    Ok((dirty, dirty_mappings(&maps)))
}

/// From smaps (proc(5)): kB of private dirty memory, access and name of each mapping that has any.
fn dirty_mappings(maps: &str) -> String {
    let mut rows = vec![];
    let mut heading = String::new();
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Private_Dirty:", size, _] if *size != "0" => {
                rows.push(format!("  {size:>4} kB  {heading}\n"))
            }
            [range, access, _, _, _, name @ ..] if range.contains('-') => {
                let name =
                    name.first().and_then(|path| path.rsplit('/').next()).unwrap_or("zeroed data");
                heading = format!("{access} {name}");
            }
            _ => {}
        }
    }
    rows.concat()
}

fn segments(elf: &Elf) -> Vec<Vec<String>> {
    let head = ["segment", "in the file", "in memory"].map(String::from).to_vec();
    let rows = elf.segments.iter().filter(|segment| segment.kind == PT_LOAD).map(|segment| {
        vec![access(segment), segment.file_size.to_string(), segment.memory_size.to_string()]
    });
    let loaded: u64 = elf
        .sections
        .iter()
        .filter(|section| section.loaded)
        .map(|section| section.file_size())
        .sum();
    let total = vec!["sections loaded".into(), loaded.to_string(), String::new()];
    [head].into_iter().chain(rows).chain([total]).collect()
}

/// `read execute` and the like.
fn access(segment: &Segment) -> String {
    let names = [(4, "read"), (2, "write"), (1, "execute")];
    let given: Vec<&str> =
        names.iter().filter(|(bit, _)| segment.flags & bit != 0).map(|(_, name)| *name).collect();
    given.join(" ")
}

fn largest(elf: &Elf, count: usize) -> Vec<Vec<String>> {
    let mut symbols: Vec<_> = elf.symbols.iter().filter(|symbol| symbol.size > 0).collect();
    symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.size));
    symbols
        .iter()
        .take(count)
        .map(|symbol| vec![readable(&symbol.name), symbol.size.to_string()])
        .collect()
}

/// A Rust function's path from the name that the linker knows it by (`_ZN` 3 `abc` 2 `de` 17 `h…` `E` is `abc::de`);
/// other names as they are.
fn readable(name: &str) -> String {
    let mut parts = vec![];
    let mut rest = name.strip_prefix("_ZN").unwrap_or_default();
    while let Some(digits) =
        rest.find(|letter: char| !letter.is_ascii_digit()).filter(|digits| *digits > 0)
    {
        let (length, after) = rest.split_at(digits);
        let Some((part, after)) =
            length.parse().ok().and_then(|length| after.split_at_checked(length))
        else {
            break;
        };
        parts.push(part);
        rest = after;
    }
    // The last part is a hash.
    parts.pop();
    if rest == "E" && !parts.is_empty() { parts.join("::") } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linkers_names_become_readable() {
        assert_eq!(readable("_ZN4wire4link7receive17h603ce5c78ea09d25E"), "wire::link::receive");
        assert_eq!(readable("memcpy"), "memcpy");
        assert_eq!(readable("_ZN99x"), "_ZN99x");
    }

    #[test]
    fn only_dirty_mappings_are_listed() {
        let maps = "5500-5600 r-xp 00000000 08:01 77   /x/exit-reaper\nPrivate_Dirty:   0 kB\n\
                    5600-5700 rw-p 00000000 00:00 0 \nRss: 9 kB\nPrivate_Dirty:   8 kB\n";
        assert_eq!(dirty_mappings(maps), "     8 kB  rw-p zeroed data\n");
    }
}
