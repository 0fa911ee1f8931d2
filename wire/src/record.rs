//! The record of a container: everything about it that outlives set-up, in a
//! sealed memfd that any program can read, or map, without allocating.
//!
//! Layout: the eight bytes of [`MAGIC`], then fields, each a tag (u16), a
//! length (u32), both little-endian, and that many bytes. Strings end with a
//! NUL inside their length, so that they can be handed to the kernel as they
//! are. Numbers are eight bytes, little-endian. Unknown tags are skipped; a
//! tag may occur several times where its description says so.

use crate::sealed::Sealed;
use crate::{AsFd, Errno};
use core::ffi::CStr;

pub use crate::sealed::seal;

/// First bytes of every record; the last one is the version of the layout.
pub const MAGIC: [u8; 8] = *b"conmote\x01";

/// Largest record that is read, in bytes. An exit command of a thousand long
/// arguments fits many times.
pub const MAX_LEN: usize = 4 << 20;

/// What a field means. Strings unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Tag {
    /// The container's id (`--cid`): name of the exit file.
    Cid = 1,
    /// `--exit-dir`.
    ExitDir = 2,
    /// `--persist-dir`.
    PersistDir = 3,
    /// `--exit-command`.
    ExitCommand = 4,
    /// `--exit-command-arg`; any number of times.
    ExitCommandArg = 5,
    /// Number: seconds to wait before the exit command.
    ExitDelay = 6,
    /// Number: seconds after which the container is killed; absent: never.
    Timeout = 7,
    /// The key of the exit status message on the sync pipe (`data` or
    /// `exit_code`); absent: no such message.
    SyncKey = 8,
    /// Path of the attach socket, to unlink at exit.
    AttachPath = 9,
    /// Path of the symlink in the socket directory, to unlink at exit.
    SocketLink = 10,
    /// The oom_score_adj the exit command gets (decimal text).
    OomScoreAdj = 11,
    /// Number: non-zero when the end of a client's input closes the
    /// container's stdin.
    CloseStdin = 12,
    /// Path of the k8s-file log, absolute; absent when there is none.
    LogPath = 13,
    /// Number: bytes a log file may have before it is started anew.
    LogSizeMax = 14,
    /// Number: non-zero when the log is not to be synced to disk at exit.
    NoSyncLog = 15,
    /// Local time: eight bytes of seconds since the epoch (i64) and four
    /// bytes of seconds east of UTC (i32) that hold from then on, both
    /// little-endian; in ascending order, any number of times.
    Zone = 16,
    /// Path of the bundle; absent when it has none.
    Bundle = 17,
    /// Path of the kernel's count of out-of-memory events (see
    /// [`crate::oom`]); absent when it is not to be looked at.
    OomCounter = 18,
    /// Number: what `oom` was when the container was made; absent on v1.
    OomsBefore = 19,
    /// Number: what `oom_kill` was then.
    OomKillsBefore = 20,
    /// Bytes: the fields that every journal entry of the container has, in the
    /// form of systemd's native journal protocol; absent when it does not log
    /// to the journal.
    Journal = 21,
    /// Number: non-zero when journal entries for parts of lines are not to be
    /// marked as such.
    JournalUnmarked = 22,
    /// Path of the json-file log; absent when there is none. Where there is a
    /// k8s-file log as well, the descriptor of the log is a
    /// [`bundle`](crate::bundle) of both, in this order: k8s-file, json-file.
    JsonPath = 23,
    /// Number: backups of a log file that are kept when it is started anew;
    /// absent: none, the old content goes.
    LogBackups = 24,
    /// A directory in which, or below which, log files may be: absolute,
    /// without symbolic links; any number of times; absent: anywhere.
    LogAllowed = 25,
    /// Number: bytes after which nothing more is logged to files; absent: no
    /// limit. How many it is so far is the file offset of the record itself
    /// (nobody reads it with read(2)): all who hold a duplicate share it.
    LogGlobalMax = 26,
    /// The host's notification socket as `NOTIFY_SOCKET` has it (sd_notify(3)):
    /// a path of at most 107 bytes, or `@` and an abstract name; absent when
    /// nobody is to be notified.
    NotifySocket = 31,
    /// Of a pod: path of the OCI runtime.
    Runtime = 36,
    /// Of a pod: its folder (`--runtime-dir`).
    RuntimeDir = 37,
    /// Of a pod: `--runtime-root`; absent when the runtime has its own.
    RuntimeRoot = 38,
    /// Of a pod: which messages of the server are shown (`--log-level`).
    LogLevel = 39,
    /// Folder of a file that gets the exit status. Goes with the
    /// [`ExitName`](Tag::ExitName) in the same place; any number of times,
    /// written in this order.
    ExitFolder = 40,
    /// Name of that file.
    ExitName = 41,
    /// Folder of a file that is made when memory runs out, with its
    /// [`OomName`](Tag::OomName); any number of times.
    OomFolder = 42,
    /// Name of that file.
    OomName = 43,
    /// Number: non-zero when attach clients get a packet with nothing but a
    /// zero after the last output.
    AttachDone = 44,
    /// Of a pod: path of the RPC socket, to unlink when the server ends.
    RpcSocket = 45,
    /// The name that the log-writer's process takes (proc(5), `comm`): the
    /// journal notes it with each entry, and readers look for it.
    WriterName = 46,
    /// Path of the file with the pid of a pod's pause process, to unlink when
    /// that ends; marks the record of one, which has no id.
    PausePidFile = 50,
    /// Path of a file that a namespace of the pod is bound to, to unmount and
    /// unlink then; any number of times.
    NamespaceFile = 51,
    /// Of a pod: path of the fd socket, to unlink when the server ends.
    FdSocket = 52,
    /// Of a streaming session: what it is (`exec`, `attach` or `port-forward`).
    StreamKind = 56,
    /// Of a streaming session: what a client has to know to begin it.
    StreamToken = 57,
    /// Number: in ms of CLOCK_MONOTONIC, until when a client may do that.
    StreamUntil = 58,
    /// Number: a bit for each thing that was asked for; monitor knows them.
    StreamFlags = 59,
    /// Of a streaming session: a word of the command, any number of times, or
    /// the path of the network namespace.
    StreamWord = 60,
}

