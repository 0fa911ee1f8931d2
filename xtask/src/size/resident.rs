//! Which pages of a program are in memory while it runs, which of them are its own, and what is in those.

use crate::bench::system::page_size;
use crate::elf::{Elf, Section};
use crate::report::{Context, Result};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// What /proc/PID/pagemap says of a page (pagemap, Documentation/admin-guide/mm): it is in memory.
const PRESENT: u64 = 1 << 63;
/// It belongs to a file, or to several processes.
const OF_FILE: u64 = 1 << 61;

/// The pages of one process that are in memory.
pub(super) struct Resident {
    pages: Vec<Page>,
    page_size: u64,
}

struct Page {
    /// Seen from where the program is loaded.
    address: u64,
    /// What is mapped there: the program, or a name as in `[stack]`.
    mapping: String,
    /// Written to, and so this process's own.
    own: bool,
}

/// A mapping of a process (proc(5), maps).
struct Mapping<'a> {
    begin: u64,
    end: u64,
    name: &'a str,
}

impl Resident {
    /// Looks at a process; without root the kernel tells nothing about pages.
    pub(super) fn of(pid: u32) -> Result<Resident> {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).context("no mappings")?;
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).context("no program")?;
        let program = program.to_string_lossy().into_owned();
        let pagemap = File::open(format!("/proc/{pid}/pagemap")).context("no pages")?;
        let page_size = page_size()? as u64;
        let mappings: Vec<Mapping> = maps.lines().filter_map(mapping).collect();
        let base = mappings.iter().find(|mapping| mapping.name == program).context("not mapped")?;
        let mut pages = vec![];
        for mapping in mappings.iter().filter(|mapping| !mapping.name.starts_with("[v")) {
            for address in (mapping.begin..mapping.end).step_by(page_size as usize) {
                let mut entry = [0; 8];
                pagemap
                    .read_exact_at(&mut entry, address / page_size * 8)
                    .context("cannot read its pages")?;
                let entry = u64::from_ne_bytes(entry);
                if entry & PRESENT != 0 {
                    pages.push(Page {
                        address: address.wrapping_sub(base.begin),
                        mapping: mapping.name.into(),
                        own: entry & OF_FILE == 0,
                    });
                }
            }
        }
        Ok(Resident { pages, page_size })
    }

    /// kB in memory, and kB of that which are the process's own.
    pub(super) fn kilobytes(&self) -> (u64, u64) {
        let kilobytes = |count: usize| count as u64 * self.page_size / 1024;
        let own = self.pages.iter().filter(|page| page.own).count();
        (kilobytes(self.pages.len()), kilobytes(own))
    }

    /// For each section, and for what is none: kB in memory, kB of its own. A page with two sections counts for both.
    pub(super) fn by_section(&self, elf: &Elf) -> Vec<Vec<String>> {
        let head = ["in memory", "kB", "its own"].map(String::from).to_vec();
        let mut rows = vec![head];
        let mut row = |name: &str, pages: Vec<&Page>| {
            if !pages.is_empty() {
                let kilobytes = |count: usize| (count as u64 * self.page_size / 1024).to_string();
                let own = pages.iter().filter(|page| page.own).count();
                rows.push(vec![name.into(), kilobytes(pages.len()), kilobytes(own)]);
            }
        };
        for section in loaded(elf) {
            let holds = |page: &&Page| page.overlaps(section.address, section.size, self.page_size);
            row(&section.name, self.pages.iter().filter(holds).collect());
        }
        let outside = |page: &&Page| {
            !loaded(elf).any(|section| page.overlaps(section.address, section.size, self.page_size))
        };
        let names: BTreeSet<&str> =
            self.pages.iter().filter(outside).map(|page| page.mapping.as_str()).collect();
        for name in names {
            let here = |page: &&Page| outside(page) && page.mapping == name;
            let shown = name.rsplit('/').next().filter(|name| !name.is_empty());
            row(shown.unwrap_or("(no name)"), self.pages.iter().filter(here).collect());
        }
        rows
    }

    /// What is in each page of its own: the sections, and the largest symbols.
    pub(super) fn own_pages(&self, elf: &Elf, count: usize) -> Vec<Vec<String>> {
        let own = self.pages.iter().filter(|page| page.own);
        own.map(|page| {
            let here = |address, size| page.overlap(address, size, self.page_size);
            let sections: Vec<&str> = loaded(elf)
                .filter(|section| here(section.address, section.size) > 0)
                .map(|section| section.name.as_str())
                .collect();
            if sections.is_empty() {
                return vec![page.mapping.clone()];
            }
            let mut symbols: Vec<(u64, &str)> = elf
                .symbols
                .iter()
                .map(|symbol| (here(symbol.address, symbol.size), symbol.name.as_str()))
                .filter(|(size, _)| *size > 0)
                .collect();
            symbols.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
            let symbols: Vec<String> =
                symbols.iter().take(count).map(|(size, name)| format!("{name} {size}")).collect();
            let what =
                format!("{:#x} {}: {}", page.address, sections.join(" "), symbols.join(", "));
            vec![what]
        })
        .collect()
    }
}

