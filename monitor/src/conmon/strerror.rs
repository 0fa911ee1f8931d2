//! The system's words for an error number.

use std::io;

/// The text of `strerror(3)`, without the number that [`io::Error`] adds.
pub fn strerror(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _number)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_one_users_know() {
        assert_eq!(strerror(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(strerror(&io::Error::other("disk on fire")), "disk on fire");
    }
}
