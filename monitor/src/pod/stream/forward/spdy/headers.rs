//! The headers of SPDY streams: pairs of name and value, compressed by zlib
//! (RFC 1950), the blocks of one direction as one stream, which starts from the
//! words of a [`dictionary`](super::dictionary).

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress_with_limit};

use super::dictionary::{ID, WORDS};

/// Most bytes of a block without compression: Kubernetes sends less than a
/// hundred.
pub const MAX_PLAIN: usize = 8 * 1024;
/// How far back a block may refer, in bytes (RFC 1951).
const WINDOW: usize = 32 * 1024;
/// What a zlib stream that starts from a dictionary begins with.
const START: usize = 6;

/// The headers of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Vec<u8>, Vec<u8>)>);

impl Headers {
    /// The value of a name, which is in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(own, _)| own == name.as_bytes())?;
        str::from_utf8(value).ok()
    }

    /// Reads a block without compression: a count, then names and values, each
    /// after its length (section 2.6.10 of the draft).
    fn decode(plain: &[u8]) -> Option<Headers> {
        let mut rest = plain;
        let mut headers = Vec::new();
        for _ in 0..number(&mut rest)? {
            headers.push((text(&mut rest)?, text(&mut rest)?));
        }
        rest.is_empty().then_some(Headers(headers))
    }

    fn encode(headers: &[(&str, &str)]) -> Vec<u8> {
        let length = |length: usize| (length as u32).to_be_bytes();
        let mut plain = length(headers.len()).to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend(length(text.len()));
            plain.extend(text.as_bytes());
        }
        plain
    }
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

fn text(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text.to_vec())
}

/// Reads the blocks of one direction, in their order.
pub struct Reader {
    state: Box<DecompressorOxide>,
    /// What was read last: a ring.
    window: Vec<u8>,
    /// Where it goes on.
    at: usize,
    /// The start of the stream has been read.
    started: bool,
}

impl Default for Reader {
    fn default() -> Self {
        let mut window = WORDS.to_vec();
        window.resize(WINDOW, 0);
        Reader { state: Box::default(), window, at: WORDS.len(), started: false }
    }
}

impl Reader {
    /// Reads a block.
    ///
    /// # Errors
    /// Says what is wrong; no further block can be read then.
    pub fn read(&mut self, block: &[u8]) -> Result<Headers, String> {
        let block = match self.started {
            true => block,
            false => start(block).ok_or("headers that start from other words than SPDY's")?,
        };
        self.started = true;
        let plain = self.inflate(block)?;
        Headers::decode(&plain).ok_or_else(|| "headers that are cut off".to_owned())
    }

    fn inflate(&mut self, block: &[u8]) -> Result<Vec<u8>, String> {
        let (mut rest, mut plain) = (block, Vec::new());
        loop {
            let (room, flags) = (MAX_PLAIN + 1 - plain.len(), TINFL_FLAG_HAS_MORE_INPUT);
            let (state, window) = (&mut self.state, &mut self.window);
            let (status, read, written) =
                decompress_with_limit(state, rest, window, self.at, room, flags);
            rest = rest.get(read..).unwrap_or_default();
            plain.extend(self.window.iter().skip(self.at).take(written));
            self.at = (self.at + written) % WINDOW;
            if plain.len() > MAX_PLAIN {
                return Err(format!("headers of more than {MAX_PLAIN} bytes"));
            }
            match status {
                TINFLStatus::NeedsMoreInput => return Ok(plain),
                TINFLStatus::HasMoreOutput if read + written > 0 => {}
                _ => return Err("headers that are not compressed as they should be".to_owned()),
            }
        }
    }
}

/// What follows the start of a zlib stream (RFC 1950 section 2.2): method and
/// flags, which say that a dictionary follows, and that.
fn start(block: &[u8]) -> Option<&[u8]> {
    let ([method, flags, id @ ..], rest) = block.split_first_chunk::<START>()?;
    let deflate = method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0;
    (deflate && flags & 0x20 != 0 && u32::from_be_bytes(*id) == ID).then_some(rest)
}

/// Writes the blocks of one direction: uncompressed, as they are short.
#[derive(Debug, Default)]
pub struct Writer {
    started: bool,
}

