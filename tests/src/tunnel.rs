//! The client's side of port forwarding through a tunnel: SPDY frames in WebSocket messages.

use std::collections::{BTreeMap, BTreeSet};

use monitor::pod::stream::forward::spdy::frame::{FIN, Frame, Frames};
use monitor::pod::stream::forward::spdy::headers::{Reader, Writer};
use tungstenite::Message;

use crate::error::{Error, Result};
use crate::stream::Stream;

/// The subprotocol.
pub const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

/// A tunnel, and what has come out of it.
pub struct Tunnel {
    /// The session that it is in.
    pub stream: Stream,
    frames: Frames,
    reader: Reader,
    writer: Writer,
    /// Streams that were accepted.
    pub accepted: BTreeSet<u32>,
    /// Streams that were reset, and why.
    pub reset: BTreeMap<u32, u32>,
    /// Content of streams.
    pub got: BTreeMap<u32, Vec<u8>>,
    /// Streams that have ended.
    pub ended: BTreeSet<u32>,
    /// Pings.
    pub pings: Vec<u32>,
}

impl Tunnel {
    /// Opens the session at a URL.
    ///
    /// # Errors
    /// The server refuses.
    pub fn open(url: &str) -> Result<Tunnel> {
        let stream = Stream::open(url, TUNNEL)?;
        if stream.protocol() != Some(TUNNEL) {
            return Err(Error::new(format!("the protocol is {:?}", stream.protocol())));
        }
        Ok(Tunnel {
            stream,
            frames: Frames::default(),
            reader: Reader::default(),
            writer: Writer::default(),
            accepted: BTreeSet::new(),
            reset: BTreeMap::new(),
            got: BTreeMap::new(),
            ended: BTreeSet::new(),
            pings: Vec::new(),
        })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The session is over.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result {
        self.stream.send_message(Message::binary(bytes.to_vec()))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The session is over.
    pub fn send(&mut self, frame: &Frame<'_>) -> Result {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        self.send_bytes(&bytes)
    }

    /// Sends content of a stream; `last`: and no more.
    ///
    /// # Errors
    /// The session is over.
    pub fn send_data(&mut self, stream: u32, last: bool, bytes: &[u8]) -> Result {
        self.send(&Frame::Data { stream, last, bytes })
    }

    /// A frame that opens a stream. Those of a tunnel have to be sent in their order.
    pub fn opening(&mut self, stream: u32, flags: u8, headers: &[(&str, &str)]) -> Frame<'static> {
        Frame::Open { stream, flags, block: self.writer.write(headers) }
    }

    /// Frames that open the two streams of a connection: this one for errors, the one two further for data.
    pub fn opening_both(&mut self, stream: u32, port: u16) -> [Frame<'static>; 2] {
        let (port, request) = (port.to_string(), stream.to_string());
        [("error", FIN, stream), ("data", 0, stream + 2)].map(|(kind, flags, stream)| {
            let headers = [("streamtype", kind), ("port", &*port), ("requestid", &*request)];
            self.opening(stream, flags, &headers)
        })
    }

    /// Opens the two streams of a connection, and gives the one for data: two further.
    ///
    /// # Errors
    /// The session is over.
    pub fn connect(&mut self, stream: u32, port: u16) -> Result<u32> {
        for frame in self.opening_both(stream, port) {
            self.send(&frame)?;
        }
        Ok(stream + 2)
    }

    /// Reads until something is so.
    ///
    /// # Errors
    /// The session is over, or nothing more comes.
    pub fn until(&mut self, what: &str, so: impl Fn(&Tunnel) -> bool) -> Result {
        while !so(self) {
            match self.stream.message()? {
                Some(Message::Binary(bytes)) => self.read(&bytes)?,
                None => return Err(Error::new(format!("the end, waiting for {what}"))),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Reads until a stream has ended, and gives what came on it.
    ///
    /// # Errors
    /// The session is over, or nothing more comes.
    pub fn all(&mut self, stream: u32) -> Result<String> {
        self.until("the end of a stream", |tunnel| tunnel.ended.contains(&stream))?;
        Ok(String::from_utf8_lossy(self.content(stream)).into_owned())
    }

    /// What has come on a stream.
    pub fn content(&self, stream: u32) -> &[u8] {
        self.got.get(&stream).map_or(&[], Vec::as_slice)
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result {
        while let Some(frame) = self.frames.next(&mut bytes).map_err(Error::new)? {
            match frame {
                Frame::Accepted { stream, block } => {
                    self.reader.read(&block).map_err(Error::new)?;
                    self.accepted.insert(stream);
                }
                Frame::Reset(stream, why) => {
                    self.reset.insert(stream, why);
                }
                Frame::Ping(id) => self.pings.push(id),
                Frame::Data { stream, last, bytes } => {
                    if self.ended.contains(&stream) || !self.accepted.contains(&stream) {
                        return Err(Error::new(format!("stream {stream} is not open: {bytes:?}")));
                    }
                    self.got.entry(stream).or_default().extend(bytes);
                    if last {
                        self.ended.insert(stream);
                    }
                }
                other => return Err(Error::new(format!("the server sends {other:?}"))),
            }
        }
        Ok(())
    }
}
