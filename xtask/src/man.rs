//! `man`: the list of options in the manual page, from the table that the program reads its arguments by.

use crate::report::{Context, Result, root};
use argh::FromArgs;
use std::fs;
use std::process::ExitCode;

/// Put the current options into docs/monitor.8.
#[derive(FromArgs)]
#[argh(subcommand, name = "man")]
pub(crate) struct Args {}

/// The page, below the workspace.
pub(crate) const PAGE: &str = "docs/monitor.8";

/// The lines around the list, which are comments in the page.
const BEGIN: &str = ".\\\" options: begin\n";
const END: &str = ".\\\" options: end\n";

pub(crate) fn main(_: Args) -> Result<ExitCode> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).context(format!("cannot read {PAGE}"))?;
    let options = monitor::conmon::command_line::manual::options();
    fs::write(&path, updated(&page, &options)?).context(format!("cannot write {PAGE}"))?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong when the page is not what `man` would make of it.
pub(crate) fn outdated(page: &str) -> Option<String> {
    let options = monitor::conmon::command_line::manual::options();
    match updated(page, &options) {
        Ok(new) if new == page => None,
        Ok(_) => Some(format!("{PAGE} is not current: run `cargo xtask man`")),
        Err(error) => Some(error),
    }
}

/// The page with this list in place of its own.
fn updated(page: &str, options: &str) -> Result<String> {
    let (before, rest) =
        page.split_once(BEGIN).context(format!("{PAGE} has no line {}", BEGIN.trim_end()))?;
    let (_, after) =
        rest.split_once(END).context(format!("{PAGE} has no line {}", END.trim_end()))?;
    Ok([before, BEGIN, options, END, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_replaced_and_nothing_else() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(updated(&page, "new\n"), Ok(format!("a\n{BEGIN}new\n{END}b\n")));
        assert!(updated("a\nb\n", "new\n").is_err());
    }

    #[test]
    fn a_page_with_other_options_is_not_current() {
        assert!(outdated(&format!("{BEGIN}{END}")).is_some_and(|text| text.contains("xtask man")));
        let options = monitor::conmon::command_line::manual::options();
        assert_eq!(outdated(&format!("{BEGIN}{options}{END}")), None);
    }
}
