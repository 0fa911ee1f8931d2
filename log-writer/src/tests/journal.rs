//! journald, played by a test.

use super::io::{wait, wait_for};
use super::scratch::{Scratch, c_path};
use crate::sinks::Journal;
use rustix::event::PollFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use std::collections::BTreeMap;
use std::ffi::CStr;
use wire::OwnedFd;

/// The fields of an entry.
pub(crate) type Entry = BTreeMap<String, Vec<u8>>;

/// Constant fields, as a record has them.
pub(crate) const FIELDS: &[u8] = b"CONTAINER_ID=abc\nCONTAINER_NAME=some_name\n";

/// A socket that entries come to.
pub(crate) struct Listener {
    path: &'static CStr,
    socket: OwnedFd,
}

impl Listener {
    pub(crate) fn new(scratch: &Scratch) -> Self {
        Listener::bound(Box::leak(c_path(&scratch.path("journal")).into_boxed_c_str()))
    }

    fn bound(path: &'static CStr) -> Self {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (family, kind) = (AddressFamily::UNIX, SocketType::DGRAM);
        let socket = rustix::net::socket_with(family, kind, flags, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        Listener { path, socket }
    }

    /// Ends, and starts anew at the same place.
    pub(crate) fn restart(self) -> Self {
        let path = self.stop();
        Listener::bound(path)
    }

    /// Ends without a trace.
    pub(crate) fn stop(self) -> &'static CStr {
        rustix::fs::unlink(self.path).unwrap();
        self.path
    }

    /// A connection to it, not made yet.
    pub(crate) fn journal(&self) -> Journal {
        Journal::at(self.path)
    }

    /// Whether nothing comes for so many milliseconds.
    pub(crate) fn is_silent_for(&self, milliseconds: i64) -> bool {
        !wait_for(&self.socket, PollFlags::IN, milliseconds)
    }

    /// The next entry.
    pub(crate) fn next(&self) -> Entry {
        assert!(wait(&self.socket, PollFlags::IN), "no entry comes");
        self.try_next().unwrap()
    }

    /// The next entry, if there is one.
    pub(crate) fn try_next(&self) -> Option<Entry> {
        let mut bytes = vec![0; 1 << 20];
        let mut space = [core::mem::MaybeUninit::uninit(); 64];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [rustix::io::IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = rustix::net::recvmsg(&self.socket, &mut parts, &mut ancillary, flags).ok()?;
        bytes.truncate(got.bytes);
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(mut fds) = message {
                assert!(bytes.is_empty(), "an entry in a file and beside it");
                bytes = contents(&fds.next().unwrap());
            }
        }
        Some(parse(&bytes))
    }

    /// Priority, text, and whether it is a part, of the next entry.
    pub(crate) fn line(&self) -> (char, String, bool) {
        line(&self.next())
    }
}

/// The same of any entry.
pub(crate) fn line(entry: &Entry) -> (char, String, bool) {
    let priority = entry["PRIORITY"][0].into();
    let text = String::from_utf8(entry["MESSAGE"].clone()).unwrap();
    let part = entry.get("CONTAINER_PARTIAL_MESSAGE");
    assert!(part.is_none_or(|part| part == b"true"));
    (priority, text, part.is_some())
}

/// A sealed file's contents.
fn contents(file: &OwnedFd) -> Vec<u8> {
    use rustix::fs::SealFlags;
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    assert_eq!(rustix::fs::fcntl_get_seals(file).unwrap(), all);
    let mut bytes = vec![0; rustix::fs::fstat(file).unwrap().st_size as usize];
    let mut read = 0;
    while read < bytes.len() {
        read += rustix::io::pread(file, &mut bytes[read..], read as u64).unwrap();
    }
    bytes
}

/// The fields of an entry in the form of the native protocol.
fn parse(mut rest: &[u8]) -> Entry {
    let mut entry = Entry::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, more) = (&rest[..end], &rest[end + 1..]);
        let (name, value, more) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (&line[..at], &line[at + 1..], more),
            None => {
                let (len, more) = more.split_first_chunk::<8>().unwrap();
                let (value, more) = more.split_at(u64::from_le_bytes(*len) as usize);
                assert_eq!(more[0], b'\n');
                (line, value, &more[1..])
            }
        };
        let name = String::from_utf8(name.to_vec()).unwrap();
        assert!(entry.insert(name, value.to_vec()).is_none(), "a field twice");
        rest = more;
    }
    entry
}
