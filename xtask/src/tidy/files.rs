//! Rules about files: where unsafe code may be, what lies around, where links lead.

use super::Rule;
use crate::man;
use crate::report::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All that may lie at the top; a newcomer reads this list before anything else.
const TOP: [&str; 18] = [
    ".cargo",
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "attach-proxy",
    "clippy.toml",
    "docs",
    "exit-reaper",
    "log-writer",
    "monitor",
    "rustfmt.toml",
    "tests",
    "wire",
    "xtask",
];

/// Where unsafe code is allowed: what talks to the kernel below rustix, the start of the programs, and our tools.
const UNSAFE: [&str; 7] = [
    "wire/",
    "monitor/src/main.rs",
    "exit-reaper/src/main.rs",
    "log-writer/src/main.rs",
    "attach-proxy/src/main.rs",
    "tests/",
    "xtask/src/sys.rs",
];

/// The list of what we do otherwise than conmon, on purpose.
const DIFFERENCES: &str = "docs/differences.md";

pub(crate) fn rules(root: &Path) -> Result<Vec<Rule>> {
    let files = listed(root)?;
    let read =
        |path: &PathBuf| fs::read_to_string(root.join(path)).ok().map(|text| (path.clone(), text));
    let sources: Vec<_> =
        files.iter().filter(|path| has_extension(path, "rs")).filter_map(read).collect();
    let pages: Vec<_> =
        files.iter().filter(|path| has_extension(path, "md")).filter_map(read).collect();
    let links = |page: &str| -> Vec<PathBuf> {
        pages
            .iter()
            .filter(|(path, _)| path == Path::new(page))
            .flat_map(|(path, text)| targets(path, text))
            .collect()
    };
    let from_readme = links("README.md");
    let is_listed = |wanted: &str| from_readme.iter().any(|target| target == Path::new(wanted));
    Ok(vec![
        Rule {
            sentence: "nothing lies at the top that does not belong there",
            broken_by: stray(&files),
        },
        Rule {
            sentence: "unsafe code is in wire and in the start of the programs, nowhere else in what we ship",
            broken_by: sources
                .iter()
                .filter_map(|(path, text)| unsafe_outside(path, text))
                .collect(),
        },
        Rule {
            sentence: "links between our pages lead somewhere",
            broken_by: pages
                .iter()
                .flat_map(|(path, text)| {
                    targets(path, text).into_iter().map(move |target| (path, target))
                })
                .filter(|(_, target)| !root.join(target).exists())
                .map(|(path, target)| {
                    format!("{} links to {}, which is not there", path.display(), target.display())
                })
                .collect(),
        },
        Rule {
            sentence: "the README leads to the code map and to the list of differences from conmon",
            broken_by: ["ARCHITECTURE.md", DIFFERENCES]
                .into_iter()
                .filter(|page| !is_listed(page))
                .map(|page| format!("README.md has no link to {page}"))
                .collect(),
        },
        Rule {
            sentence: "the manual page has the options of the program",
            broken_by: fs::read_to_string(root.join(man::PAGE))
                .map_err(|error| format!("cannot read {}: {error}", man::PAGE))
                .map_or_else(Some, |page| man::outdated(&page))
                .into_iter()
                .collect(),
        },
    ])
}

/// The files of the project, as git sees them: tracked, or new and not ignored.
pub(super) fn listed(root: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        return Err(format!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn stray(files: &[PathBuf]) -> Vec<String> {
    let mut found: Vec<String> = files
        .iter()
        .filter_map(|path| path.iter().next()?.to_str())
        .filter(|top| !TOP.contains(top))
        .map(|top| format!("{top} is not in the list of what may lie at the top"))
        .collect();
    found.dedup();
    found
}

fn unsafe_outside(path: &Path, source: &str) -> Option<String> {
    let name = path.to_str()?;
    if UNSAFE.iter().any(|allowed| name.starts_with(allowed)) {
        return None;
    }
    let line = code_lines(source).position(|line| {
        line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .any(|word| word == "unsafe")
    })?;
    Some(format!("{name}:{} has unsafe code", line + 1))
}

/// The lines of a source without what stands behind `//` or between quotes: good enough to find a keyword.
fn code_lines(source: &str) -> impl Iterator<Item = String> + '_ {
    source.lines().map(|line| {
        let code = line.split("//").next().unwrap_or_default();
        code.split('"').step_by(2).collect()
    })
}

/// Where the links of a page lead, seen from the top; links out of the project are left out.
fn targets(page: &Path, text: &str) -> Vec<PathBuf> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#', ' ']).next())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .map(|target| page.parent().unwrap_or(Path::new("")).join(target))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stray_file_is_named_once() {
        let files = ["README.md", "junk/a", "junk/b", "wire/src/lib.rs"].map(PathBuf::from);
        assert_eq!(stray(&files).len(), 1);
        assert!(stray(&files)[0].starts_with("junk "));
    }

    #[test]
    fn unsafe_code_is_found_but_not_the_word_in_a_comment_or_text() {
        let found = |path: &str, text: &str| unsafe_outside(Path::new(path), text);
        assert_eq!(
            found("monitor/src/a.rs", "//! x\nunsafe { x() }"),
            Some("monitor/src/a.rs:2 has unsafe code".into())
        );
        assert_eq!(found("wire/src/a.rs", "unsafe { x() }"), None);
        assert_eq!(found("log-writer/src/main.rs", "unsafe { x() }"), None);
        assert!(found("log-writer/src/lib.rs", "unsafe { x() }").is_some());
        assert_eq!(
            found("monitor/src/a.rs", "#![forbid(unsafe_code)] // unsafe\nlet x = \"unsafe\";"),
            None
        );
    }

    #[test]
    fn links_are_seen_from_the_top() {
        let text = "[a](x.md#part) [b](https://example.org) [c](../README.md) [d](#here)";
        assert_eq!(
            targets(Path::new("docs/y.md"), text),
            ["docs/x.md", "docs/../README.md"].map(PathBuf::from)
        );
    }
}
