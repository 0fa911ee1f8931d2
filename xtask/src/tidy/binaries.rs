//! Rules about the programs: small, static, movable in memory, and without an allocator or libc where none belongs.

use super::Rule;
use crate::dist::{dist, unstripped};
use crate::elf::Elf;
use crate::report::{Context, PROGRAMS, ROLES, Result, file_budget};

/// Parts of the names of functions that only an allocator or libc has.
const FOREIGN: [&str; 9] = [
    "__rust_alloc",
    "__rust_realloc",
    "__rg_alloc",
    "__rdl_alloc",
    "malloc",
    "calloc",
    "__libc_start_main",
    "__libc_",
    "alloc::",
];

pub(crate) fn rules() -> Result<Vec<Rule>> {
    let folder = dist()?;
    let mut too_large = vec![];
    let mut not_static = vec![];
    for program in PROGRAMS {
        let path = folder.join(program);
        let size = std::fs::metadata(&path).context(format!("cannot find dist/{program}"))?.len();
        too_large.extend(over_budget(program, size));
        not_static.extend(dependent(program, &Elf::read(&path)?));
    }
    let mut foreign_code = vec![];
    for (program, path) in
        unstripped()?.iter().filter(|(program, _)| ROLES.contains(&program.as_str()))
    {
        let elf = Elf::read(path)?;
        let names: Vec<&str> = elf.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
        foreign_code.extend(foreign(program, &names));
    }
    Ok(vec![
        Rule { sentence: "each program keeps to its size", broken_by: too_large },
        Rule {
            sentence: "each program is static and can be loaded anywhere (ASLR)",
            broken_by: not_static,
        },
        Rule { sentence: "the roles hold no allocator and no libc", broken_by: foreign_code },
    ])
}

fn over_budget(program: &str, size: u64) -> Option<String> {
    let budget = file_budget(program);
    (size > budget)
        .then(|| format!("{program} has {size} bytes, {} more than allowed", size - budget))
}

fn dependent(program: &str, elf: &Elf) -> Option<String> {
    let problem = if elf.interpreted {
        "wants a dynamic linker"
    } else if elf.needed > 0 {
        "wants shared libraries"
    } else if !elf.movable {
        "has a fixed address"
    } else {
        return None;
    };
    Some(format!("{program} {problem}"))
}

fn foreign(program: &str, names: &[&str]) -> Option<String> {
    if names.iter().all(|name| name.is_empty()) {
        return Some(format!("{program} has no symbols to look at"));
    }
    let name = names.iter().find(|name| FOREIGN.iter().any(|part| name.contains(part)))?;
    Some(format!("{program} contains {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_program_over_its_budget_is_named() {
        assert_eq!(over_budget("log-writer", 65536), None);
        assert!(over_budget("log-writer", 65537).is_some());
        assert_eq!(over_budget("monitor", 65537), None);
    }

    #[test]
    fn an_allocator_is_found_by_its_symbols() {
        assert!(foreign("x", &["_start", "__rust_alloc"]).is_some());
        assert!(foreign("x", &["alloc::vec::Vec<T>::push"]).is_some());
        assert!(foreign("x", &[""]).is_some());
        assert_eq!(foreign("x", &["", "_start", "memcpy"]), None);
    }

    #[test]
    fn a_program_with_std_and_libc_does_not_pass_for_a_role() {
        let elf = Elf::read(Path::new("/proc/self/exe")).unwrap();
        let names: Vec<&str> = elf.symbols.iter().map(|symbol| symbol.name.as_str()).collect();
        assert!(foreign("this test", &names).is_some());
        assert_eq!(dependent("this test", &elf), None);
    }
}
