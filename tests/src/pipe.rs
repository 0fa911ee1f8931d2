//! The engine's end of the sync, start and attach pipes, and the messages that come over them.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use serde_json::Value;

use crate::error::{Context, Error, Result};
use crate::{sys, wait};

/// One message on the sync or attach pipe, e.g. `{"data": 42}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `data`, `pid` or `exit_code`.
    pub key: String,
    /// The number after it.
    pub value: i64,
    /// `message`, if there is one.
    pub text: Option<String>,
    /// The packet as it came.
    pub raw: Vec<u8>,
}

/// The engine's end of one of the three pipes.
#[derive(Debug)]
pub struct Pipe(pub(crate) OwnedFd);

impl Pipe {
    /// Our end of a packet socket.
    pub fn new(fd: OwnedFd) -> Pipe {
        Pipe(fd)
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// Nothing came in time.
    pub fn packet(&mut self) -> Result<Option<Vec<u8>>> {
        if !sys::readable(&self.0, wait::deadline()).context("poll")? {
            return Err(Error::new(format!(
                "no message on the pipe for {} s",
                wait::limit().as_secs()
            )));
        }
        let mut buffer = vec![0; 65536];
        let length = match sys::read(&self.0, &mut buffer) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            other => other.context("cannot read the pipe")?,
        };
        buffer.truncate(length);
        Ok((length > 0).then_some(buffer))
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// Nothing came in time, or it isn't one JSON object with one number.
    pub fn message(&mut self) -> Result<Option<Message>> {
        let Some(raw) = self.packet()? else {
            return Ok(None);
        };
        let wrong = || format!("not a message: {:?}", String::from_utf8_lossy(&raw));
        let value: Value = serde_json::from_slice(&raw).context(wrong())?;
        let object = value.as_object().ok_or_else(|| Error::new(wrong()))?;
        let number = object.iter().find_map(|(key, value)| Some((key.clone(), value.as_i64()?)));
        let (key, number) = number.ok_or_else(|| Error::new(wrong()))?;
        let text = object.get("message").and_then(Value::as_str).map(str::to_owned);
        Ok(Some(Message { key, value: number, text, raw }))
    }
}
