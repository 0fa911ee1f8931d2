//! Rules about the page that says which test is for which behaviour: the tests are there, and no row is without one.

use super::Rule;
use crate::report::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/behaviours.md";

pub(crate) fn rules(root: &Path, files: &[PathBuf]) -> Result<Vec<Rule>> {
    let page = fs::read_to_string(root.join(PAGE)).context(format!("cannot read {PAGE}"))?;
    let read = |path: &PathBuf| {
        let name = path.to_str()?;
        // Go's tests have names of their own in all the files of a folder.
        let name = match name.strip_suffix("_test.go") {
            Some(_) => path.parent()?.to_str()?,
            None => name.strip_suffix(".rs")?,
        };
        Some((name.to_string(), fs::read_to_string(root.join(path)).ok()?))
    };
    let sources: Vec<(String, String)> = files.iter().filter_map(read).collect();
    Ok(vec![
        Rule {
            sentence: "each test that the page of behaviours names is there",
            broken_by: tests(&page).filter_map(|test| missing(test, &sources)).collect(),
        },
        Rule {
            sentence: "each row of the page of behaviours has its own name and a test",
            broken_by: wrong_rows(&page),
        },
    ])
}

/// All that is written as `file::function` between backquotes; for Go, `folder::TestFunction`.
fn tests(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2).filter(|text| text.contains("::"))
}

/// Looks for a test in the files whose path ends in its first part. The sources come by their paths without `.rs`, those
/// in Go by their folders.
fn missing(test: &str, sources: &[(String, String)]) -> Option<String> {
    let (file, function) = test.split_once("::")?;
    let is_it = |path: &str| {
        path.strip_suffix(file).is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    let has = if function.starts_with("Test") { has_go_test } else { has_test };
    let found = sources.iter().filter(|(path, text)| is_it(path) && has(text, function));
    match found.count() {
        0 => Some(format!("{PAGE} names {test}, but there is no such test")),
        1 => None,
        _ => Some(format!("{PAGE} names {test}, but there is more than one: say more of its path")),
    }
}

/// Whether a source has a function of this name with `#[test]` above it.
fn has_test(text: &str, function: &str) -> bool {
    let mut lines = text.lines().map(str::trim_start);
    let head = format!("fn {function}(");
    while lines.any(|line| line == "#[test]") {
        let function = lines.find(|line| !line.starts_with("#[") && !line.starts_with("//"));
        if function.is_some_and(|line| line.starts_with(&head)) {
            return true;
        }
    }
    false
}

/// The same for Go.
fn has_go_test(text: &str, function: &str) -> bool {
    let head = format!("func {function}(t *testing.T) {{");
    text.lines().any(|line| line == head)
}

fn wrong_rows(page: &str) -> Vec<String> {
    let mut names = BTreeSet::new();
    let rows = page.lines().filter_map(|line| {
        let name = line.strip_prefix("| ")?.split(' ').next()?;
        name.contains('-').then_some((name, line))
    });
    let complaint = |(name, line)| {
        if !names.insert(name) {
            return Some(format!("{PAGE} has two rows {name}"));
        }
        tests(line).next().is_none().then(|| format!("{PAGE}: row {name} names no test"))
    };
    rows.filter_map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_by_the_end_of_its_path_and_its_name() {
        let source = |path: &str, text: &str| (path.to_string(), text.to_string());
        let sources = [
            source("tests/tests/a", "#[test]\n#[allow(x)]\nfn good() {\n}\nfn helper() {}\n"),
            source("x/src/b", "#[test]\nfn twice() {}\n#[test]\nfn once() {}\n"),
            source("y/src/b", "    #[test]\n    fn twice() {}\n"),
            source("tests/go", "func TestOne(t *testing.T) {\n}\nfunc TestHelper(n int) {\n"),
            source("tests/go", "func TestTwo(t *testing.T) {\n\tTestThree(t *testing.T) {\n"),
        ];
        for right in [
            "go::TestOne",
            "tests/go::TestTwo",
            "a::good",
            "tests/tests/a::good",
            "y/src/b::twice",
            "b::once",
        ] {
            assert_eq!(missing(right, &sources), None);
        }
        for wrong in [
            "go::TestThree",
            "go::TestHelper",
            "o::TestOne",
            "a::TestOne",
            "a::bad",
            "a::helper",
            "a::goo",
            "c::good",
            "b::twice",
        ] {
            assert!(missing(wrong, &sources).is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_row_has_a_name_of_its_own_and_a_test() {
        let good =
            "| | behaviour |\n|---|---|\n| A-1 | x | `a::b` |\n| A-2 | x | `a::b`, `a::c` |\n";
        assert_eq!(wrong_rows(good), [""; 0]);
        assert_eq!(wrong_rows("| A-1 | x | `a::b` |\n| A-1 | x | `a::b` |\n").len(), 1);
        assert_eq!(wrong_rows("| A-1 | `a` | |\n").len(), 1);
    }
}
