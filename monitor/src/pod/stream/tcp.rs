//! A TCP connection that never blocks, for code that reads and writes.

use std::io::{Error, Read, Result, Write};

use rustix::net::{SendFlags, Shutdown};
use wire::{AsFd, BorrowedFd, Errno, OwnedFd};

/// Most pieces of 4 kB that are read for nothing.
const MAX_DISCARDED: usize = 64;

/// One connection.
#[derive(Debug)]
pub struct Tcp(pub OwnedFd);

fn error(error: Errno) -> Error {
    Error::from_raw_os_error(error.raw_os_error())
}

impl Read for Tcp {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        rustix::io::read(&self.0, bytes).map_err(error)
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL).map_err(error)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Tcp {
    /// Writes a short answer to a connection that has just been made, and so
    /// has room for it; then reads what has come, for otherwise the answer
    /// would be lost with it (RFC 9112 section 9.6).
    pub fn say_last(mut self, text: &str) {
        let _ = self.write(text.as_bytes());
        let _ = rustix::net::shutdown(&self.0, Shutdown::Write);
        let mut sink = [0u8; 4096];
        for _ in 0..MAX_DISCARDED {
            if !matches!(self.read(&mut sink), Ok(1..)) {
                return;
            }
        }
    }
}
