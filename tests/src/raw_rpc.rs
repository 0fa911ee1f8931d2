//! Cap'n Proto RPC by hand, word by word: a client that can say what no library would.
//!
//! It knows nothing of the server's code. Layouts: capnproto.org, "Encoding" and "RPC Protocol" (`rpc.capnp`).

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::error::{Context, Error, Result};
use crate::wait;

/// The id of the server's one interface.
pub const INTERFACE: u64 = 0xb737_e899_dd66_33f1;

/// Kinds of RPC messages, as their union numbers them.
pub mod kind {
    #![allow(missing_docs)]
    pub const UNIMPLEMENTED: u16 = 0;
    pub const ABORT: u16 = 1;
    pub const CALL: u16 = 2;
    pub const RETURN: u16 = 3;
    pub const FINISH: u16 = 4;
    pub const RESOLVE: u16 = 5;
    pub const RELEASE: u16 = 6;
    pub const BOOTSTRAP: u16 = 8;
    pub const PROVIDE: u16 = 10;
}

/// A message in the making: one segment of 8-byte words.
#[derive(Clone, Debug)]
pub struct Words(pub Vec<u64>);

impl Words {
    /// An RPC message of this kind, its body still null: the root pointer, one word of data, one pointer.
    pub fn message(kind: u16) -> Words {
        Words(vec![struct_pointer(0, 1, 1), u64::from(kind), 0])
    }

    /// Appends a structure, lets the pointer at word `at` lead to it, and returns its first word.
    pub fn add(&mut self, at: usize, data: &[u64], pointers: u16) -> usize {
        let first = self.0.len();
        self.0[at] = struct_pointer(first - at - 1, data.len() as u16, pointers);
        self.0.extend(data);
        self.0.extend(vec![0; pointers.into()]);
        first
    }

    /// Appends bytes, lets the pointer at word `at` lead to them as a list of bytes.
    pub fn add_bytes(&mut self, at: usize, bytes: &[u8]) {
        let first = self.0.len();
        self.0[at] = list_pointer(first - at - 1, 2, bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0.push(u64::from_le_bytes(word));
        }
    }

    /// Appends a text, as [`Words::add_bytes`] with a NUL.
    pub fn add_text(&mut self, at: usize, text: &str) {
        self.add_bytes(at, &[text.as_bytes(), b"\0"].concat());
    }

    /// As it goes over the wire: the number of segments less one, the segment's length in words, the segment.
    pub fn framed(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend((self.0.len() as u32).to_le_bytes());
        bytes.extend(self.0.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }
}

/// A pointer to a structure that begins `offset` words behind it.
pub fn struct_pointer(offset: usize, data: u16, pointers: u16) -> u64 {
    (offset as u64) << 2 | u64::from(data) << 32 | u64::from(pointers) << 48
}

/// A pointer to a list that begins `offset` words behind it; `size` is the code for its elements' size.
pub fn list_pointer(offset: usize, size: u64, count: u64) -> u64 {
    1 | (offset as u64) << 2 | size << 32 | count << 35
}

/// Asks for the server's object.
pub fn bootstrap(question: u32) -> Words {
    let mut words = Words::message(kind::BOOTSTRAP);
    words.add(2, &[question.into()], 1);
    words
}

/// Says that an answer is not needed any more.
pub fn finish(question: u32) -> Words {
    let mut words = Words::message(kind::FINISH);
    words.add(2, &[question.into()], 0);
    words
}

/// Gives references to an object back.
pub fn release(object: u32, count: u32) -> Words {
    let mut words = Words::message(kind::RELEASE);
    words.add(2, &[u64::from(object) | u64::from(count) << 32], 0);
    words
}

/// What a call is addressed to.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// An object by its number.
    Imported(u32),
    /// What a question will be answered with.
    Promised(u32),
}

/// A call without parameters yet: the message, and the word of the pointer where the parameters' structure goes.
pub fn call_of(question: u32, target: Target, interface: u64, method: u16) -> (Words, usize) {
    let mut words = Words::message(kind::CALL);
    let data = [u64::from(question) | u64::from(method) << 32, interface, 0];
    let call = words.add(2, &data, 3);
    match target {
        Target::Imported(object) => {
            words.add(call + 3, &[object.into()], 1);
        }
        Target::Promised(question) => {
            let target = words.add(call + 3, &[1 << 32], 1);
            words.add(target + 1, &[question.into()], 1);
        }
    }
    let payload = words.add(call + 4, &[], 2);
    (words, payload)
}

/// A call with a request of so much data and so many pointers: the message, and the request's first word.
pub fn call(
    question: u32,
    target: Target,
    method: u16,
    data: &[u64],
    pointers: u16,
) -> (Words, usize) {
    let (mut words, payload) = call_of(question, target, INTERFACE, method);
    let params = words.add(payload, &[], 1);
    let request = words.add(params, data, pointers);
    (words, request)
}

/// The call that is answered with the server's pid.
pub fn version(question: u32, target: Target) -> Words {
    call(question, target, 0, &[0], 1).0
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It will not go on, and why.
    Abort(String),
    /// It does not know this kind of message.
    Unimplemented,
    /// An error for a question: its type (0 failed, 3 unimplemented) and its reason.
    Exception(u32, u16, String),
    /// Results for a question: the first word of the response, 0 if there is none.
    Results(u32, u64),
    /// Anything else, by its kind.
    Other(u16),
}

