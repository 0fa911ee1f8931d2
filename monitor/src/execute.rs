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
    let (mut for_words, mut for_variables) = (room_for(&words), room_for(&variables));
    let words = strings(&words, &mut for_words);
    let variables = strings(&variables, &mut for_variables);
    let (Some(words), Some(variables)) = (words, variables) else {
        return Errno::TOOBIG;
    };
    if let Err(error) = on_signal(SIGPIPE, Disposition::Default) {
        return error;
    }
    wire::sys::exec(None, &path, words, variables)
}

/// Room for pointers to these strings, and one for their end.
pub fn room_for(strings: &[CString]) -> Vec<*const c_char> {
    vec![ptr::null(); strings.len() + 1]
}

/// Strings as a program gets them; `None` if `room` is not [for them](room_for).
pub fn strings<'a>(strings: &'a [CString], room: &'a mut [*const c_char]) -> Option<Strings<'a>> {
    Strings::new(room, strings.iter().map(CString::as_c_str))
}
