//! Messages to the engine: one JSON object and a newline each, in one write.

use std::fmt::Write;

use wire::OwnedFd;

/// The engine's end of `_OCI_SYNCPIPE` or `_OCI_ATTACHPIPE`, if it gave us one.
#[derive(Debug, Default)]
pub struct SyncPipe {
    /// Kept for the hub, which answers with the exit status of an exec.
    pub fd: Option<OwnedFd>,
}

impl SyncPipe {
    /// Writes `{"KEY": VALUE}`, with a message if that is not empty. An engine
    /// that has stopped listening is no error.
    pub fn send(&mut self, key: &str, value: i32, message: &[u8]) {
        let Some(fd) = &self.fd else { return };
        if let Err(error) = wire::answer(fd, line(key, value, message).as_bytes()) {
            log::warn!("cannot write to the sync pipe: {error}");
            self.fd = None;
        }
    }
}

fn line(key: &str, value: i32, message: &[u8]) -> String {
    let mut text = format!("{{\"{key}\": {value}");
    if !message.is_empty() {
        text.push_str(", \"message\": \"");
        escape(&mut text, &String::from_utf8_lossy(message));
        text.push('"');
    }
    text.push_str("}\n");
    text
}

/// JSON's escapes, as conmon chooses among them.
fn escape(into: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '"' | '\\' | '/' => {
                into.push('\\');
                into.push(letter);
            }
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            '\u{8}' => into.push_str("\\b"),
            '\u{c}' => into.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                // Writing to a String cannot fail.
                let _ = write!(into, "\\u{:04x}", u32::from(letter));
            }
            _ => into.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_of_json_with_conmons_blanks_and_escapes() {
        assert_eq!(line("data", 42, b""), "{\"data\": 42}\n");
        assert_eq!(
            line("pid", -1, b"a/b \"c\"\n\x01\x7f"),
            "{\"pid\": -1, \"message\": \"a\\/b \\\"c\\\"\\n\\u0001\\u007f\"}\n"
        );
    }

    #[test]
    fn bytes_that_are_not_utf_8_still_make_valid_json() {
        assert_eq!(line("data", -1, b"\xff"), "{\"data\": -1, \"message\": \"\u{fffd}\"}\n");
    }
}
