//! The front door: parses, calls the OCI runtime, hands over, is gone.

#![no_main]
#![allow(unsafe_code)]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What the C library calls. The standard library's own beginning would first
/// look for the bounds of the stack in /proc/self/maps, to have words for its
/// overflow: a tenth of the time that a container takes us.
// SAFETY: the only function of that name in this program.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, words: *const *const c_char) -> c_int {
    wire::start::open_standard_streams();
    // Whoever is gone does not take us along.
    let _ = wire::sys::on_signal(wire::sys::SIGPIPE, wire::sys::Disposition::Ignore);
    // SAFETY: the C library passes what the kernel put there.
    let words = unsafe { wire::start::words(words) };
    let args: Vec<OsString> =
        words.map(CStr::to_bytes).map(OsStr::from_bytes).map(Into::into).collect();
    let name = args.first().map(Path::new).and_then(Path::file_name);
    let front_door = if name.is_some_and(|name| name == "conmonrs") {
        monitor::pod::run
    } else {
        monitor::conmon::run
    };
    front_door(args.get(1..).unwrap_or_default()).into()
}
