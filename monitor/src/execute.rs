//! Executing a program by its path, as execve(2) does. The standard library's
//! way does more: it searches `PATH` for a name without a slash, and gives a
//! file of no known format to `/bin/sh`.

use std::ffi::{CString, OsStr, OsString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use wire::Errno;
use wire::sys::{Disposition, SIGPIPE, Strings, on_signal};

use crate::handover::environment;

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
    let (mut for_words, mut for_variables) = (Vec::new(), Vec::new());
    let (words, variables) =
        match (strings(&words, &mut for_words), strings(&variables, &mut for_variables)) {
            (Ok(words), Ok(variables)) => (words, variables),
            (Err(error), _) | (_, Err(error)) => return error,
        };
    if let Err(error) = on_signal(SIGPIPE, Disposition::Default) {
        return error;
    }
    wire::sys::exec(None, &path, words, variables)
}

/// Strings as a program gets them. `room` is for the pointers to them.
///
/// # Errors
/// None: there is room for all.
pub fn strings<'a>(
    texts: &'a [CString],
    room: &'a mut Vec<*const c_char>,
) -> Result<Strings<'a>, Errno> {
    *room = vec![ptr::null(); texts.len() + 1];
    Strings::new(room, texts.iter().map(CString::as_c_str)).ok_or(Errno::TOOBIG)
}