/// Writes the fields of a record, piece by piece, to wherever the caller
/// collects them.
pub struct Encoder<Put: FnMut(&[u8])> {
    put: Put,
}

impl<Put: FnMut(&[u8])> Encoder<Put> {
    /// Begins with the magic bytes.
    pub fn new(mut put: Put) -> Self {
        put(&MAGIC);
        Encoder { put }
    }

    /// A string; must not have a NUL inside (command lines cannot).
    pub fn string(&mut self, tag: Tag, value: &[u8]) -> &mut Self {
        self.head(tag, value.len() + 1);
        (self.put)(value);
        (self.put)(&[0]);
        self
    }

    /// Bytes of any kind.
    pub fn bytes(&mut self, tag: Tag, value: &[u8]) -> &mut Self {
        self.head(tag, value.len());
        (self.put)(value);
        self
    }

    /// A number.
    pub fn number(&mut self, tag: Tag, value: u64) -> &mut Self {
        self.head(tag, 8);
        (self.put)(&value.to_le_bytes());
        self
    }

    /// From `since` (seconds since the epoch) on, local time is `offset`
    /// seconds east of UTC.
    pub fn zone(&mut self, since: i64, offset: i32) -> &mut Self {
        self.head(Tag::Zone, 12);
        (self.put)(&since.to_le_bytes());
        (self.put)(&offset.to_le_bytes());
        self
    }

    fn head(&mut self, tag: Tag, len: usize) {
        (self.put)(&(tag as u16).to_le_bytes());
        (self.put)(&(len as u32).to_le_bytes());
    }
}

/// The fields of an encoded record. Total: stops at the first that is cut off.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Over the bytes of a record. `None` if they do not begin like one.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.strip_prefix(&MAGIC).map(|rest| Fields { rest })
    }

    /// The bytes of every field with this tag.
    pub fn all(self, tag: Tag) -> impl Iterator<Item = &'a [u8]> {
        self.filter(move |(found, _)| *found == tag as u16).map(|(_, bytes)| bytes)
    }

    /// Every string with this tag.
    pub fn strings(self, tag: Tag) -> impl Iterator<Item = &'a CStr> {
        self.all(tag).filter_map(|bytes| CStr::from_bytes_with_nul(bytes).ok())
    }

    /// The string with this tag.
    pub fn string(self, tag: Tag) -> Option<&'a CStr> {
        self.strings(tag).next()
    }

    /// The number with this tag.
    pub fn number(self, tag: Tag) -> Option<u64> {
        let bytes: [u8; 8] = self.all(tag).next()?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Whether the number with this tag is there and not zero.
    pub fn flag(self, tag: Tag) -> bool {
        self.number(tag).is_some_and(|value| value != 0)
    }

    /// What local time is at `now` (seconds since the epoch): seconds east of
    /// UTC, and until when (seconds since the epoch) that holds.
    pub fn zone(self, now: i64) -> (i32, i64) {
        let mut offset = 0;
        for bytes in self.all(Tag::Zone) {
            let Some((since, east)) = bytes.split_first_chunk::<8>() else {
                continue;
            };
            let Ok(east) = <[u8; 4]>::try_from(east) else {
                continue;
            };
            let since = i64::from_le_bytes(*since);
            if since > now {
                return (offset, since);
            }
            // Real offsets are under 15 hours; anything larger would not fit
            // a time stamp.
            offset = i32::from_le_bytes(east).clamp(-86_399, 86_399);
        }
        (offset, i64::MAX)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.rest.split_first_chunk::<2>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        self.rest = rest;
        Some((u16::from_le_bytes(*tag), bytes))
    }
}

