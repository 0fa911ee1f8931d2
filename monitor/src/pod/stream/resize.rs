//! The size of a terminal, as clients send it: `{"Width":80,"Height":24}`.

use rustix::termios::Winsize;

/// The size in a message. `None` when there is none in it.
pub fn parse(text: &[u8]) -> Option<Winsize> {
    let text = str::from_utf8(text).ok()?;
    Some(Winsize {
        ws_row: number(text, "\"Height\"")?,
        ws_col: number(text, "\"Width\"")?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    })
}

fn number(text: &str, name: &str) -> Option<u16> {
    let (_, after) = text.split_once(name)?;
    let digits = after.trim_start().strip_prefix(':')?.trim_start();
    let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_size_is_read_in_any_order_and_nothing_else_is() {
        let size = |text: &str| parse(text.as_bytes()).map(|size| (size.ws_col, size.ws_row));
        assert_eq!(size("{\"Width\":80,\"Height\":24}"), Some((80, 24)));
        assert_eq!(size(" { \"Height\" : 1 , \"Width\" : 65535 }\n"), Some((65535, 1)));
        for wrong in [
            "",
            "{\"Width\":80}",
            "{\"Width\":-1,\"Height\":2}",
            "{\"Width\":65536,\"Height\":2}",
            "{\"Width\":,\"Height\":2}",
            "{\"Width\":\"1\",\"Height\":2}",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&bytes);
        }
    }
}
