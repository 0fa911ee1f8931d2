//! The frames of SPDY/3.1 (section 2.2 of the draft): a word that says what it
//! is, flags, a length of three bytes, and the content; big-endian.

/// Most bytes of a control frame's content: those of Kubernetes have a hundred.
pub const MAX_CONTROL: usize = 16 * 1024;
/// Flag: the sender sends no more on this stream.
pub const FIN: u8 = 1;
/// Flag of a new stream: the receiver may not send on it.
pub const UNIDIRECTIONAL: u8 = 2;

/// Bytes before the content.
const HEAD: usize = 8;
/// In the first word: a control frame.
const CONTROL: u32 = 0x8000_0000;
const VERSION: u32 = 3;

/// Why a stream is reset (section 2.6.3).
pub mod status {
    /// It is not wanted.
    pub const REFUSED: u32 = 3;
}

mod kind {
    pub(super) const SYN_STREAM: u16 = 1;
    pub(super) const SYN_REPLY: u16 = 2;
    pub(super) const RST_STREAM: u16 = 3;
    pub(super) const PING: u16 = 6;
    pub(super) const GOAWAY: u16 = 7;
    pub(super) const HEADERS: u16 = 8;
}

/// One frame; of a data frame a part. `block` is compressed headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// SYN_STREAM: a new stream.
    Open {
        /// Its number.
        stream: u32,
        /// [`FIN`], [`UNIDIRECTIONAL`].
        flags: u8,
        /// What it is for.
        block: Vec<u8>,
    },
    /// SYN_REPLY: the stream is accepted.
    Accepted {
        /// Its number.
        stream: u32,
        /// What is to be said about it.
        block: Vec<u8>,
    },
    /// RST_STREAM: the stream is no more, for a reason.
    Reset(u32, u32),
    /// PING, to be sent back; clients use odd numbers.
    Ping(u32),
    /// GOAWAY: the sender takes no more streams.
    GoAway,
    /// HEADERS: more headers of a stream.
    Headers {
        /// The stream's number.
        stream: u32,
        /// [`FIN`].
        last: bool,
        /// The headers.
        block: Vec<u8>,
    },
    /// Some content of a stream.
    Data {
        /// The stream's number.
        stream: u32,
        /// [`FIN`], after these bytes.
        last: bool,
        /// The content.
        bytes: &'a [u8],
    },
    /// A control frame of this type, which nobody here needs.
    Other(u16),
}

/// What has come of a frame that is not complete.
#[derive(Debug, Default)]
pub struct Frames {
    /// The first bytes, up to a control frame's last.
    begun: Vec<u8>,
    /// The data frame that is coming.
    data: Option<Coming>,
}

#[derive(Clone, Copy, Debug)]
struct Coming {
    stream: u32,
    last: bool,
    left: usize,
}

impl Frames {
    /// The next frame, taken off the front of the input. `None`: it goes on in
    /// the next input.
    ///
    /// # Errors
    /// Says what is wrong; nothing that follows can be understood then.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, String> {
        if let Some(coming) = self.data {
            return Ok(self.more(coming, input));
        }
        if !self.fill(HEAD, input) {
            return Ok(None);
        }
        let Some([word @ .., flags, l0, l1, l2]) = self.begun.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let word = u32::from_be_bytes(*word);
        let (flags, length) = (*flags, u32::from_be_bytes([0, *l0, *l1, *l2]) as usize);
        if word & CONTROL == 0 {
            self.begun.clear();
            let coming = Coming { stream: word, last: flags & FIN != 0, left: length };
            return Ok(self.more(coming, input));
        }
        let (version, kind) = ((word & !CONTROL) >> 16, word as u16);
        if version != VERSION {
            return Err(format!("a frame of version {version}"));
        }
        if length > MAX_CONTROL {
            return Err(format!("a control frame of {length} bytes"));
        }
        if !self.fill(HEAD + length, input) {
            return Ok(None);
        }
        let frame = self.begun.get(HEAD..).and_then(|content| control(kind, flags, content));
        let frame = frame.ok_or_else(|| format!("a frame of type {kind} in {length} bytes"))?;
        self.begun.clear();
        Ok(Some(frame))
    }

    /// Takes input until so many bytes are there. `false`: they are not yet.
    fn fill(&mut self, wanted: usize, input: &mut &[u8]) -> bool {
        let bytes = take(input, wanted.saturating_sub(self.begun.len()));
        self.begun.extend_from_slice(bytes);
        self.begun.len() >= wanted
    }

    /// What there is of a data frame's content.
    fn more<'a>(&mut self, coming: Coming, input: &mut &'a [u8]) -> Option<Frame<'a>> {
        let Coming { stream, last, left } = coming;
        let bytes = take(input, left);
        let left = left - bytes.len();
        self.data = (left > 0).then_some(Coming { left, ..coming });
        let empty = bytes.is_empty() && left > 0;
        (!empty).then_some(Frame::Data { stream, last: last && left == 0, bytes })
    }
}

