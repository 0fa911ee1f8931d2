//! What every verb needs: one-line errors with context, the paths of the workspace, small tables.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The four programs that we ship, in the order in which a container meets them.
pub(crate) const PROGRAMS: [&str; 4] = ["monitor", "exit-reaper", "log-writer", "attach-proxy"];

/// The programs that stay beside a container: no std, no alloc, no libc.
pub(crate) const ROLES: [&str; 3] = ["exit-reaper", "log-writer", "attach-proxy"];

/// Largest allowed file, in bytes, of a program in `dist/`: a role is read in one sitting of the page
/// cache; `monitor` is started for each container, and lives for milliseconds. Of its bytes 250 kB are Cap'n Proto,
/// which only a pod's worker ever reads from disk.
pub(crate) fn file_budget(program: &str) -> u64 {
    if ROLES.contains(&program) { 64 * 1024 } else { 1792 * 1024 }
}

/// Largest allowed private dirty memory, in kB, of the hub of one idle container.
pub(crate) const HUB_DIRTY_BUDGET_KB: u64 = 16;

/// The verbs' result: errors are finished sentences, printed once by `main`.
pub(crate) type Result<T, E = String> = std::result::Result<T, E>;

/// Says what was being done when something failed.
pub(crate) trait Context<T> {
    /// `error` becomes `what: error`.
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, what: impl Display) -> Result<T> {
        self.ok_or_else(|| what.to_string())
    }
}

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// A table with aligned columns, the first row being its head; numbers to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell: &String| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column == 0 {
                line += &format!("{cell:<0$}", widths[column]);
            } else {
                line += &format!("  {cell:>0$}", widths[column]);
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_names_left_and_numbers_right() {
        let rows = [vec!["a".into(), "kB".into()], vec!["long".into(), "7".into()]];
        assert_eq!(table(&rows), "a     kB\nlong   7\n");
    }

    #[test]
    fn an_error_says_what_was_being_done() {
        let error = Err::<(), _>("no such file").context("cannot read x");
        assert_eq!(error, Err("cannot read x: no such file".into()));
    }
}
