//! A gigabyte through each log driver, put together again and compared.

use std::ffi::c_void;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use tests::flood::Check;
use tests::journal::Journal;
use tests::{Call, Container, Context, Result, Scratch, Session, ours_only, under_test};

/// Blocks of a megabyte.
const BLOCKS: usize = 1024;

/// A container that prints them.
fn container() -> Result<Container> {
    let program = under_test::small_runtime()?;
    Ok(Container::new([program.to_string_lossy().into_owned(), "flood".into(), BLOCKS.to_string()]))
}

/// Hands every line of a file, newline included, to `each`.
fn lines(path: &Path, mut each: impl FnMut(&[u8]) -> Result) -> Result {
    let file = File::open(path).context("cannot open the log")?;
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line).context("cannot read the log")? == 0 {
            return Ok(());
        }
        each(&line)?;
    }
}

/// The exit status, even if the machine has so much else to do that it takes a minute or two.
fn status(session: &Session) -> Result<i32> {
    (0..5).find_map(|_| session.exit_code().ok()).map_or_else(|| session.exit_code(), Ok)
}

/// Runs it with this driver, whose log is then read line by line by `each`.
fn flood(driver: &str, mut each: impl FnMut(&[u8], &mut Check) -> Result) -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &container()?)?.log_driver(driver).flag("--no-sync-log");
    let session = call.running()?;
    assert_eq!(status(&session)?, 0);
    let mut check = Check::new();
    lines(&session.paths.log, |line| each(line, &mut check))?;
    check.finish(BLOCKS)
}

#[test]
fn a_gigabyte_goes_through_a_k8s_file() -> Result {
    ours_only!();
    flood("k8s-file", |line, check| {
        let content = &line[45..line.len() - 1];
        check.push(content)?;
        match line[43] {
            b'F' => check.push(b"\n"),
            tag => {
                assert_eq!(tag, b'P');
                Ok(())
            }
        }
    })
}

/// Whether the byte is there, at the speed of the C library, also in tests that are not optimised.
fn has(byte: u8, text: &[u8]) -> bool {
    // SAFETY: looks at the bytes of a live slice and at no others.
    !unsafe { libc::memchr(text.as_ptr().cast::<c_void>(), byte.into(), text.len()) }.is_null()
}

#[test]
fn a_gigabyte_goes_through_a_json_file() -> Result {
    ours_only!();
    flood("json-file", |line, check| {
        let tail = line.len().saturating_sub(tests::json_log::END);
        let end = line[tail..].windows(12).rposition(|part| part == b"\",\"stream\":\"").unwrap();
        let text = &line[tests::json_log::HEAD.len()..tail + end];
        match text.strip_suffix(b"\\n") {
            Some(content) if !has(b'\\', content) => {
                check.push(content)?;
                check.push(b"\n")
            }
            None if !has(b'\\', text) => check.push(text),
            _ => {
                let quoted = [b"\"", text, b"\""].concat();
                let text: String = serde_json::from_slice(&quoted).context("a string")?;
                check.push(text.as_bytes())
            }
        }
    })
}

/// How often the journal's flood may be too much for the machine.
const TRIES: usize = 4;

#[test]
fn a_gigabyte_goes_through_the_journal() -> Result {
    ours_only!();
    // A journald that the machine's other work keeps from reading for long loses lines, and rightly, if it is told.
    // SAFETY: takes no pointers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -15) };
    for _ in 0..TRIES {
        if journal_flood()? {
            return Ok(());
        }
    }
    panic!("the journal is never read in time");
}

/// Whether all of it arrived. If not, we have been told so.
fn journal_flood() -> Result<bool> {
    let Some(journal) = Journal::new()? else { return Ok(true) };
    let session = journal.call_of(&container()?)?.running()?;
    let mut check = Check::new();
    let mut space = vec![0; 1 << 17];
    let mut wrong = None;
    while !check.has(BLOCKS) {
        // After a difference, the words that explain it have to come.
        let len = match (journal.receive(&mut space), wrong.take()) {
            (Ok(len), difference) => {
                wrong = difference;
                len
            }
            (Err(error), difference) => return Err(difference.unwrap_or(error)),
        };
        let rest = space[..len].strip_prefix(b"MESSAGE\n").unwrap();
        let (len, rest) = rest.split_first_chunk::<8>().unwrap();
        let message = &rest[..u64::from_le_bytes(*len) as usize];
        if message.starts_with(b"[conmote: ") {
            return Ok(false);
        }
        if wrong.is_none() {
            wrong = check.push(message).err();
        }
    }
    assert_eq!(status(&session)?, 0);
    check.finish(BLOCKS)?;
    Ok(true)
}
