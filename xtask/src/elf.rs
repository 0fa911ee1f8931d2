//! Just enough ELF to see what a program is made of: segments, sections, symbols (see elf(5)).

use crate::report::{Context, Result};
use std::path::Path;

/// `e_type` of a program that can be loaded anywhere.
pub(crate) const ET_DYN: u16 = 3;
/// `p_type` of what gets loaded.
pub(crate) const PT_LOAD: u32 = 1;
/// `p_type` of the list for the dynamic linker.
pub(crate) const PT_DYNAMIC: u32 = 2;
/// `p_type` of the dynamic linker's name.
pub(crate) const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;

/// One program file.
pub(crate) struct Elf {
    pub(crate) kind: u16,
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
    /// How many libraries the program wants loaded.
    pub(crate) needed: usize,
}

/// What the kernel maps; sizes in bytes, `flags` as in `PF_X` 1, `PF_W` 2, `PF_R` 4.
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    offset: u64,
    pub(crate) file_size: u64,
    pub(crate) memory_size: u64,
}

/// A named part of the file; `size` in bytes.
pub(crate) struct Section {
    pub(crate) name: String,
    kind: u32,
    /// Loaded when the program runs.
    pub(crate) loaded: bool,
    offset: u64,
    pub(crate) size: u64,
    link: u64,
}

/// A named piece of code or data; `size` in bytes.
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) size: u64,
}

impl Elf {
    /// Reads the program at `path`; little-endian, 32 or 64 bits, as all our targets are.
    pub(crate) fn read(path: &Path) -> Result<Elf> {
        let bytes = std::fs::read(path).context(format!("cannot read {}", path.display()))?;
        parse(&bytes).context(format!("{} is not an ELF file that we know", path.display()))
    }

    /// How much of the file is data for the kernel to map, and how much is symbols and the like.
    pub(crate) fn section(&self, name: &str) -> u64 {
        self.sections
            .iter()
            .filter(|section| section.name == name)
            .map(|section| section.size)
            .sum()
    }
}

/// Reads numbers at offsets; `wide` when addresses have 64 bits.
struct View<'a> {
    bytes: &'a [u8],
    wide: bool,
}

impl View<'_> {
    fn number(&self, at: u64, width: u64) -> Option<u64> {
        let bytes = self.bytes.get(at as usize..)?.get(..width as usize)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
    fn half(&self, at: u64) -> Option<u16> {
        self.number(at, 2).map(|number| number as u16)
    }
    fn word(&self, at: u64) -> Option<u32> {
        self.number(at, 4).map(|number| number as u32)
    }
    /// A number as wide as an address; the first offset is for 64 bits, the second for 32.
    fn address(&self, base: u64, wide: u64, narrow: u64) -> Option<u64> {
        if self.wide { self.number(base + wide, 8) } else { self.number(base + narrow, 4) }
    }
    fn pick(&self, wide: u64, narrow: u64) -> u64 {
        if self.wide { wide } else { narrow }
    }
    fn text(&self, at: u64) -> Option<String> {
        let text = self.bytes.get(at as usize..)?.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

fn parse(bytes: &[u8]) -> Option<Elf> {
    if !bytes.starts_with(b"\x7fELF") || bytes.get(5) != Some(&1) {
        return None;
    }
    let view = View { bytes, wide: bytes.get(4) == Some(&2) };
    let segments = segments(&view)?;
    let sections = sections(&view)?;
    let symbols = symbols(&view, &sections)?;
    let needed = needed(&view, &segments)?;
    Some(Elf { kind: view.half(16)?, segments, sections, symbols, needed })
}

fn segments(view: &View) -> Option<Vec<Segment>> {
    let table = view.address(0, 32, 28)?;
    let count = u64::from(view.half(view.pick(56, 44))?);
    let size = view.pick(56, 32);
    (0..count)
        .map(|index| {
            let at = table + index * size;
            Some(Segment {
                kind: view.word(at)?,
                flags: view.word(at + view.pick(4, 24))?,
                offset: view.address(at, 8, 4)?,
                file_size: view.address(at, 32, 16)?,
                memory_size: view.address(at, 40, 20)?,
            })
        })
        .collect()
}

fn sections(view: &View) -> Option<Vec<Section>> {
    let table = view.address(0, 40, 32)?;
    let count = u64::from(view.half(view.pick(60, 48))?);
    let names_in = u64::from(view.half(view.pick(62, 50))?);
    let size = view.pick(64, 40);
    let names = view.address(table + names_in * size, 24, 16)?;
    (0..count)
        .map(|index| {
            let at = table + index * size;
            Some(Section {
                name: view.text(names + u64::from(view.word(at)?))?,
                kind: view.word(at + 4)?,
                loaded: view.address(at, 8, 8)? & 2 != 0,
                offset: view.address(at, 24, 16)?,
                size: view.address(at, 32, 20)?,
                link: u64::from(view.word(at + view.pick(40, 24))?),
            })
        })
        .collect()
}

fn symbols(view: &View, sections: &[Section]) -> Option<Vec<Symbol>> {
    let Some(table) = sections.iter().find(|section| section.kind == SHT_SYMTAB) else {
        return Some(vec![]);
    };
    let names = sections.get(table.link as usize)?.offset;
    let size = view.pick(24, 16);
    (0..table.size / size)
        .map(|index| {
            let at = table.offset + index * size;
            Some(Symbol {
                name: view.text(names + u64::from(view.word(at)?))?,
                size: view.address(at, 16, 8)?,
            })
        })
        .collect()
}

fn needed(view: &View, segments: &[Segment]) -> Option<usize> {
    let Some(list) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Some(0);
    };
    let width = view.pick(8, 4);
    let tags = (0..list.file_size / (2 * width))
        .map(|index| view.number(list.offset + index * 2 * width, width));
    Some(tags.take_while(|tag| *tag != Some(0)).filter(|tag| *tag == Some(DT_NEEDED)).count())
}

impl Section {
    /// Bytes that this section takes in the file.
    pub(crate) fn file_size(&self) -> u64 {
        if self.kind == SHT_NOBITS { 0 } else { self.size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_can_be_read() {
        let elf = Elf::read(Path::new("/proc/self/exe")).unwrap();
        assert_eq!(elf.kind, ET_DYN);
        assert!(elf.section(".text") > 1000);
        assert!(
            elf.segments.iter().any(|segment| segment.kind == PT_LOAD && segment.flags & 1 != 0)
        );
        assert!(elf.symbols.iter().any(|symbol| symbol.name == "main" && symbol.size > 0));
        assert_eq!(elf.needed, 0);
    }

    #[test]
    fn a_dynamic_program_is_seen_as_one() {
        // Debian's and everybody's dynamic linker user: the shell.
        let elf = Elf::read(Path::new("/bin/sh")).unwrap();
        let dynamic = elf.segments.iter().any(|segment| segment.kind == PT_INTERP);
        assert_eq!(dynamic, elf.needed > 0);
    }

    #[test]
    fn cut_short_files_are_refused_without_a_crash() {
        let whole = std::fs::read("/proc/self/exe").unwrap();
        assert!(parse(&whole).is_some());
        for length in 0..200 {
            assert!(parse(&whole[..length]).is_none());
        }
    }
}