impl Reply {
    fn of(words: &[u64]) -> Result<Reply> {
        let message = Reader { words }.structure(0)?;
        Ok(match message.data(0) as u16 {
            kind::UNIMPLEMENTED => Reply::Unimplemented,
            kind::ABORT => Reply::Abort(message.pointer(0)?.text(0)?),
            kind::RETURN => {
                let answer = message.pointer(0)?;
                let question = answer.data(0) as u32;
                match (answer.data(0) >> 48) as u16 {
                    0 => {
                        let results = answer.pointer(0)?.pointer(0)?;
                        Reply::Results(
                            question,
                            results.pointer(0).map_or(0, |found| found.data(0)),
                        )
                    }
                    1 => {
                        let exception = answer.pointer(0)?;
                        let kind = (exception.data(0) >> 32) as u16;
                        Reply::Exception(question, kind, exception.text(0)?)
                    }
                    other => return Err(Error::new(format!("a return of kind {other}"))),
                }
            }
            other => Reply::Other(other),
        })
    }
}

/// Just enough to read the server's answers, which are one segment.
#[derive(Clone, Copy)]
struct Reader<'a> {
    words: &'a [u64],
}

struct Structure<'a> {
    reader: Reader<'a>,
    first: usize,
    data: usize,
    pointers: usize,
}

impl<'a> Reader<'a> {
    fn word(&self, at: usize) -> Result<u64> {
        self.words.get(at).copied().ok_or_else(|| Error::new(format!("no word {at} in an answer")))
    }

    /// Where the pointer at word `at` leads.
    fn target(&self, at: usize) -> Result<(u64, usize)> {
        let pointer = self.word(at)?;
        let offset = i64::from(pointer as i32 >> 2);
        Ok((pointer, (at as i64 + 1 + offset) as usize))
    }

    fn structure(self, at: usize) -> Result<Structure<'a>> {
        let (pointer, first) = self.target(at)?;
        if pointer & 3 == 3 {
            // A capability, as a bootstrap is answered with: nothing to look into.
            return Ok(Structure { reader: self, first, data: 0, pointers: 0 });
        }
        let (data, pointers) = ((pointer >> 32) as u16, (pointer >> 48) as u16);
        Ok(Structure { reader: self, first, data: data.into(), pointers: pointers.into() })
    }
}

impl<'a> Structure<'a> {
    /// A word of its data; what is not there is 0.
    fn data(&self, index: usize) -> u64 {
        if index < self.data { self.reader.word(self.first + index).unwrap_or(0) } else { 0 }
    }

    fn pointer(&self, index: usize) -> Result<Structure<'a>> {
        if index >= self.pointers {
            return Ok(Structure { reader: self.reader, first: 0, data: 0, pointers: 0 });
        }
        self.reader.structure(self.first + self.data + index)
    }

    fn text(&self, index: usize) -> Result<String> {
        let (pointer, first) = self.reader.target(self.first + self.data + index)?;
        let count = (pointer >> 35) as usize;
        let words = self.reader.words.get(first..).unwrap_or_default();
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).take(count).collect();
        let text = bytes.strip_suffix(b"\0").ok_or_else(|| Error::new("a text without NUL"))?;
        String::from_utf8(text.to_vec()).context("a text")
    }
}

/// A connection to the server.
#[derive(Debug)]
pub struct Connection(UnixStream);

impl Connection {
    /// A new one. Nothing on it waits longer than [`wait::limit`].
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn new(socket: &Path) -> Result<Connection> {
        let stream = UnixStream::connect(socket).context("cannot connect")?;
        stream.set_read_timeout(Some(wait::limit())).context("set_read_timeout")?;
        stream.set_write_timeout(Some(wait::limit())).context("set_write_timeout")?;
        Ok(Connection(stream))
    }

    /// Sends bytes; a server that has hung up is no error.
    ///
    /// # Errors
    /// The server does not take them.
    pub fn send(&mut self, bytes: &[u8]) -> Result {
        match self.0.write_all(bytes) {
            Err(error) if !hung_up(&error) => Err(error).context("cannot send"),
            _ => Ok(()),
        }
    }

    /// Sends as much as fits without waiting, and says how much that was.
    pub fn send_some(&mut self, bytes: &[u8]) -> usize {
        let _ = self.0.set_nonblocking(true);
        let sent = self.0.write(bytes).unwrap_or(0);
        let _ = self.0.set_nonblocking(false);
        sent
    }

    /// Says that nothing more will be sent.
    pub fn end(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// The next message of the server; none when it has hung up.
    ///
    /// # Errors
    /// Silence for [`wait::limit`], or bytes that are no message.
    pub fn reply(&mut self) -> Result<Option<Reply>> {
        let mut header = [0; 8];
        match self.0.read_exact(&mut header) {
            Err(error) if hung_up(&error) => return Ok(None),
            other => other.context("no answer")?,
        }
        let [a, b, c, d, length @ ..] = header;
        if [a, b, c, d] != [0; 4] {
            return Err(Error::new("an answer in more than one segment"));
        }
        let mut bytes = vec![0; 8 * u32::from_le_bytes(length) as usize];
        self.0.read_exact(&mut bytes).context("half an answer")?;
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()))
            .collect();
        Reply::of(&words).map(Some)
    }

    /// All that the server says until it hangs up.
    ///
    /// # Errors
    /// As [`Connection::reply`].
    pub fn replies(&mut self) -> Result<Vec<Reply>> {
        let mut all = Vec::new();
        while let Some(reply) = self.reply()? {
            all.push(reply);
        }
        Ok(all)
    }
}

fn hung_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