fn take<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (bytes, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    bytes
}

fn number(content: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = content.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn control(kind: u16, flags: u8, content: &[u8]) -> Option<Frame<'static>> {
    let (first, rest) = match kind {
        kind::SYN_STREAM..=kind::RST_STREAM | kind::PING..=kind::HEADERS => number(content)?,
        _ => return Some(Frame::Other(kind)),
    };
    let stream = first & !CONTROL;
    Some(match kind {
        // Before the headers: the stream that it belongs to, priority, slot.
        kind::SYN_STREAM => Frame::Open { stream, flags, block: rest.get(6..)?.to_vec() },
        kind::SYN_REPLY => Frame::Accepted { stream, block: rest.to_vec() },
        kind::RST_STREAM => Frame::Reset(stream, number(rest)?.0),
        kind::PING => Frame::Ping(first),
        kind::GOAWAY => Frame::GoAway,
        _ => Frame::Headers { stream, last: flags & FIN != 0, block: rest.to_vec() },
    })
}

impl Frame<'_> {
    /// Appends it as it is sent. Content is shorter than 16 MiB.
    pub fn write(&self, out: &mut Vec<u8>) {
        let flag = |last: &bool| if *last { FIN } else { 0 };
        let number = |number: &u32| number.to_be_bytes().to_vec();
        let (kind, flags, start, rest): (_, _, _, &[u8]) = match self {
            Frame::Data { stream, last, bytes } => {
                return frame(out, *stream, flag(last), &[], bytes);
            }
            Frame::Open { stream, flags, block } => {
                let start = [number(stream), vec![0; 6]].concat();
                (kind::SYN_STREAM, *flags, start, block)
            }
            Frame::Accepted { stream, block } => (kind::SYN_REPLY, 0, number(stream), block),
            Frame::Reset(stream, status) => {
                (kind::RST_STREAM, 0, [number(stream), number(status)].concat(), &[])
            }
            Frame::Ping(id) => (kind::PING, 0, number(id), &[]),
            Frame::GoAway => (kind::GOAWAY, 0, vec![0; 8], &[]),
            Frame::Headers { stream, last, block } => {
                (kind::HEADERS, flag(last), number(stream), block)
            }
            Frame::Other(kind) => (*kind, 0, Vec::new(), &[]),
        };
        frame(out, CONTROL | (VERSION << 16) | u32::from(kind), flags, &start, rest);
    }
}

