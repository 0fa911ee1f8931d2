//! The client's side of a streaming session: a WebSocket with channels, as Kubernetes' clients use it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use monitor::pod::types::{
    CgroupManager, ServeAttachContainerRequest, ServeExecContainerRequest,
    ServePortForwardContainerRequest,
};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Response;
use tungstenite::{Message, WebSocket};

use crate::error::{Context, Error, Result};
use crate::pod::{Pod, PodContainer};
use crate::wait;

/// Input, output, error output, status, size of the terminal, end of a channel.
pub mod channel {
    #![allow(missing_docs)]
    pub const STDIN: u8 = 0;
    pub const STDOUT: u8 = 1;
    pub const STDERR: u8 = 2;
    pub const STATUS: u8 = 3;
    pub const RESIZE: u8 = 4;
    pub const CLOSE: u8 = 255;
}

/// The subprotocol that current clients ask for.
pub const V5: &str = "v5.channel.k8s.io";

/// A session that is open.
#[derive(Debug)]
pub struct Stream {
    web: WebSocket<TcpStream>,
    /// The answer to the request that opened it.
    pub response: Response,
    /// What has come so far, by channel.
    pub got: BTreeMap<u8, Vec<u8>>,
    /// How it was closed.
    pub closed: Option<(u16, String)>,
}

/// The address in a URL: `127.0.0.1:PORT`.
///
/// # Errors
/// It is no such URL.
pub fn address(url: &str) -> Result<&str> {
    let rest = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
    rest.ok_or_else(|| Error::new(format!("no URL of a session: {url}")))
}

/// Connects to the server of a URL.
///
/// # Errors
/// Nobody listens there.
pub fn connect(url: &str) -> Result<TcpStream> {
    let tcp = TcpStream::connect(address(url)?).context("cannot connect to the session")?;
    tcp.set_read_timeout(Some(wait::limit())).context("read time-out")?;
    tcp.set_write_timeout(Some(wait::limit())).context("write time-out")?;
    Ok(tcp)
}

fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(300)..]).into_owned()
}

/// Sends bytes to the server of a URL, and gives all that it answers.
///
/// # Errors
/// Nobody listens there, or the answer has no end.
pub fn raw(url: &str, bytes: &[u8]) -> Result<String> {
    let mut tcp = connect(url)?;
    tcp.write_all(bytes).context("cannot send")?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).context("no end of the answer")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

impl Stream {
    /// Opens the session at a URL, with these subprotocols offered.
    ///
    /// # Errors
    /// The server refuses.
    pub fn open(url: &str, protocols: &str) -> Result<Stream> {
        let ws = url.replacen("http://", "ws://", 1);
        let mut request = ws.into_client_request().context("no request")?;
        if !protocols.is_empty() {
            let value = protocols.parse().context("odd name of a protocol")?;
            request.headers_mut().insert("Sec-WebSocket-Protocol", value);
        }
        let (web, response) = tungstenite::client(request, connect(url)?)
            .map_err(|error| Error::new(format!("no session: {error}")))?;
        Ok(Stream { web, response, got: BTreeMap::new(), closed: None })
    }

    /// The subprotocol that the server has chosen.
    pub fn protocol(&self) -> Option<&str> {
        self.response.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok())
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The session is over.
    pub fn send(&mut self, channel: u8, content: impl AsRef<[u8]>) -> Result {
        let mut bytes = vec![channel];
        bytes.extend(content.as_ref());
        self.send_message(Message::binary(bytes))
    }

    /// Sends a message of any kind.
    ///
    /// # Errors
    /// The session is over.
    pub fn send_message(&mut self, message: Message) -> Result {
        self.web.send(message).context("cannot send to the session")
    }

    /// Sends bytes that are no message.
    ///
    /// # Errors
    /// The session is over.
    pub fn send_garbage(&mut self, bytes: &[u8]) -> Result {
        self.web.get_mut().write_all(bytes).context("cannot send to the session")
    }

    /// Sends the end of the input.
    ///
    /// # Errors
    /// The session is over.
    pub fn end_input(&mut self) -> Result {
        self.send(channel::CLOSE, [channel::STDIN])
    }

