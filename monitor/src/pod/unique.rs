//! Names that nobody can guess.

use std::fs::File;
use std::io::Read;

/// A name that nobody has had before: a random UUID (RFC 9562, version 4).
///
/// # Errors
/// `/dev/urandom` cannot be read.
pub fn unique() -> Result<String, String> {
    let mut bytes = [0u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| format!("cannot read /dev/urandom: {error}"))?;
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts: Vec<&str> = cuts.into_iter().filter_map(|cut| digits.get(cut)).collect();
    Ok(parts.join("-"))
}

/// Whether a text has the form of a UUID.
pub fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    lengths.iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    }) && parts.next().is_none()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_random_uuids_and_differ() {
        let name = unique().unwrap();
        assert!(is_uuid(&name), "{name}");
        assert_eq!(name.as_bytes().get(14), Some(&b'4'));
        assert!(b"89ab".contains(name.as_bytes().get(19).unwrap()), "{name}");
        assert_ne!(name, unique().unwrap());
    }

    #[test]
    fn what_is_no_uuid_is_not_taken_for_one() {
        let name = unique().unwrap();
        for other in ["", "x", "----", &name[1..], &format!("{name}-"), &name.replace('-', "g")] {
            assert!(!is_uuid(other), "{other}");
        }
    }
}
