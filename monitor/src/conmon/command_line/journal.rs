//! What all journal entries of a container have in common.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::options::Options;
use crate::conmon::config::JournalConfig;

/// Bytes of a container id in its short form.
const SHORT_ID: usize = 12;

/// Checks what is for the journal, and puts it into the form of systemd's
/// "Native Journal Protocol".
///
/// # Errors
/// conmon's words: the id is too short, or a label is not `NAME=VALUE`.
pub fn config(options: &Options) -> Result<JournalConfig, String> {
    let id = options.cid.as_deref().unwrap_or_default().as_bytes();
    let short = match id.split_at_checked(SHORT_ID) {
        Some((short, [_, ..])) => short,
        _ => return Err(format!("Container ID must be longer than {SHORT_ID} characters")),
    };
    let tag = options.log_tag.as_deref().map(OsStr::as_bytes);
    let name = options.name.as_deref().map(OsStr::as_bytes);
    let mut fields = Vec::new();
    push(&mut fields, b"CONTAINER_ID_FULL", id);
    push(&mut fields, b"CONTAINER_ID", short);
    if let Some(tag) = tag {
        push(&mut fields, b"CONTAINER_TAG", tag);
    }
    if let Some(name) = name {
        push(&mut fields, b"CONTAINER_NAME", name);
    }
    push(&mut fields, b"SYSLOG_IDENTIFIER", tag.or(name).unwrap_or(short));
    for label in &options.log_label {
        let (name, value) = split(label)?;
        push(&mut fields, name, value);
    }
    Ok(JournalConfig { fields, marks: !options.no_container_partial_message })
}

/// Name and value of a label.
fn split(label: &OsStr) -> Result<(&[u8], &[u8]), String> {
    let shown = label.to_string_lossy();
    let mut pieces = label.as_bytes().split(|&byte| byte == b'=');
    let (name, value, more) = (pieces.next().unwrap_or_default(), pieces.next(), pieces.next());
    if name.is_empty() && value.is_some() {
        return Err(format!(
            "Container labels must be in format LABEL=VALUE (no LABEL present in '{shown}')"
        ));
    }
    let (Some(value), None) = (value, more) else {
        return Err(format!(
            "Container labels must be in format LABEL=VALUE (none or more than one '=' present in \
             '{shown}')"
        ));
    };
    let allowed = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    if !name.iter().all(allowed) {
        return Err(format!(
            "Container label names must contain only uppercase letters, numbers and underscore \
             (in '{shown}')"
        ));
    }
    Ok((name, value))
}

/// Adds a field. A value with a newline in it has its length before it.
fn push(fields: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    fields.extend_from_slice(name);
    if value.contains(&b'\n') {
        fields.push(b'\n');
        fields.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        fields.push(b'=');
    }
    fields.extend_from_slice(value);
    fields.push(b'\n');
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    fn read(args: &str) -> Result<JournalConfig, String> {
        let args: Vec<&str> = args.split_whitespace().collect();
        config(&Options::parse(&args).expect("well-formed"))
    }

    fn fields(args: &str) -> String {
        let config = read(&format!("-c 0123456789abcdef {args}")).expect("accepted");
        String::from_utf8(config.fields).expect("text")
    }

    #[test]
    fn a_container_is_known_by_both_forms_of_its_id() {
        assert_eq!(
            fields(""),
            "CONTAINER_ID_FULL=0123456789abcdef\nCONTAINER_ID=0123456789ab\n\
             SYSLOG_IDENTIFIER=0123456789ab\n"
        );
    }

    #[test]
    fn the_tag_identifies_it_before_the_name_does() {
        let both = fields("--log-tag t -n n");
        assert!(both.ends_with("CONTAINER_TAG=t\nCONTAINER_NAME=n\nSYSLOG_IDENTIFIER=t\n"));
        assert!(fields("-n n").ends_with("CONTAINER_NAME=n\nSYSLOG_IDENTIFIER=n\n"));
    }

    #[test]
    fn labels_are_fields() {
        let labels = fields("--log-label A_1=b --log-label C=");
        assert!(labels.ends_with("\nA_1=b\nC=\n"), "{labels}");
    }

    #[test]
    fn a_newline_in_a_value_cannot_make_another_field() {
        let mut bytes = Vec::new();
        push(&mut bytes, b"A", b"b\nC=d");
        assert_eq!(bytes, b"A\n\x05\0\0\0\0\0\0\0b\nC=d\n");
    }

    #[test]
    fn an_id_of_twelve_characters_is_too_short() {
        let error = "Container ID must be longer than 12 characters".to_owned();
        assert_eq!(read("-c 0123456789ab"), Err(error));
        assert!(read("-c 0123456789abc").is_ok());
    }

    #[test]
    fn a_label_is_an_uppercase_name_and_a_value() {
        for (label, complaint) in [
            ("=b", "Container labels must be in format LABEL=VALUE (no LABEL present in '=b')"),
            (
                "A",
                "Container labels must be in format LABEL=VALUE (none or more than one '=' present in 'A')",
            ),
            (
                "A=b=c",
                "Container labels must be in format LABEL=VALUE (none or more than one '=' present in 'A=b=c')",
            ),
            (
                "a=b",
                "Container label names must contain only uppercase letters, numbers and underscore (in 'a=b')",
            ),
        ] {
            let error = read(&format!("-c 0123456789abc --log-label {label}"));
            assert_eq!(error, Err(complaint.to_owned()), "{label}");
        }
    }

    #[test]
    fn marks_for_parts_can_be_left_out() {
        assert!(read("-c 0123456789abc").is_ok_and(|config| config.marks));
        let without = read("-c 0123456789abc --no-container-partial-message");
        assert!(without.is_ok_and(|config| !config.marks));
    }
}
