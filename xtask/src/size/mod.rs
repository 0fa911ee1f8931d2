//! `size`: where the bytes of the programs go, on disk and in memory, and whether that is within the budgets.

mod live;
mod resident;

use crate::dist::{dist, unstripped};
use crate::elf::Elf;
use crate::report::{Context, HUB_DIRTY_BUDGET_KB, PROGRAMS, Result, file_budget, table};
use crate::test::Count;
use argh::FromArgs;
use std::process::ExitCode;

/// Show the sizes of the programs by section and symbol, and which of their pages are in memory while they run; fail
/// over budget.
#[derive(FromArgs)]
#[argh(subcommand, name = "size")]
pub(crate) struct Args {
    /// how many of the largest symbols to show for each program, and for each page (default: 8)
    #[argh(option, default = "8")]
    symbols: usize,
}

pub(crate) fn main(args: Args) -> Result<ExitCode> {
    let count = check()?;
    let programs = unstripped()?;
    for (program, path) in &programs {
        let elf = Elf::read(path)?;
        println!("\n{program}: what is loaded");
        print!("{}", table(&segments(&elf)));
        println!("{program}: sections");
        print!("{}", table(&sections(&elf)));
        println!("{program}: largest symbols");
        print!("{}", table(&largest(&elf, args.symbols)));
    }
    print!("{}", live::show(&programs, args.symbols)?);
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
    let dirty = live::idle_hub_dirty_kb(HUB_DIRTY_BUDGET_KB)?;
    let within = dirty <= HUB_DIRTY_BUDGET_KB;
    println!(
        "idle hub, private dirty: {dirty} kB of {HUB_DIRTY_BUDGET_KB} kB: {}",
        verdict(within)
    );
    count += Count::from(within);
    Ok(count)
}

fn verdict(within: bool) -> String {
    if within { "ok".into() } else { "OVER BUDGET".into() }
}

fn segments(elf: &Elf) -> Vec<Vec<String>> {
    let head = ["segment", "in the file", "in memory"].map(String::from).to_vec();
    let rows = elf.segments.iter().map(|segment| {
        vec![segment.access.clone(), segment.file_size.to_string(), segment.memory_size.to_string()]
    });
    [head].into_iter().chain(rows).collect()
}

fn sections(elf: &Elf) -> Vec<Vec<String>> {
    let head = ["section", "in the file", "in memory"].map(String::from).to_vec();
    let loaded = elf.sections.iter().filter(|section| section.address > 0);
    let rows = loaded.map(|section| {
        vec![section.name.clone(), section.file_size.to_string(), section.size.to_string()]
    });
    [head].into_iter().chain(rows).collect()
}

fn largest(elf: &Elf, count: usize) -> Vec<Vec<String>> {
    let mut symbols: Vec<_> = elf.symbols.iter().filter(|symbol| symbol.size > 0).collect();
    symbols.sort_by_key(|symbol| std::cmp::Reverse(symbol.size));
    let rows = symbols.iter().take(count);
    rows.map(|symbol| vec![symbol.name.clone(), symbol.size.to_string()]).collect()
}
