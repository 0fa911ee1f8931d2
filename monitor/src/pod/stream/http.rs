//! The HTTP request that a session begins with, and its answer (RFC 9112,
//! RFC 6455 section 4).

use httparse::Header;
use tungstenite::handshake::derive_accept_key;

use super::request::Job;
use crate::pod::unique::is_uuid;

/// Longest head of a request, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most header lines.
const MAX_HEADERS: usize = 64;

/// What a head of a request means.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has not all come yet.
    Incomplete,
    /// It opens the session: this is what to answer, and to go on by.
    Open(Opening),
    /// This is answered, and the connection closed.
    Refused(String),
}

/// A session that begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Opening {
    /// The answer.
    pub answer: String,
    /// The subprotocol in it; empty: none.
    pub protocol: &'static str,
    /// What follows the `?` in the URL.
    pub query: String,
    /// How many bytes the head has; what follows is the client's first frames.
    pub length: usize,
}

/// Subprotocols for commands and attaching: one byte of channel number, then
/// content.
pub const CHANNELS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

/// The subprotocols of a job.
pub fn protocols(job: &Job) -> &'static [&'static str] {
    match job {
        Job::Exec(_) | Job::Attach(_) => &CHANNELS,
        Job::PortForward(_) => &super::forward::PROTOCOLS,
    }
}

/// Judges what has come so far of a request: it has to open a WebSocket, and to
/// know the token.
pub fn judge(bytes: &[u8], token: &str, protocols: &[&'static str]) -> Verdict {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Verdict::Incomplete,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return refused("431 Request Header Fields Too Large", "", "too many headers");
        }
        Err(error) => return refused("400 Bad Request", "", &error.to_string()),
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let opened = check(path, request.method.unwrap_or_default(), request.headers, token);
    let key = match opened {
        Ok(key) => key,
        Err(refusal) => return refusal,
    };
    let offered = values(request.headers, "sec-websocket-protocol");
    let protocol = offered.iter().find_map(|name| protocols.iter().find(|own| *own == name));
    let protocol = protocol.copied().unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        derive_accept_key(key)
    );
    if !protocol.is_empty() {
        answer.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
    }
    answer.push_str("\r\n");
    Verdict::Open(Opening { answer, protocol, query: query.to_owned(), length })
}

/// The WebSocket key of a request that is as it should be.
fn check<'a>(
    path: &str,
    method: &str,
    headers: &[Header<'a>],
    token: &str,
) -> Result<&'a [u8], Verdict> {
    let parts = ["/exec/", "/attach/", "/port-forward/"];
    let Some(given) = parts.iter().find_map(|part| path.strip_prefix(part)) else {
        return Err(refused("404 Not Found", "", ""));
    };
    if !["GET", "HEAD", "POST"].contains(&method) {
        return Err(refused("405 Method Not Allowed", "Allow: GET,HEAD,POST\r\n", ""));
    }
    if !is_uuid(given) {
        return Err(refused("400 Bad Request", "", "the token is not a UUID"));
    }
    if method != "GET" {
        return Err(refused("405 Method Not Allowed", "", "Request method must be `GET`"));
    }
    let wanted =
        [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    for (name, wanted) in wanted {
        if !values(headers, name).iter().any(|value| value.eq_ignore_ascii_case(wanted)) {
            let title = match name {
                "connection" => "Connection",
                "upgrade" => "Upgrade",
                _ => "Sec-WebSocket-Version",
            };
            let text = format!("{title} header did not include '{wanted}'");
            return Err(refused("400 Bad Request", "", &text));
        }
    }
    let key = headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-key"));
    let Some(key) = key else {
        return Err(refused("400 Bad Request", "", "Sec-WebSocket-Key header is missing"));
    };
    if !given.eq_ignore_ascii_case(token) {
        return Err(refused("404 Not Found", "", ""));
    }
    Ok(key.value)
}

/// All values of a header, which may be there several times, each with several
/// values.
fn values<'a>(headers: &[Header<'a>], name: &str) -> Vec<&'a str> {
    let lines = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let texts = lines.filter_map(|header| str::from_utf8(header.value).ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).collect()
}

fn refused(status: &str, more: &str, text: &str) -> Verdict {
    Verdict::Refused(format!(
        "HTTP/1.1 {status}\r\n{more}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    ))
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "01234567-89ab-4cde-8123-456789abcdef";
    const UPGRADE: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    fn request(method: &str, path: &str, headers: &str) -> Verdict {
        let text = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
        judge(text.as_bytes(), TOKEN, &CHANNELS)
    }

    fn good(headers: &str) -> Opening {
        match request("GET", &format!("/exec/{TOKEN}?a=b"), &format!("{UPGRADE}{headers}")) {
            Verdict::Open(opening) => opening,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_known_subprotocol_of_the_client_is_taken() {
        let opening = good("");
        assert_eq!((opening.protocol, &*opening.query), ("", "a=b"));
        // The example of RFC 6455.
        assert!(opening.answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        assert!(!opening.answer.contains("Protocol:"));
        let both = "Sec-WebSocket-Protocol: v9, v4.channel.k8s.io\r\n\
            Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n";
        assert_eq!(good(both).protocol, "v4.channel.k8s.io");
        assert!(good(both).answer.contains("Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n"));
    }

    #[test]
    fn what_opens_no_session_is_refused_with_the_reason() {
        let path = format!("/exec/{TOKEN}");
        let other = format!("/exec/{}", TOKEN.replace('7', "8"));
        for (method, path, headers, starts, ends) in [
            ("GET", &*path, "", "400", "\r\n\r\nConnection header did not include 'upgrade'"),
            ("POST", &path, UPGRADE, "405", "\r\n\r\nRequest method must be `GET`"),
            ("PUT", &path, UPGRADE, "405", "\r\n\r\n"),
            ("GET", "/exec/x", UPGRADE, "400", "UUID"),
            ("GET", "/other", UPGRADE, "404", "\r\n\r\n"),
            ("GET", &other, UPGRADE, "404", "\r\n\r\n"),
        ] {
            let Verdict::Refused(answer) = request(method, path, headers) else {
                panic!("{method} {path} is not refused")
            };
            assert!(answer.starts_with(&format!("HTTP/1.1 {starts} ")), "{answer}");
            assert!(answer.ends_with(ends), "{answer}");
            assert_eq!(answer.contains("Allow: GET,HEAD,POST"), method == "PUT");
        }
    }

    #[test]
    fn a_head_that_never_ends_is_refused() {
        let endless = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(MAX_HEAD));
        let short = endless.split_at(MAX_HEAD - 1).0;
        assert_eq!(judge(short.as_bytes(), TOKEN, &CHANNELS), Verdict::Incomplete);
        assert!(matches!(judge(endless.as_bytes(), TOKEN, &CHANNELS), Verdict::Refused(_)));
        let many = "A: b\r\n".repeat(MAX_HEADERS + 1);
        assert!(matches!(request("GET", "/", &many), Verdict::Refused(_)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_nor_open(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(!matches!(judge(&bytes, TOKEN, &CHANNELS), Verdict::Open(_)));
        }
    }
}
