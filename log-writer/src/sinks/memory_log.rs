//! A log in memory, for tests of what is written to the byte.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::Space;
use super::log_file::{Done, Form, LogFile};
use crate::untold::NONE;
use rustix::fs::MemfdFlags;
use rustix::time::Timespec;
use wire::message::Stream;
use wire::record::{Encoder, seal};
use wire::{AsFd, OwnedFd, Record};

pub(crate) struct Log {
    file: OwnedFd,
    record: OwnedFd,
    log: LogFile,
    space: Box<Space>,
    pub(crate) now: Timespec,
}

impl Log {
    /// Two hours east of Greenwich, so many nanoseconds after a full second.
    pub(crate) fn new(form: Form, nanoseconds: i64) -> Self {
        let mut bytes = Vec::new();
        Encoder::new(|piece: &[u8]| bytes.extend_from_slice(piece)).zone(i64::MIN, 7200);
        let record = seal(&bytes).unwrap();
        let file = rustix::fs::memfd_create(c"log", MemfdFlags::CLOEXEC).unwrap();
        let copy = rustix::io::dup(&file).unwrap();
        let log = LogFile::new(form, copy, Record::map(&record).unwrap().fields(), true, NONE);
        let now = Timespec { tv_sec: 1_700_000_000, tv_nsec: nanoseconds };
        Log { file, record, log, space: Box::new(Space::new()), now }
    }

    pub(crate) fn chunk(&mut self, stream: Stream, chunk: &[u8], hold: bool) -> Done {
        self.space.input(chunk.len()).copy_from_slice(chunk);
        let (chunk, mut buffer) = self.space.split(chunk.len());
        self.log.write(self.record.as_fd(), &mut buffer, self.now, stream, chunk, hold)
    }

    /// A chunk of which all is taken at once.
    pub(crate) fn whole(&mut self, stream: Stream, chunk: &[u8]) {
        let done = self.chunk(stream, chunk, true);
        assert_eq!(done, Done { taken: chunk.len(), kept: 0, renewed: false });
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let len = rustix::fs::fstat(&self.file).unwrap().st_size as usize;
        let mut bytes = vec![0; len];
        let mut read = 0;
        while read < len {
            read += rustix::io::pread(&self.file, &mut bytes[read..], read as u64).unwrap();
        }
        bytes
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}
