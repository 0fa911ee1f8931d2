//! `tidy`: the invariants of `ARCHITECTURE.md` that a compiler does not see, each a rule with a name.

mod behaviours;
mod binaries;
mod crates;
mod files;

use crate::report::{Result, root};
use crate::test::Count;
use argh::FromArgs;
use std::process::ExitCode;

/// Check the rules of the house: dependencies, unsafe code, stray files, what the programs are made of.
#[derive(FromArgs)]
#[argh(subcommand, name = "tidy")]
pub(crate) struct Args {}

/// A rule, as a sentence, and what breaks it.
pub(crate) struct Rule {
    pub(crate) sentence: &'static str,
    pub(crate) broken_by: Vec<String>,
}

pub(crate) fn main(_: Args) -> Result<ExitCode> {
    Ok(if check()?.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks all rules, prints each, and counts them like tests. The quick ones come first.
pub(crate) fn check() -> Result<Count> {
    let mut count = Count::default();
    let behaviours = || behaviours::rules(&root(), &files::listed(&root())?);
    let groups: [fn() -> Result<Vec<Rule>>; 4] =
        [crates::rules, || files::rules(&root()), behaviours, binaries::rules];
    for group in groups {
        match group() {
            Ok(rules) => rules.iter().for_each(|rule| count += judged(rule)),
            Err(error) => {
                println!("tidy: {error}");
                count += Count::from(false);
            }
        }
    }
    Ok(count)
}

fn judged(rule: &Rule) -> Count {
    let held = rule.broken_by.is_empty();
    println!("tidy: {} ... {}", rule.sentence, if held { "ok" } else { "FAILED" });
    for problem in &rule.broken_by {
        println!("    {problem}");
    }
    Count::from(held)
}