fn frame(out: &mut Vec<u8>, word: u32, flags: u8, start: &[u8], rest: &[u8]) {
    let length = (start.len() + rest.len()) as u32;
    out.extend(word.to_be_bytes());
    out.extend(((u32::from(flags) << 24) | length).to_be_bytes());
    out.extend(start);
    out.extend(rest);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// All frames in these pieces; parts of one are joined.
    fn frames(pieces: &[&'static [u8]]) -> Result<Vec<Frame<'static>>, String> {
        let (mut reader, mut all) = (Frames::default(), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while let Some(frame) = reader.next(&mut rest)? {
                match (all.last_mut(), frame) {
                    (
                        Some(Frame::Data { stream, last: end @ false, bytes: before }),
                        Frame::Data { stream: same, last, bytes },
                    ) if *stream == same => {
                        *before = Vec::leak([*before, bytes].concat());
                        *end = last;
                    }
                    (_, frame) => all.push(frame),
                }
            }
        }
        Ok(all)
    }

    fn any_frame() -> impl Strategy<Value = Frame<'static>> {
        let stream = 0..0x8000_0000u32;
        let block = || vec(any::<u8>(), 0..40);
        prop_oneof![
            (stream.clone(), 0..4u8, block()).prop_map(|(stream, flags, block)| Frame::Open {
                stream,
                flags,
                block
            }),
            (stream.clone(), block()).prop_map(|(stream, block)| Frame::Accepted { stream, block }),
            (stream.clone(), any::<u32>()).prop_map(|(stream, why)| Frame::Reset(stream, why)),
            any::<u32>().prop_map(Frame::Ping),
            Just(Frame::GoAway),
            (stream.clone(), any::<bool>(), block())
                .prop_map(|(stream, last, block)| { Frame::Headers { stream, last, block } }),
            // The parts of one that is not the last could not be told from the next one's.
            (stream, block()).prop_map(|(stream, bytes)| Frame::Data {
                stream,
                last: true,
                bytes: Vec::leak(bytes)
            }),
            Just(Frame::Other(4)),
            Just(Frame::Other(9)),
        ]
    }

    #[test]
    fn the_layout_is_that_of_the_draft() {
        let mut out = Vec::new();
        Frame::Ping(1).write(&mut out);
        Frame::Data { stream: 3, last: true, bytes: b"hi" }.write(&mut out);
        Frame::Reset(5, status::REFUSED).write(&mut out);
        let wanted = b"\x80\x03\0\x06\0\0\0\x04\0\0\0\x01\
            \0\0\0\x03\x01\0\0\x02hi\
            \x80\x03\0\x03\0\0\0\x08\0\0\0\x05\0\0\0\x03";
        assert_eq!(out, wanted);
    }

    #[test]
    fn what_nobody_may_send_is_told() {
        for (bytes, wanted) in [
            (&b"\x80\x02\0\x06\0\0\0\x04\0\0\0\x01"[..], "a frame of version 2"),
            (b"\x80\x03\0\x06\0\0\0\x03\0\0\0", "a frame of type 6 in 3 bytes"),
            (b"\x80\x03\0\x01\0\0\0\x09\0\0\0\x01\0\0\0\0\0", "a frame of type 1 in 9 bytes"),
            (b"\x80\x03\0\x04\0\0\x40\x01", "a control frame of 16385 bytes"),
        ] {
            assert_eq!(frames(&[bytes]), Err(wanted.to_owned()));
        }
        assert_eq!(frames(&[b"\x80\x03\0\x04\0\0\x40\0"]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(all in vec(any_frame(), 0..8), cuts in vec(0usize..400, 0..8)) {
            let mut bytes = Vec::new();
            all.iter().for_each(|frame| frame.write(&mut bytes));
            let bytes: &[u8] = Vec::leak(bytes);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| bytes.get(cut[0]..cut[1]).unwrap()).collect();
            prop_assert_eq!(frames(&pieces), Ok(all.clone()));
            let single: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(frames(&single), Ok(all));
        }

        #[test]
        fn arbitrary_bytes_never_panic_nor_are_kept(bytes in vec(any::<u8>(), 0..300), control in any::<bool>()) {
            let mut reader = Frames::default();
            let start: &[u8] = if control { b"\x80\x03\0" } else { b"" };
            let bytes = [start, &bytes].concat();
            let mut rest = &bytes[..];
            while let Ok(Some(_)) = reader.next(&mut rest) {}
            prop_assert!(reader.begun.len() <= HEAD + MAX_CONTROL);
        }
    }
}