impl Page {
    /// How many bytes of this range are in the page.
    fn overlap(&self, address: u64, size: u64, page_size: u64) -> u64 {
        let end = (address + size).min(self.address.saturating_add(page_size));
        end.saturating_sub(address.max(self.address))
    }

    fn overlaps(&self, address: u64, size: u64, page_size: u64) -> bool {
        self.overlap(address, size, page_size) > 0
    }
}

fn loaded(elf: &Elf) -> impl Iterator<Item = &Section> {
    elf.sections.iter().filter(|section| section.address > 0 && section.size > 0)
}

/// One line of maps: `begin-end access offset device inode name`.
fn mapping(line: &str) -> Option<Mapping<'_>> {
    let (range, rest) = line.split_once(' ')?;
    let (begin, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let name = rest.splitn(5, ' ').nth(4).unwrap_or_default().trim_start();
    Some(Mapping { begin: number(begin)?, end: number(end)?, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::Symbol;

    #[test]
    fn a_mapping_may_have_no_name() {
        let named = mapping("5500-5600 r-xp 00000000 08:01 77          /x/exit reaper").unwrap();
        assert_eq!((named.begin, named.end, named.name), (0x5500, 0x5600, "/x/exit reaper"));
        assert_eq!(mapping("5600-5700 rw-p 00000000 00:00 0 ").unwrap().name, "");
    }

    #[test]
    fn pages_are_told_by_what_is_in_them() {
        let section = |name: &str, address| Section {
            name: name.into(),
            address,
            size: 0x1000,
            file_size: 0,
        };
        let symbol = Symbol { name: "TABLES".into(), address: 0x2800, size: 0x1000 };
        let elf = Elf {
            movable: true,
            interpreted: false,
            needed: 0,
            segments: vec![],
            sections: vec![section(".text", 0x1000), section(".bss", 0x2000)],
            symbols: vec![symbol],
        };
        let page = |address, mapping: &str, own| Page { address, mapping: mapping.into(), own };
        let pages =
            vec![page(0x1000, "/x", false), page(0x2000, "", true), page(1 << 40, "[stack]", true)];
        let resident = Resident { pages, page_size: 0x1000 };
        assert_eq!(resident.kilobytes(), (12, 8));
        let rows = resident.by_section(&elf);
        let rows: Vec<String> = rows.iter().map(|row| row.join(" ")).collect();
        assert_eq!(rows[1..], [".text 4 0", ".bss 4 4", "[stack] 4 4"]);
        assert_eq!(resident.own_pages(&elf, 3)[0], [String::from("0x2000 .bss: TABLES 2048")]);
    }

    #[test]
    fn this_process_has_pages_of_its_own() {
        // Only root may see pages; others are told that none is present.
        let resident = Resident::of(std::process::id()).unwrap();
        assert!(resident.kilobytes().1 > 0 || !crate::sys::is_root());
    }
}
