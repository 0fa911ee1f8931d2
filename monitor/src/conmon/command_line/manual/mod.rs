//! The list of options in the manual page `monitor(8)`: names, arguments and
//! first sentences from the table that also parses and helps, the rest from
//! [`details`] and [`log_details`].

mod details;
mod log_details;

use argh::{ArgsInfo, FlagInfo, FlagInfoKind};

use super::options::{ALIASES, Options};

use details::DETAILS;
use log_details::LOG_DETAILS;

/// All options as a list in mdoc(7), the language of manual pages.
pub fn options() -> String {
    let mut page = String::from(".Bl -tag -width Ds\n");
    for row in rows() {
        page.push_str(&heading(row));
        page.push('\n');
        page.push_str(&sentence(row.description));
        page.push('\n');
        let name = long(row);
        for (_, text) in details().filter(|(option, _)| *option == name) {
            page.push_str(text);
            page.push('\n');
        }
        for (old, _) in ALIASES.iter().filter(|(_, option)| *option == name) {
            page.push_str(&format!(".Fl -{old}\nis an old name of it.\n"));
        }
    }
    page.push_str(HELP);
    page.push_str(".El\n");
    page
}

/// What is no row of the table: any of these in time beats all else.
const HELP: &str = r".It Fl h , Fl \&? , Fl -help , Fl -help-all
Print the options, and exit.
";

fn rows() -> impl Iterator<Item = &'static FlagInfo<'static>> {
    Options::get_args_info().flags.iter().filter(|row| row.long != "--help")
}

fn details() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    DETAILS.iter().chain(LOG_DETAILS)
}

fn long(row: &FlagInfo<'static>) -> &'static str {
    row.long.trim_start_matches('-')
}

/// `.It Fl c , Fl -cid Ar id`
fn heading(row: &FlagInfo<'static>) -> String {
    let short = row.short.map_or(String::new(), |letter| format!("Fl {letter} , "));
    let argument = match &row.kind {
        FlagInfoKind::Switch => String::new(),
        FlagInfoKind::Option { arg_name } => format!(" Ar {arg_name}"),
    };
    format!(".It {short}Fl -{}{argument}", long(row))
}

/// The words of `--help` as a sentence.
fn sentence(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::conmon::command_line::Stop;

    /// The page as it is shipped.
    const PAGE: &str = include_str!("../../../../../docs/monitor.8");

    #[test]
    fn the_manual_lists_each_option_of_the_table_in_its_place() {
        assert!(PAGE.contains(&options()), "not current: run `cargo xtask man`");
    }

    #[test]
    fn each_option_has_details_and_no_detail_is_about_another() {
        let mut names: Vec<_> = rows().map(long).collect();
        let mut explained: Vec<_> = details().map(|(option, _)| *option).collect();
        names.sort_unstable();
        explained.sort_unstable();
        assert_eq!(explained, names);
    }

    #[test]
    fn each_option_that_the_manual_names_is_accepted() {
        let (_, list) = PAGE.split_once(".Sh OPTIONS").expect("a list of options");
        let (list, _) = list.split_once(".Sh ").expect("a section behind it");
        let mut tried = 0;
        for line in list.lines().filter_map(|line| line.strip_prefix(".It Fl ")) {
            let (names, value) = line.split_once(" Ar ").unwrap_or((line, ""));
            for name in names.split(" , Fl ") {
                // A number is right for every option that takes a value.
                let value = (!value.is_empty()).then_some("1");
                let option = format!("-{}", name.trim_start_matches("\\&"));
                let args: Vec<&str> = [option.as_str()].into_iter().chain(value).collect();
                let outcome = Options::parse(&args);
                let help = matches!(outcome, Err(Stop::Answer(_)));
                assert!(outcome.is_ok() || help, "{option}: {outcome:?}");
                // It takes a value if and only if the manual says so.
                let alone = Options::parse(&[option.as_str()]);
                assert_eq!(alone.is_ok() || help, value.is_none(), "{option}");
                tried += 1;
            }
        }
        assert!(tried > 50, "{tried}");
    }

    #[test]
    fn other_options_in_the_text_exist_as_well() {
        let known: Vec<_> = rows()
            .map(long)
            .chain(ALIASES.iter().map(|(old, _)| *old))
            .chain(["help", "help-all"])
            // The runtime's, not ours.
            .chain(["image-path"])
            .collect();
        for rest in PAGE.split("Fl -").skip(1) {
            let name = rest.split([' ', '\n']).next().unwrap_or_default();
            assert!(known.contains(&name), "--{name}");
        }
    }
}
