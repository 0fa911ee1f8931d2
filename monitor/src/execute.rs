//! Executing a program by its path, as execve(2) does. The standard library's
//! way does more: it searches `PATH` for a name without a slash, and gives a
//! file of no known format to `/bin/sh`.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use wire::Errno;
use wire::sys::{Disposition, SIGPIPE, Strings, on_signal};

use crate::handover::{MAX_ENVIRONMENT, environment};

/// Most arguments that are passed on; arguments and environment together are
/// limited to 6 MB (execve(2)).
const MAX_ARGUMENTS: usize = 16_384;

/// Becomes the program at `path`, with this name before its arguments. The
/// variable in `change` has another value for it. No signal is ignored then.
/// Returns only to say why it did not.
pub fn execute(
    path: &OsStr,
    name: &OsStr,
    args: &[OsString],
    change: Option<(&str, String)>,
) -> Errno {
    let mut variables = environment();
    if let Some((name, value)) = change {
        let start = format!("{name}=");
        variables.retain(|variable| !variable.as_bytes().starts_with(start.as_bytes()));
        variables.extend(CString::new(start + &value));
    }
    let words = [name].into_iter().chain(args.iter().map(OsString::as_os_str));
    let words: Result<Vec<CString>, _> = words.map(|word| CString::new(word.as_bytes())).collect();
    let (Ok(path), Ok(words)) = (CString::new(path.as_bytes()), words) else {
        return Errno::INVAL;
    };
    let words = Strings::<MAX_ARGUMENTS>::new(words.iter().map(CString::as_c_str));
    let variables = Strings::<MAX_ENVIRONMENT>::new(variables.iter().map(CString::as_c_str));
    let (Some(words), Some(variables)) = (words, variables) else {
        return Errno::TOOBIG;
    };
    if let Err(error) = on_signal(SIGPIPE, Disposition::Default) {
        return error;
    }
    wire::sys::exec(None, &path, &words, variables.as_environment())
}