/// Room for most records on a stack, in bytes: podman's, with its exit command,
/// have about 1500.
pub const ROOM: usize = 2048;

/// A record that is looked at. Keep it for as long as a look takes: if it is
/// mapped, that costs page tables while it lives.
pub struct Record<'a> {
    bytes: Bytes<'a>,
}

enum Bytes<'a> {
    Read(&'a [u8]),
    Mapped(Sealed),
}

impl<'a> Record<'a> {
    /// Maps the record in `fd`. Refuses ([`Errno::INVAL`]) what is not sealed
    /// or does not begin like a record.
    pub fn map(fd: impl AsFd) -> Result<Record<'static>, Errno> {
        Record::over(Bytes::Mapped(Sealed::map(fd, MAX_LEN)?))
    }

    /// As [`Record::map`], but if the record is smaller than `room` it is read
    /// into that, which takes a tenth of the time, and need not be sealed.
    pub fn read(fd: impl AsFd, room: &'a mut [u8]) -> Result<Record<'a>, Errno> {
        // At its beginning: the file offset is a count.
        let len = rustix::io::retry_on_intr(|| rustix::io::pread(&fd, &mut *room, 0))?;
        if len >= room.len() {
            return Record::map(fd);
        }
        Record::over(Bytes::Read(room.get(..len).unwrap_or(&[])))
    }

    fn over(bytes: Bytes<'_>) -> Result<Record<'_>, Errno> {
        let record = Record { bytes };
        Fields::new(record.bytes()).ok_or(Errno::INVAL)?;
        Ok(record)
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Read(bytes) => bytes,
            Bytes::Mapped(sealed) => sealed.bytes(),
        }
    }

    /// Its fields.
    pub fn fields(&self) -> Fields<'_> {
        Fields::new(self.bytes()).unwrap_or(Fields { rest: &[] })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece));
        encoder
            .string(Tag::Cid, b"abc")
            .string(Tag::ExitCommandArg, b"")
            .string(Tag::ExitCommandArg, b"\xff x")
            .number(Tag::ExitDelay, 7)
            .zone(i64::MIN, 3600)
            .zone(1000, 7200)
            .zone(2000, -1800);
        bytes
    }

    #[test]
    fn a_sealed_record_reads_back_and_cannot_be_written() {
        let fd = seal(&example()).unwrap();
        let record = Record::map(&fd).unwrap();
        let fields = record.fields();
        assert_eq!(fields.string(Tag::Cid), Some(c"abc"));
        let args: Vec<_> = fields.strings(Tag::ExitCommandArg).collect();
        assert_eq!(args, [c"", c"\xff x"]);
        assert_eq!(fields.number(Tag::ExitDelay), Some(7));
        assert_eq!(fields.number(Tag::Timeout), None);
        assert_eq!(fields.zone(999), (3600, 1000));
        assert_eq!(fields.zone(1000), (7200, 2000));
        assert_eq!(fields.zone(5000), (-1800, i64::MAX));
    }

    #[test]
    fn sealed_bytes_that_are_no_record_are_refused() {
        let fd = seal(b"READY=1").unwrap();
        assert_eq!(Record::map(&fd).err(), Some(Errno::INVAL));
        assert_eq!(Record::read(&fd, &mut [0; ROOM]).err(), Some(Errno::INVAL));
    }

    #[test]
    fn a_record_is_the_same_whether_there_is_room_for_it_or_not() {
        let bytes = example();
        let fd = seal(&bytes).unwrap();
        for room in [0, 1, bytes.len() - 1, bytes.len(), bytes.len() + 1, ROOM] {
            let mut room = vec![0; room];
            let record = Record::read(&fd, &mut room).unwrap();
            assert_eq!(record.bytes(), bytes);
            assert_eq!(matches!(record.bytes, Bytes::Read(_)), room.len() > bytes.len());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), now in any::<i64>()) {
            bytes.splice(0..0, MAGIC);
            let fields = Fields::new(&bytes).unwrap();
            let total: usize = fields.map(|(_, value)| value.len()).sum();
            prop_assert!(total <= bytes.len());
            let _ = (fields.string(Tag::Cid), fields.number(Tag::Timeout), fields.zone(now));
        }

        #[test]
        fn a_record_cut_short_never_panics(cut in 0..100usize) {
            let mut bytes = example();
            bytes.truncate(cut);
            if let Some(fields) = Fields::new(&bytes) {
                prop_assert!(fields.count() <= 7);
            }
        }
    }
}
