//! A small OCI runtime: it runs containers as plain processes, without namespaces, cgroups, root directory or
//! privileges. Enough of runc's command line for a monitor to work with it, quick enough not to show in a measurement,
//! and able to fail on demand (see `faults.rs`).
//!
//! Two more verbs are for what runs in a container: `note FILE` leaves a note about the caller, `notify LINE…` says
//! the lines to the service manager, as `systemd-notify` does.
//!
//! It starts without Rust's own `main`, so that signal dispositions stay as the caller left them and notes can show them.

#![no_main]

mod container;
mod faults;
mod options;
mod start;
mod verbs;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use options::Options;
use tests::{Context, Error, Result, note};

/// The variable that names a file to which each call appends a note about itself.
const TRACE: &str = "SMALL_RUNTIME_TRACE";

// SAFETY: the C library calls the one function of this name, and nothing else here has it.
#[unsafe(no_mangle)]
extern "C" fn main(_count: i32, _arguments: *const *const u8) -> i32 {
    match run() {
        Ok(status) => status,
        Err(error) => {
            eprintln!("small-runtime: {error}");
            1
        }
    }
}

fn run() -> Result<i32> {
    if let Some(path) = std::env::var_os(TRACE) {
        append_note(Path::new(&path))?;
    }
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(verb) if verb == "note" => {
            let path = words.next().ok_or_else(|| Error::new("note needs a file"))?;
            return append_note(Path::new(&path)).map(|()| 0);
        }
        Some(verb) if verb == "notify" => return tests::notify::from_inside(words).map(|()| 0),
        // What a container prints that is all about its log.
        Some(verb) if verb == "flood" => {
            let blocks = words.next().and_then(|word| word.to_str()?.parse().ok());
            let blocks = blocks.ok_or_else(|| Error::new("flood needs a number of blocks"))?;
            let done = tests::flood::write(blocks, std::io::stdout().lock());
            return done.map(|()| 0).context("flood");
        }
        _ => {}
    }
    let options = Options::parse(std::env::args_os().skip(1))?;
    match options.verb.as_str() {
        "create" => verbs::create(&options),
        "restore" => verbs::restore(&options),
        "start" => verbs::start(&options),
        "exec" => verbs::exec(&options),
        "kill" => verbs::kill(&options),
        "delete" => verbs::delete(&options),
        "state" => verbs::state(&options),
        other => Err(Error::new(format!(
            "no such command: {other:?}; there are create, start, exec, kill, delete, state"
        ))),
    }
}

/// One write, so that notes of several programs do not mix.
fn append_note(path: &Path) -> Result {
    // Before the file is open, for it must not be in the note.
    let text = note::about_self();
    let file = OpenOptions::new().append(true).create(true).open(path);
    let mut file = file.context(format_args!("cannot open {}", path.display()))?;
    file.write_all(text.as_bytes()).context(format_args!("cannot write {}", path.display()))
}
