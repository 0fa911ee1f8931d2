//! The streams of a tunnel: two for each connection, both opened by the client,
//! with the same `requestid` and the `port`. The error stream comes first; what
//! went wrong is said on it. The data stream is the connection. Both end when
//! nothing more comes from the pod.
//!
//! Windows of flow control are not kept, as no client of Kubernetes does: a
//! client that does not read stops the whole session instead.

use super::frame::{FIN, Frame, Frames, UNIDIRECTIONAL, status};
use super::headers::{Headers, Reader, Writer};
use crate::pod::stream::forward::protocol::{Asked, Protocol};

/// Most connections at a time.
pub const MAX_CONNECTIONS: usize = 256;
/// Longest name of a request, in bytes; Kubernetes counts them.
const MAX_REQUEST: usize = 64;

/// A tunnel.
#[derive(Default)]
pub struct Tunnel {
    frames: Frames,
    reader: Reader,
    writer: Writer,
    pairs: Vec<Pair>,
    /// The highest number of a stream.
    last: u32,
    /// What is asked for after the frame that was read last: the end of that
    /// stream.
    ends: Option<u32>,
    /// The client opens no more streams.
    leaving: bool,
    /// To be sent.
    out: Vec<u8>,
}

/// The streams of a connection.
#[derive(Debug)]
struct Pair {
    request: String,
    /// As long as it is open.
    error: Option<u32>,
    /// The number of the connection, once it was asked for.
    data: Option<u32>,
}

/// What a stream is to its connection.
enum Part {
    Errors,
    /// The connection itself, to this port.
    Data(u16),
}

impl Tunnel {
    /// What a frame asks for.
    fn take<'a>(&mut self, frame: Frame<'a>) -> Result<Option<Asked<'a>>, String> {
        match frame {
            Frame::Open { stream, flags, block } => {
                let headers = self.reader.read(&block)?;
                if stream.is_multiple_of(2) || stream <= self.last {
                    return Err(format!("a new stream {stream} after {}", self.last));
                }
                self.last = stream;
                return Ok(self.open(stream, flags, &headers));
            }
            Frame::Data { stream, last, bytes } => return self.content(stream, last, bytes),
            Frame::Headers { stream, last, block } => {
                // Even if nobody wants them: the next ones refer to them.
                self.reader.read(&block)?;
                return self.content(stream, last, &[]);
            }
            Frame::Reset(stream, _) => return Ok(self.reset(stream)),
            Frame::Accepted { stream, .. } => {
                return Err(format!("a reply on stream {stream}, which nobody opened"));
            }
            Frame::Ping(id) if id % 2 == 1 => Frame::Ping(id).write(&mut self.out),
            Frame::GoAway => self.leaving = true,
            Frame::Ping(_) | Frame::Other(_) => {}
        }
        Ok(None)
    }

    fn open<'a>(&mut self, stream: u32, flags: u8, headers: &Headers) -> Option<Asked<'a>> {
        let Some(part) = self.join(stream, flags, headers) else {
            Frame::Reset(stream, status::REFUSED).write(&mut self.out);
            return None;
        };
        let block = self.writer.write(&[]);
        Frame::Accepted { stream, block }.write(&mut self.out);
        let Part::Data(port) = part else { return None };
        self.ends = (flags & FIN != 0).then_some(stream);
        Some(Asked::Open(stream, port))
    }

    /// Finds the place of a new stream. `None`: there is none.
    fn join(&mut self, stream: u32, flags: u8, headers: &Headers) -> Option<Part> {
        if self.leaving || flags & UNIDIRECTIONAL != 0 {
            return None;
        }
        let request = headers.get("requestid").filter(|text| text.len() <= MAX_REQUEST)?;
        let port = headers.get("port")?.parse().ok().filter(|port| *port > 0)?;
        let room = self.pairs.len() < MAX_CONNECTIONS;
        let pair = self.pairs.iter_mut().find(|pair| pair.request == request);
        match (headers.get("streamtype")?, pair) {
            ("error", None) if room => {
                let (request, error) = (request.to_owned(), Some(stream));
                self.pairs.push(Pair { request, error, data: None });
                Some(Part::Errors)
            }
            ("data", Some(pair @ Pair { data: None, .. })) => {
                pair.data = Some(stream);
                Some(Part::Data(port))
            }
            _ => None,
        }
    }

    fn content<'a>(
        &mut self,
        stream: u32,
        last: bool,
        bytes: &'a [u8],
    ) -> Result<Option<Asked<'a>>, String> {
        if stream.is_multiple_of(2) || stream > self.last {
            return Err(format!("content of stream {stream}, which nobody opened"));
        }
        // Nobody reads the error stream, and what is late for an ended one.
        if self.pair(stream).is_none() {
            return Ok(None);
        }
        self.ends = last.then_some(stream);
        Ok(Some(Asked::Send(stream, bytes)))
    }

    fn reset<'a>(&mut self, stream: u32) -> Option<Asked<'a>> {
        if self.pair(stream).is_some() {
            self.end_errors(stream, "");
            self.pairs.retain(|pair| pair.data != Some(stream));
            return Some(Asked::Drop(stream));
        }
        let pair = self.pairs.iter_mut().find(|pair| pair.error == Some(stream))?;
        pair.error = None;
        self.pairs.retain(|pair| pair.error.is_some() || pair.data.is_some());
        None
    }

    fn pair(&mut self, number: u32) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.data == Some(number))
    }

    /// Says what went wrong, or that nothing did.
    fn end_errors(&mut self, number: u32, text: &str) {
        if let Some(stream) = self.pair(number).and_then(|pair| pair.error.take()) {
            Frame::Data { stream, last: true, bytes: text.as_bytes() }.write(&mut self.out);
        }
    }
}

