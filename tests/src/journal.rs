//! A test in the place of journald: in a mount namespace of its own the monitor finds the test's socket where the
//! journal's would be. Needs root.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, Result};
use crate::{Call, Container, Scratch, namespace, under_test, wait};

/// Puts the journal's directory into its place.
pub const MOUNT: &str = r#"mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind "$0" /run/systemd/journal"#;

/// journald's socket.
#[derive(Debug)]
pub struct Journal {
    /// Where it is, in the directory `journal`.
    pub scratch: Scratch,
    socket: UnixDatagram,
}

/// The fields of an entry, less those that say which line of the monitor's source sent it.
pub type Entry = BTreeMap<String, String>;

impl Journal {
    /// `None` where the test may not mount.
    ///
    /// # Errors
    /// The socket or the wrapper cannot be made.
    pub fn new() -> Result<Option<Journal>> {
        if !namespace::possible() {
            under_test::skipped("a mount namespace takes root");
            return Ok(None);
        }
        let scratch = Scratch::new()?;
        let directory = scratch.directory("journal")?;
        let socket = UnixDatagram::bind(directory.join("socket")).context("bind")?;
        socket.set_read_timeout(Some(wait::limit())).context("set a timeout")?;
        Ok(Some(Journal { scratch, socket }))
    }

    /// A program that is `program` where this is the journal.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn wrap(&self, program: &Path) -> Result<PathBuf> {
        namespace::wrapper(&self.scratch, MOUNT, &self.scratch.join("journal"), program)
    }

    /// A call that logs to the journal only.
    ///
    /// # Errors
    /// As [`Call::create`].
    pub fn call(&self, script: &str) -> Result<Call> {
        self.call_of(&Container::sh(script))
    }

    /// The same for any container.
    ///
    /// # Errors
    /// As [`Call::create`].
    pub fn call_of(&self, container: &Container) -> Result<Call> {
        let call = Call::create(&self.scratch, container)?;
        Ok(call.program(&self.wrap(&under_test::binary()?)?).set("-l", "journald"))
    }

    /// The next entry as it came.
    ///
    /// # Errors
    /// There is none in time.
    pub fn receive(&self, space: &mut [u8]) -> Result<usize> {
        self.socket.recv(space).context("no entry comes")
    }

    /// The next entry.
    ///
    /// # Errors
    /// There is none in time, or it is none.
    pub fn entry(&self) -> Result<Entry> {
        let mut bytes = vec![0; 1 << 20];
        let len = self.receive(&mut bytes)?;
        parse(bytes.get(..len).unwrap_or(&[])).ok_or_else(|| Error::new("not an entry"))
    }

    /// Priority, text and mark of the next entry.
    ///
    /// # Errors
    /// As [`Journal::entry`].
    pub fn line(&self) -> Result<(String, String, bool)> {
        let mut entry = self.entry()?;
        let mut take = |name: &str| entry.remove(name);
        let part = take("CONTAINER_PARTIAL_MESSAGE").is_some();
        Ok((take("PRIORITY").unwrap_or_default(), take("MESSAGE").unwrap_or_default(), part))
    }
}

/// From the form of systemd's native protocol.
fn parse(mut rest: &[u8]) -> Option<Entry> {
    let mut entry = Entry::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, more) = (rest.get(..end)?, rest.get(end + 1..)?);
        let (name, value, more) = match line.iter().position(|byte| *byte == b'=') {
            Some(at) => (line.get(..at)?, line.get(at + 1..)?, more),
            None => {
                let (len, more) = more.split_first_chunk::<8>()?;
                let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
                let (value, more) = more.split_at_checked(len)?;
                (line, value, more.get(1..)?)
            }
        };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if !name.starts_with(b"CODE_") {
            entry.insert(text(name), text(value));
        }
        rest = more;
    }
    Some(entry)
}
