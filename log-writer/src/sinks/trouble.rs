//! Writing whole records, also when the disk is full.
//!
//! A write that fails drops whole records and never parts: what was written of
//! a torn record is cut off again. Dropped records are counted, and a record of
//! our own says how many as soon as writing works again.

use super::log_file::Form;
use super::{json_file, k8s_file};
use crate::stamp::Stamp;
use crate::untold::Loss;
use core::fmt::Write;
use rustix::io::IoSlice;
use wire::message::Stream;
use wire::{BorrowedFd, Errno};

/// Bytes of the notice with the longest number and reason, and some.
const NOTICE: usize = 192;

/// What has gone to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wrote {
    /// The records as they are.
    Records,
    /// More or less than that.
    Otherwise,
    /// Less, for the first time; and why.
    Dropped(Errno),
}

/// What could not be written to one log.
pub(crate) struct Trouble {
    /// Records dropped since the last notice, and why the first of them was.
    untold: Loss,
    /// The log ends in the middle of a record, and could not be cut.
    torn: bool,
}

impl Trouble {
    /// Nothing but what an earlier log-writer has left untold.
    pub(crate) const fn new(untold: Loss) -> Self {
        Trouble { untold, torn: false }
    }

    /// What was dropped and the log does not say yet.
    pub(crate) fn untold(&self) -> Loss {
        self.untold
    }

    /// Writes `records`, each ending with a newline, to `file`. A record of our
    /// own has this form and this stamp.
    pub(crate) fn write(
        &mut self,
        file: BorrowedFd<'_>,
        regular: bool,
        form: Form,
        stamp: &Stamp,
        records: &[u8],
    ) -> Wrote {
        if self.untold.lines == 0 && !self.torn {
            match rustix::io::write(file, records) {
                Ok(written) if written == records.len() => Wrote::Records,
                Ok(written) => self.go_on(file, regular, &[], records, written),
                Err(Errno::INTR) => self.go_on(file, regular, &[], records, 0),
                Err(error) => self.drop_after(file, regular, &[], records, 0, error),
            }
        } else {
            let first = self.notice(form, stamp);
            self.go_on(file, regular, &first, records, 0)
        }
    }

    /// Writes what is left of `first` and `records` after `done` bytes.
    #[cold]
    fn go_on(
        &mut self,
        file: BorrowedFd<'_>,
        regular: bool,
        first: &[u8],
        records: &[u8],
        mut done: usize,
    ) -> Wrote {
        let all = first.len() + records.len();
        while done < all {
            let rest = [
                IoSlice::new(first.get(done..).unwrap_or(&[])),
                IoSlice::new(records.get(done.saturating_sub(first.len())..).unwrap_or(&[])),
            ];
            match rustix::io::writev(file, &rest) {
                Err(Errno::INTR) => {}
                Ok(0) => return self.drop_after(file, regular, first, records, done, Errno::IO),
                Ok(written) => done += written,
                Err(error) => return self.drop_after(file, regular, first, records, done, error),
            }
        }
        self.untold.lines = 0;
        self.torn = false;
        Wrote::Otherwise
    }

    /// Drops what follows the last whole record in the first `done` bytes.
    #[cold]
    fn drop_after(
        &mut self,
        file: BorrowedFd<'_>,
        regular: bool,
        first: &[u8],
        records: &[u8],
        done: usize,
        why: Errno,
    ) -> Wrote {
        let written = records.get(..done.saturating_sub(first.len())).unwrap_or(&[]);
        // Records contain no newline but their last byte. Our own one is of no
        // use alone: as long as no record fits after it, it is taken back.
        let whole = memchr::memrchr(b'\n', written).map_or(0, |at| at + 1);
        let keep = if whole == 0 { 0 } else { first.len() + whole };
        let lost = records.get(whole..).unwrap_or(&[]);
        let lost = memchr::memchr_iter(b'\n', lost).count() as u64;
        let first_time = self.untold.lines == 0;
        if whole > 0 {
            // Our record is out, with the number from before.
            self.untold.lines = 0;
            self.torn = false;
        }
        if self.untold.lines == 0 {
            self.untold.why = why;
        }
        self.untold.lines += lost;
        if done > keep {
            self.torn = !regular || cut(file, (done - keep) as u64).is_err();
        }
        if first_time { Wrote::Dropped(why) } else { Wrote::Otherwise }
    }

    /// The record that says what was dropped.
    #[cold]
    fn notice(&self, form: Form, stamp: &Stamp) -> heapless::Vec<u8, NOTICE> {
        let mut text = heapless::Vec::new();
        if self.torn {
            let _ = text.push(b'\n');
        }
        if self.untold.lines > 0 {
            let k8s;
            let (head, end) = match form {
                Form::K8s => {
                    k8s = k8s_file::head(stamp, Stream::Stderr, b'F');
                    (&k8s[..], heapless::Vec::from_array([b'\n']))
                }
                Form::Json => {
                    let mut end = heapless::Vec::from_array(*b"\\n");
                    let _ = end.extend_from_slice(&json_file::end(stamp, Stream::Stderr));
                    (json_file::HEAD, end)
                }
            };
            let end: heapless::Vec<u8, 80> = end;
            let (dropped, why) = (self.untold.lines, reason(self.untold.why));
            let _ = text.extend_from_slice(head);
            let _ = write!(text, "[conmote: {dropped} log lines dropped: {why}]");
            let _ = text.extend_from_slice(&end);
        }
        text
    }
}

/// Takes the last `bytes` of a regular file away.
fn cut(file: BorrowedFd<'_>, bytes: u64) -> Result<(), Errno> {
    let size = rustix::fs::fstat(file)?.st_size as u64;
    rustix::fs::ftruncate(file, size.saturating_sub(bytes))
}

/// What an error means to whoever reads the log.
pub(crate) fn reason(error: Errno) -> &'static str {
    match error {
        Errno::NOSPC => "no space left on device",
        Errno::DQUOT => "disk quota exceeded",
        Errno::FBIG => "file too large",
        Errno::AGAIN => "its reader is too slow",
        Errno::PIPE | Errno::CONNRESET => "its reader is gone",
        _ => "write error",
    }
}
