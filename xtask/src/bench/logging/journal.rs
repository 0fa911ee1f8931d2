//! A journal that only keeps what it is sent, in the place of journald: in a mount namespace of its own the monitor
//! finds this socket where the system's would be.

use crate::report::{Context, Result};
use ::tests::verify::Expected;
use ::tests::{Scratch, journal, namespace, under_test};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How soon it sees that nothing more will come.
const GLANCE: Duration = Duration::from_millis(50);

/// Bytes of the largest entry that comes in a datagram.
const LARGEST: usize = 1 << 20;

/// A journal at work.
pub(super) struct Journal {
    /// To be called in the monitor's place.
    pub(super) wrapper: PathBuf,
    complete: Arc<AtomicBool>,
    receiver: JoinHandle<std::io::Result<Entries>>,
}

/// Datagrams one behind the other, and where each ends.
#[derive(Default)]
struct Entries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Journal {
    /// None where we may not mount.
    pub(super) fn new(scratch: &Scratch) -> Result<Option<Journal>> {
        if !namespace::possible() {
            eprintln!("bench: the journal needs a mount namespace, and so root; left out");
            return Ok(None);
        }
        let folder = scratch.directory("journal").context("cannot prepare")?;
        let socket = UnixDatagram::bind(folder.join("socket")).context("cannot make a journal")?;
        socket.set_read_timeout(Some(GLANCE)).context("cannot make a journal")?;
        let binary = under_test::binary().context("cannot prepare")?;
        let wrapper = namespace::wrapper(scratch, journal::MOUNT, &folder, &binary)
            .context("cannot prepare")?;
        let complete = Arc::new(AtomicBool::new(false));
        let last = complete.clone();
        let receiver = std::thread::spawn(move || receive(&socket, &last));
        Ok(Some(Journal { wrapper, complete, receiver }))
    }

    /// Looks at all that has come, once nothing more will.
    pub(super) fn verify(self, mut expected: Expected) -> Result<()> {
        self.complete.store(true, Ordering::Release);
        let received = self.receiver.join().map_err(|_| "the journal broke down")?;
        let entries = received.context("the journal cannot receive")?;
        let mut begin = 0;
        for end in entries.ends {
            let text = message(&entries.bytes[begin..end]);
            let text = text.context("an entry without message")?;
            expected.take(text).context("the journal is wrong")?;
            begin = end;
        }
        expected.end().context("the journal is wrong")
    }
}

fn receive(socket: &UnixDatagram, complete: &AtomicBool) -> std::io::Result<Entries> {
    let mut entries = Entries::default();
    let mut entry = vec![0; LARGEST];
    loop {
        let last = complete.load(Ordering::Acquire);
        match socket.recv(&mut entry) {
            Ok(length) => {
                entries.bytes.extend_from_slice(&entry[..length]);
                entries.ends.push(entries.bytes.len());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock && last => return Ok(entries),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The text of an entry in journald's native protocol, where it comes first, in one of two forms.
fn message(entry: &[u8]) -> Option<&[u8]> {
    let rest = entry.strip_prefix(b"MESSAGE")?;
    match rest.split_first()? {
        (b'=', rest) => rest.split(|byte| *byte == b'\n').next(),
        (b'\n', rest) => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_entry_has_two_forms() {
        assert_eq!(message(b"MESSAGE=hello\nPRIORITY=6\n"), Some(&b"hello"[..]));
        let long = b"MESSAGE\n\x06\0\0\0\0\0\0\0hello\n\nPRIORITY=6\n";
        assert_eq!(message(long), Some(&b"hello\n"[..]));
        assert_eq!(message(b"PRIORITY=6\n"), None);
    }
}
