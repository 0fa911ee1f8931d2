//! The floor of logging: a pipe read in whole, its lines framed as a k8s-file log frames them, and written, in one loop.

use crate::report::{Context, Result};
use crate::sys::own_seconds;
use memchr::memchr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of one read: as much as a pipe holds.
const CHUNK: usize = 65536;

const HEAD: &[u8; 45] = b"2026-01-01T00:00:00.000000000+00:00 stdout F ";
const PART: usize = 43;

/// Copies what the command writes to a new file; the time it takes, and the processor time of the copying alone.
pub(super) fn copy(command: &[String], to: &Path) -> Result<(Duration, Option<f64>)> {
    let mut log = File::create(to).context(format!("cannot make {}", to.display()))?;
    let seconds = || own_seconds().context("cannot read processor times");
    let mut chunk = vec![0; CHUNK];
    let mut framed = Vec::with_capacity(2 * CHUNK);
    let began = Instant::now();
    let (program, arguments) = command.split_first().context("no command")?;
    let child =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.context(format!("cannot run {program}"))?;
    let mut pipe = child.stdout.take().context("no pipe")?;
    let before = seconds()?;
    loop {
        let count = pipe.read(&mut chunk).context("cannot read the pipe")?;
        if count == 0 {
            break;
        }
        frame(&chunk[..count], &mut framed);
        log.write_all(&framed).context(format!("cannot write {}", to.display()))?;
        framed.clear();
    }
    let used = seconds()? - before;
    let took = began.elapsed();
    let status = child.wait().context("cannot wait for the writer")?;
    if status.success() {
        Ok((took, Some(used)))
    } else {
        Err(format!("{program} failed: {status}"))
    }
}

fn frame(mut bytes: &[u8], to: &mut Vec<u8>) {
    while !bytes.is_empty() {
        let end = memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        let begin = to.len();
        to.extend_from_slice(HEAD);
        to.extend_from_slice(line);
        if end.is_none() {
            to[begin + PART] = b'P';
            to.push(b'\n');
        }
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::tests::load::{Blocks, Kind};
    use ::tests::verify::{Expected, k8s_file};

    #[test]
    fn what_is_framed_is_a_k8s_file_log() {
        let blocks = Blocks::new(Kind::Lines);
        let mut log = vec![];
        frame(&blocks.bytes()[..40], &mut log);
        frame(&blocks.bytes()[40..], &mut log);
        assert!(k8s_file(&log[..], Expected::new(Kind::Lines, 1)).is_ok());
    }
}
