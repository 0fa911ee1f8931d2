//! The least that can play a container, its runtime, or its monitor: a few system calls, no libc, one or two written
//! pages. What a measurement has to start beside what it measures costs next to nothing this way; and alone it is the
//! floor: what any program would cost.
//!
//! | call | does |
//! |---|---|
//! | `create … --pid-file P …` | an OCI runtime whose container waits to be killed |
//! | `exec … --pid-file P …` | an OCI runtime whose exec session writes `hi` and ends |
//! | `pause` | waits to be killed |
//! | `drip` | writes a line of 100 bytes ten times a second |
//! | `write KIND BLOCKS` | writes that much of `load.rs` at full speed |
//! | `make FILE` | makes an empty file |
//! | `reap NEW FILE MARK` | has a child, whose pid it writes to stdout; when it ends, makes `FILE` by way of `NEW`, then `MARK` |

#![no_std]
#![no_main]

#[path = "../../load.rs"]
mod load;

use core::ffi::CStr;
use core::fmt::Write;

use load::{Blocks, Kind};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::thread::{ClockId, Timespec};
use wire::start::{Arguments, Once};
use wire::sys::{self, Forked, Strings};
use wire::{AsFd, BorrowedFd, Errno};

wire::program!(c"bare", run);

/// Between two lines of `drip`.
const TENTH_OF_A_SECOND: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Bytes of one write at full speed: as much as a pipe holds.
const CHUNK: usize = 65536;

/// Not on the stack, which has not much more.
static BUFFER: Once<[u8; CHUNK]> = Once::new([0; CHUNK]);

fn run(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let me = words.next().unwrap_or(c"");
    let verb = words.next().unwrap_or(c"");
    let done = match (verb.to_bytes(), words.next(), words.next(), words.next()) {
        (b"create" | b"exec", ..) => runtime(verb, arguments),
        (b"pause", ..) => pause(),
        (b"drip", ..) => drip(),
        (b"write", Some(kind), Some(blocks), _) => write(kind, blocks),
        (b"make", Some(file), ..) => make(file, b""),
        (b"reap", Some(new), Some(file), Some(mark)) => reap([new, file, mark], me, arguments),
        _ => Err(Errno::INVAL),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            wire::error!("bare", "{}: {error}", verb.to_str().unwrap_or("?"));
            1
        }
    }
}

fn pause() -> ! {
    loop {
        rustix::event::pause();
    }
}

/// The first process of the container is a fork of the runtime, and the runtime's end is all that it waits for.
fn runtime(verb: &CStr, arguments: Arguments) -> Result<(), Errno> {
    let mut after = arguments.words().skip_while(|word| *word != c"--pid-file");
    let file = after.nth(1).ok_or(Errno::INVAL)?;
    match sys::fork()? {
        Forked::Parent(pid) => {
            let mut text = Text::new();
            let _ = write!(text, "{}", pid.as_raw_nonzero());
            make(file, text.as_bytes())
        }
        Forked::Child if verb == c"create" => pause(),
        Forked::Child => write_all(stdout(), b"hi\n"),
    }
}

fn drip() -> Result<(), Errno> {
    let mut line = Blocks::new(Kind::Lines);
    loop {
        write_all(stdout(), line.bytes())?;
        line.advance();
        let _ = rustix::thread::clock_nanosleep_relative(ClockId::Monotonic, &TENTH_OF_A_SECOND);
    }
}

fn write(kind: &CStr, blocks: &CStr) -> Result<(), Errno> {
    let kind = kind.to_str().ok().and_then(Kind::named).ok_or(Errno::INVAL)?;
    let blocks: u64 =
        blocks.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Errno::INVAL)?;
    let mut block = Blocks::new(kind);
    let chunk = BUFFER.take().ok_or(Errno::BUSY)?;
    let mut filled = 0;
    for _ in 0..blocks {
        if filled + block.bytes().len() > CHUNK {
            write_all(stdout(), &chunk[..filled])?;
            filled = 0;
        }
        chunk[filled..][..block.bytes().len()].copy_from_slice(block.bytes());
        filled += block.bytes().len();
        block.advance();
    }
    write_all(stdout(), &chunk[..filled])
}

fn make(file: &CStr, content: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, file, flags, Mode::from_raw_mode(0o644))?;
    write_all(file.as_fd(), content)
}

/// What the end of a container takes at least: its parent wakes up, writes a file, runs a program.
fn reap(files: [&CStr; 3], me: &CStr, arguments: Arguments) -> Result<(), Errno> {
    let [new, file, mark] = files;
    let child = match sys::fork()? {
        Forked::Child => pause(),
        Forked::Parent(child) => child,
    };
    let mut text = Text::new();
    let _ = writeln!(text, "{}", child.as_raw_nonzero());
    write_all(stdout(), text.as_bytes())?;
    let _ = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())?;
    make(new, b"137")?;
    rustix::fs::rename(new, file)?;
    let mut room = [core::ptr::null(); 4];
    let words = Strings::new(&mut room, [me, c"make", mark]).ok_or(Errno::TOOBIG)?;
    Err(sys::exec(None, me, words, arguments.environment))
}

/// A pid in digits.
type Text = heapless::String<12>;

fn stdout() -> BorrowedFd<'static> {
    // SAFETY: whoever starts this program keeps it open; else writes fail.
    unsafe { BorrowedFd::borrow_raw(1) }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let count = rustix::io::retry_on_intr(|| rustix::io::write(to, bytes))?;
        bytes = &bytes[count..];
    }
    Ok(())
}
