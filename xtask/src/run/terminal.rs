//! Our own terminal, when the container has one: byte by byte, and of the same size.

use crate::sys::stdin;
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Our terminal in raw mode; as it was again when dropped.
pub(crate) struct Raw(Termios);

impl Raw {
    /// None when standard input is no terminal.
    pub(crate) fn new() -> Option<Raw> {
        let before = tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Raw(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Tells the monitor our terminal's size, now and whenever it has changed, by lines in its control FIFO.
pub(crate) fn follow_size(control: PathBuf) {
    let size = || tcgetwinsize(stdin()).ok().map(|Winsize { ws_row, ws_col, .. }| (ws_row, ws_col));
    std::thread::spawn(move || {
        let mut told = None;
        while let Some((rows, columns)) = size() {
            if told != Some((rows, columns)) {
                let line = format!("1 {rows} {columns}\n");
                let written = OpenOptions::new()
                    .append(true)
                    .open(&control)
                    .and_then(|mut fifo| fifo.write_all(line.as_bytes()));
                if written.is_err() {
                    return;
                }
                told = Some((rows, columns));
            }
            // SIGWINCH would tell, but a handler for it is more than this is worth.
            std::thread::sleep(Duration::from_millis(250));
        }
    });
}
