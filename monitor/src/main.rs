//! The front door: parses, calls the OCI runtime, hands over, is gone.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let name = args.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == "conmonrs") {
        return monitor::pod::run(args.get(1..).unwrap_or_default());
    }
    monitor::conmon::run(args.get(1..).unwrap_or_default())
}