impl Protocol for Tunnel {
    fn next<'a>(&mut self, message: &mut &'a [u8]) -> Result<Option<Asked<'a>>, String> {
        loop {
            if let Some(stream) = self.ends.take() {
                return Ok(Some(Asked::End(stream)));
            }
            let Some(frame) = self.frames.next(message)? else { return Ok(None) };
            if let Some(asked) = self.take(frame)? {
                return Ok(Some(asked));
            }
        }
    }

    fn data(&mut self, stream: u32, bytes: &[u8]) {
        Frame::Data { stream, last: false, bytes }.write(&mut self.out);
    }

    fn ended(&mut self, stream: u32) -> bool {
        self.end_errors(stream, "");
        Frame::Data { stream, last: true, bytes: &[] }.write(&mut self.out);
        true
    }

    fn failed(&mut self, stream: u32, text: &str) {
        self.end_errors(stream, text);
        self.ended(stream);
    }

    fn gone(&mut self, number: u32) {
        self.pairs.retain(|pair| pair.data != Some(number));
    }

    fn message(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    fn kept(&self) -> usize {
        self.out.len()
    }

    fn is_over(&self) -> bool {
        self.leaving && self.pairs.is_empty()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A frame by kind, stream, request and flags: those of a well-behaved client, in any order.
    fn frame(writer: &mut Writer, kind: u8, stream: u32, request: u8, flags: u8) -> Frame<'static> {
        let (request, last) = (request.to_string(), flags & FIN != 0);
        let mut headers =
            |kind| writer.write(&[("streamtype", kind), ("port", "80"), ("requestid", &*request)]);
        match kind {
            0 => Frame::Open { stream, flags, block: headers("error") },
            1 => Frame::Open { stream, flags, block: headers("data") },
            2 => Frame::Headers { stream, last, block: headers("") },
            3 => Frame::Reset(stream, 5),
            4 => Frame::Ping(stream),
            5 if request == "0" => Frame::GoAway,
            _ => Frame::Data { stream, last, bytes: b"content" },
        }
    }

    proptest! {
        #[test]
        fn only_what_is_open_is_asked_for(
            script in vec((0..9u8, 1..8u32, 0..3u8, 0..2u8, 0..6u8), 0..60),
        ) {
            let (mut tunnel, mut writer) = (Tunnel::default(), Writer::default());
            let (mut open, mut next) = (BTreeSet::new(), 1u32);
            for (kind, back, request, flags, pod) in script {
                let stream = if kind < 2 { next } else { next.saturating_sub(2 * back).max(1) };
                next += if kind < 2 { 2 } else { 0 };
                let mut bytes = Vec::new();
                frame(&mut writer, kind, stream, request, flags).write(&mut bytes);
                let mut rest = &bytes[..];
                loop {
                    match tunnel.next(&mut rest) {
                        Ok(Some(Asked::Open(number, port))) => {
                            prop_assert_eq!(port, 80);
                            prop_assert!(open.insert(number));
                        }
                        Ok(Some(Asked::Send(number, _) | Asked::End(number))) => {
                            prop_assert!(open.contains(&number));
                        }
                        Ok(Some(Asked::Drop(number))) => prop_assert!(open.remove(&number)),
                        Ok(None) => break,
                        // Content of a stream before the first.
                        Err(_) => return Ok(()),
                    }
                }
                if let Some(number) = (pod == 0).then(|| open.pop_first()).flatten() {
                    tunnel.failed(number, "text");
                    tunnel.gone(number);
                }
                prop_assert!(open.len() <= tunnel.pairs.len());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(messages in vec(vec(any::<u8>(), 0..60), 0..6), control in 0..10u8) {
            let mut tunnel = Tunnel::default();
            let mut start = &[0x80, 0x03, 0, control, 0, 0, 0][..];
            let _ = tunnel.next(&mut start);
            for message in &messages {
                let mut rest = &message[..];
                while let Ok(Some(_)) = tunnel.next(&mut rest) {}
            }
        }
    }

    #[test]
    fn the_error_stream_ends_before_the_data_stream() {
        let (mut tunnel, mut writer, mut bytes) =
            (Tunnel::default(), Writer::default(), Vec::new());
        frame(&mut writer, 0, 1, 0, FIN).write(&mut bytes);
        frame(&mut writer, 1, 3, 0, FIN).write(&mut bytes);
        let mut rest = &bytes[..];
        assert_eq!(tunnel.next(&mut rest), Ok(Some(Asked::Open(3, 80))));
        assert_eq!(tunnel.next(&mut rest), Ok(Some(Asked::End(3))));
        assert_eq!(tunnel.next(&mut rest), Ok(None));
        let (mut replies, mut frames) = (tunnel.message().unwrap(), Frames::default());
        tunnel.failed(3, "why");
        replies.extend(tunnel.message().unwrap());
        let mut rest = &replies[..];
        let mut got = Vec::new();
        while let Some(frame) = frames.next(&mut rest).unwrap() {
            got.push(match frame {
                Frame::Accepted { stream, .. } => (stream, "accepted"),
                Frame::Data { stream, last: true, bytes } => {
                    (stream, str::from_utf8(bytes).unwrap())
                }
                _ => (0, ""),
            });
        }
        assert_eq!(got, [(1, "accepted"), (3, "accepted"), (1, "why"), (3, "")]);
        assert_eq!((tunnel.message(), tunnel.kept()), (None, 0));
    }
}
