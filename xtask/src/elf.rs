//! What a program is made of: segments, sections, symbols (see elf(5)).

use crate::report::{Context, Result};
use object::elf::DT_NEEDED;
use object::read::elf::{Dyn, ElfFile, FileHeader, ProgramHeader};
use object::{Endianness, File, Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol};
use std::path::Path;

/// One program file.
pub(crate) struct Elf {
    /// Can be loaded anywhere.
    pub(crate) movable: bool,
    /// Wants a dynamic linker.
    pub(crate) interpreted: bool,
    /// How many libraries the program wants loaded.
    pub(crate) needed: usize,
    /// What the kernel maps.
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
}

/// One mapping; sizes in bytes.
pub(crate) struct Segment {
    /// `read execute` and the like.
    pub(crate) access: String,
    pub(crate) file_size: u64,
    pub(crate) memory_size: u64,
}

/// A named part of the file; address and sizes in bytes.
pub(crate) struct Section {
    pub(crate) name: String,
    /// Where it is in memory, seen from where the program is loaded; 0 if it is not loaded.
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) file_size: u64,
}

/// A named piece of code or data; address and size in bytes.
pub(crate) struct Symbol {
    /// As a reader of the source knows it.
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) size: u64,
}

impl Elf {
    /// Reads the program at `path`.
    pub(crate) fn read(path: &Path) -> Result<Elf> {
        let bytes = std::fs::read(path).context(format!("cannot read {}", path.display()))?;
        parse(&bytes).context(format!("{} is not an ELF file that we know", path.display()))
    }

    /// Bytes of all sections of this name.
    pub(crate) fn section(&self, name: &str) -> u64 {
        let named = self.sections.iter().filter(|section| section.name == name);
        named.map(|section| section.size).sum()
    }
}

fn parse(bytes: &[u8]) -> Result<Elf> {
    let file = File::parse(bytes).map_err(|error| error.to_string())?;
    let (interpreted, needed) = match &file {
        File::Elf32(elf) => wants(elf),
        File::Elf64(elf) => wants(elf),
        _ => return Err("something else".into()),
    };
    Ok(Elf {
        movable: file.kind() == ObjectKind::Dynamic,
        interpreted,
        needed,
        segments: file.segments().map(segment).collect(),
        sections: file.sections().filter_map(section).collect(),
        symbols: file.symbols().filter_map(symbol).collect(),
    })
}

/// Whether it wants a dynamic linker, and how many libraries.
fn wants<E: FileHeader<Endian = Endianness>>(elf: &ElfFile<'_, E>) -> (bool, usize) {
    let endian = elf.endian();
    let headers = || elf.elf_program_headers().iter();
    let interpreted = headers()
        .any(|header| header.interpreter(endian, elf.data()).is_ok_and(|found| found.is_some()));
    let entries = headers().filter_map(|header| header.dynamic(endian, elf.data()).ok()?).flatten();
    (interpreted, entries.filter(|entry| entry.tag(endian) == DT_NEEDED).count())
}

fn segment<'a>(segment: impl ObjectSegment<'a>) -> Segment {
    let given = segment.permissions();
    let names =
        [(given.readable(), "read"), (given.writable(), "write"), (given.executable(), "execute")];
    let names: Vec<&str> = names.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    Segment {
        access: names.join(" "),
        file_size: segment.file_range().1,
        memory_size: segment.size(),
    }
}

fn section<'a>(section: impl ObjectSection<'a>) -> Option<Section> {
    Some(Section {
        name: section.name().ok()?.into(),
        address: section.address(),
        size: section.size(),
        file_size: section.file_range().map_or(0, |(_, size)| size),
    })
}

fn symbol<'a>(symbol: impl ObjectSymbol<'a>) -> Option<Symbol> {
    // Without the hash that makes names of different versions different.
    let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
    Some(Symbol { name, address: symbol.address(), size: symbol.size() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_can_be_read() {
        let elf = Elf::read(Path::new("/proc/self/exe")).unwrap();
        assert!(elf.movable && !elf.interpreted);
        assert!(elf.section(".text") > 1000);
        assert!(elf.segments.iter().any(|segment| segment.access == "read execute"));
        assert!(elf.symbols.iter().any(|symbol| symbol.name == "main" && symbol.size > 0));
        let own = "xtask::elf::parse";
        assert!(elf.symbols.iter().any(|symbol| symbol.name == own), "no {own}");
        assert_eq!(elf.needed, 0);
    }

    #[test]
    fn a_dynamic_program_is_seen_as_one() {
        // Debian's and everybody's dynamic linker user: the shell.
        let elf = Elf::read(Path::new("/bin/sh")).unwrap();
        assert_eq!(elf.interpreted, elf.needed > 0);
    }

    #[test]
    fn cut_short_files_are_refused_without_a_crash() {
        let whole = std::fs::read("/proc/self/exe").unwrap();
        assert!(parse(&whole).is_ok());
        for length in 0..200 {
            assert!(parse(&whole[..length]).is_err(), "{length}");
        }
    }
}