    /// Takes the next message. `None`: the session is over.
    ///
    /// # Errors
    /// Nothing comes for [`wait::limit`], or the connection breaks.
    pub fn message(&mut self) -> Result<Option<Message>> {
        match self.web.read() {
            Ok(Message::Binary(bytes)) => {
                if let Some((channel, content)) = bytes.split_first() {
                    self.got.entry(*channel).or_default().extend(content);
                }
                Ok(Some(Message::Binary(bytes)))
            }
            Ok(Message::Close(frame)) => {
                self.closed = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                Ok(Some(Message::Close(None)))
            }
            Ok(other) => Ok(Some(other)),
            Err(tungstenite::Error::ConnectionClosed) => Ok(None),
            Err(error) => Err(Error::new(format!("the session broke: {error}"))),
        }
    }

    /// Reads until a channel has had this text.
    ///
    /// # Errors
    /// The session is over, or nothing more comes.
    pub fn expect(&mut self, channel: u8, text: &str) -> Result {
        let mut looked_at = 0;
        loop {
            let got = self.channel(channel);
            let from = looked_at - text.len().min(looked_at);
            if crate::attach::contains(&got[from..], text.as_bytes()) {
                return Ok(());
            }
            looked_at = got.len();
            let next = self.message();
            let so_far = tail(self.channel(channel));
            if next.context(format_args!("waiting for {text:?} after {so_far:?}"))?.is_none() {
                return Err(Error::new(format!("no {text:?}, but {so_far:?}, and the end")));
            }
        }
    }

    /// Reads until the session is over, and gives how it was closed.
    ///
    /// # Errors
    /// The connection breaks, or nothing comes.
    pub fn end(&mut self) -> Result<(u16, String)> {
        while self.message()?.is_some() {}
        self.closed.clone().ok_or_else(|| Error::new("the session was not closed"))
    }

    /// What has come on a channel.
    pub fn channel(&self, channel: u8) -> &[u8] {
        self.got.get(&channel).map_or(&[], Vec::as_slice)
    }

    /// The same as text.
    pub fn text(&self, channel: u8) -> String {
        String::from_utf8_lossy(self.channel(channel)).into_owned()
    }

    /// The connection, to be broken or left alone.
    pub fn tcp(&self) -> &TcpStream {
        self.web.get_ref()
    }
}

impl PodContainer {
    /// The request for streaming a command in it: with output, without input and terminal.
    pub fn stream<S: Into<String>>(
        &self,
        command: impl IntoIterator<Item = S>,
    ) -> ServeExecContainerRequest {
        ServeExecContainerRequest {
            id: self.request.id.clone(),
            command: command.into_iter().map(Into::into).collect(),
            stdout: true,
            stderr: true,
            cgroup_manager: CgroupManager::Cgroupfs,
            ..ServeExecContainerRequest::default()
        }
    }
}

impl Pod<'_> {
    /// Where to connect for this command.
    ///
    /// # Errors
    /// The server refuses.
    pub fn exec_url(&self, request: &ServeExecContainerRequest) -> Result<String> {
        Ok(self.client.serve_exec_container(request).context("serveExec")?.url)
    }

    /// Streams a command.
    ///
    /// # Errors
    /// The server refuses.
    pub fn stream(&self, request: &ServeExecContainerRequest) -> Result<Stream> {
        Stream::open(&self.exec_url(request)?, V5)
    }

    /// Where to connect for attaching to a container.
    ///
    /// # Errors
    /// The server refuses.
    pub fn attach_url(&self, container: &PodContainer, stdin: bool) -> Result<String> {
        let request = ServeAttachContainerRequest {
            id: container.request.id.clone(),
            stdin,
            stdout: true,
            stderr: true,
            ..ServeAttachContainerRequest::default()
        };
        Ok(self.client.serve_attach_container(&request).context("serveAttach")?.url)
    }

    /// Where to connect for the ports of a network namespace.
    ///
    /// # Errors
    /// The server refuses.
    pub fn ports_url(&self, path: &str) -> Result<String> {
        let request =
            ServePortForwardContainerRequest { net_ns_path: path.into(), ..Default::default() };
        let response = self.client.serve_port_forward_container(&request);
        Ok(response.context("servePortForward")?.url)
    }
}
