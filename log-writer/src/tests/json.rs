//! Reading JSON logs back.

/// What was printed to a stream, from the objects of a log; every byte of it
/// must belong to one.
pub(crate) fn unquoted(log: &[u8], stream: &str) -> Vec<u8> {
    let mut text = String::new();
    for line in std::str::from_utf8(log).unwrap().split_inclusive('\n') {
        let rest = line.strip_prefix("{\"log\":\"").unwrap_or_else(|| panic!("{line}"));
        let (content, rest) = string(rest);
        let (name, rest) = string(rest.strip_prefix(",\"stream\":\"").unwrap());
        let (time, rest) = string(rest.strip_prefix(",\"time\":\"").unwrap());
        assert_eq!(rest, "}\n");
        assert!(time.ends_with('Z') && time.len() <= 30 && !content.is_empty());
        if name == stream {
            text += &content;
        }
    }
    text.into_bytes()
}

/// What a string means whose quotation mark has been read, and what follows it.
fn string(text: &str) -> (String, &str) {
    let mut meaning = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next().unwrap() {
            '"' => return (meaning, characters.as_str()),
            '\\' => meaning.push(match characters.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                'u' => {
                    let digits: String = characters.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                }
                other => other,
            }),
            other => {
                assert!(other >= ' ', "{other:?} is not escaped");
                meaning.push(other);
            }
        }
    }
}