impl Writer {
    /// The next block, with these headers; together shorter than 64 kB.
    pub fn write(&mut self, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        if !self.started {
            block.extend([0x78, 0x20]);
            block.extend(ID.to_be_bytes());
            self.started = true;
        }
        stored(&mut block, &Headers::encode(headers));
        // Nothing more: at this the reader hands on what it has.
        stored(&mut block, &[]);
        block
    }
}

/// Appends a stored block, which is not the last (RFC 1951 section 3.2.4).
fn stored(block: &mut Vec<u8>, plain: &[u8]) {
    let length = plain.len() as u16;
    block.push(0);
    block.extend(length.to_le_bytes());
    block.extend((!length).to_le_bytes());
    block.extend(plain);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Blocks as client-go sends them: the second is compressed by the first.
    const FIRST: &[u8] = b"\x78\xf9\xe3\xc6\xa7\xc2\x02\x25\x3a\x70\x3a\x2b\x29\x4a\x4d\xcc\
        \x85\x16\x25\xac\xa9\xa0\x80\x86\x14\
        \xcb\x45\xe0\x1c\x60\x61\x60\x61\xc0\xc0\xc0\xc0\x59\x04\x89\xc6\x4c\x50\xf2\x66\x34\0\0\0\0\xff\xff";
    const SECOND: &[u8] = b"\xc2\xaa\x19\x54\x0e\x25\x12\xd6\x0b\0\0\0\xff\xff";

    #[test]
    fn the_blocks_of_a_real_client_are_read() {
        let mut reader = Reader::default();
        for (block, kind) in [(FIRST, "error"), (SECOND, "data")] {
            let headers = reader.read(block).unwrap();
            assert_eq!(headers.get("streamtype"), Some(kind));
            assert_eq!(headers.get("port"), Some("8080"));
            assert_eq!(headers.get("requestid"), Some("0"));
            assert_eq!(headers.get("other"), None);
        }
        assert!(Reader::default().read(SECOND).is_err());
    }

    #[test]
    fn the_words_are_those_of_spdy() {
        let (mut low, mut high) = (1u32, 0u32);
        for byte in WORDS {
            low = (low + u32::from(*byte)) % 65521;
            high = (high + low) % 65521;
        }
        assert_eq!((high << 16) | low, ID);
    }

    #[test]
    fn headers_are_short_and_whole() {
        let long = "x".repeat(MAX_PLAIN - 13);
        let block = Writer::default().write(&[("a", &long)]);
        assert_eq!(Reader::default().read(&block).unwrap().get("a"), Some(&*long));
        let block = Writer::default().write(&[("ab", &long)]);
        let error = Reader::default().read(&block).unwrap_err();
        assert_eq!(error, "headers of more than 8192 bytes");
        let cut = block.get(..block.len() - 20).unwrap();
        assert_eq!(Reader::default().read(cut).unwrap_err(), "headers that are cut off");
        let error = Reader::default().read(b"\x78\x9c\0\0\0\0").unwrap_err();
        assert_eq!(error, "headers that start from other words than SPDY's");
    }

    proptest! {
        #[test]
        fn headers_come_back_block_after_block(
            blocks in vec(vec(("[a-z]{0,9}", ".{0,60}"), 0..5), 0..10),
        ) {
            let (mut writer, mut reader) = (Writer::default(), Reader::default());
            for headers in blocks {
                let pairs: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                let wanted = headers.iter().map(|(name, value)| (name.clone().into(), value.clone().into()));
                prop_assert_eq!(reader.read(&writer.write(&pairs)), Ok(Headers(wanted.collect())));
            }
        }

        #[test]
        fn arbitrary_blocks_never_panic_nor_grow(
            blocks in vec(vec(any::<u8>(), 0..200), 1..4),
            known in any::<bool>(),
        ) {
            let mut reader = Reader { started: known, ..Reader::default() };
            for block in blocks {
                if let Ok(headers) = reader.read(&block) {
                    let size: usize = headers.0.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
                    prop_assert!(size <= MAX_PLAIN);
                }
            }
        }

        #[test]
        fn arbitrary_plain_headers_never_panic(plain in vec(any::<u8>(), 0..100), count in 0..4u8) {
            let plain = [&[0, 0, 0, count][..], &plain].concat();
            let _ = Headers::decode(&plain);
        }
    }
}
