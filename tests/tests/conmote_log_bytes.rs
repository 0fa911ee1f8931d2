//! Logs are right to the byte, whatever the lengths of lines, and whatever happens in the middle of one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::journal::Journal;
use tests::k8s_log::{Record, content, parse, summary};
use tests::{
    Call, Container, Context, Result, Scratch, json_log, ours_only, sys, under_test, wait,
};

/// The drivers that write a file.
const FILES: [&str; 2] = ["k8s-file", "json-file"];

/// Lengths around those of the buffers on the way.
const LENGTHS: [usize; 20] = [
    0, 1, 2, 4095, 4096, 4097, 8190, 8191, 8192, 8193, 16_383, 16_384, 16_385, 65_535, 65_536,
    65_537, 131_071, 131_072, 131_073, 196_608,
];

/// Lines of these lengths, each with its own letter, ended in the three ways there are; the last one is unfinished.
fn lines() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (end, letters) in [(&b"\n"[..], b'a'), (b"\r\n", b'A'), (b"\0\n", b'a')] {
        for (length, letter) in LENGTHS.iter().zip(letters..) {
            bytes.resize(bytes.len() + length, letter);
            bytes.extend_from_slice(end);
        }
    }
    bytes.extend_from_slice(b"unfinished");
    bytes
}

fn records(driver: &str, log: &Path) -> Result<Vec<Record>> {
    let bytes = fs::read(log).context("cannot read the log")?;
    if driver == "json-file" { json_log::parse(&bytes) } else { parse(&bytes) }
}

#[test]
fn lines_of_every_length_come_back_from_a_file() -> Result {
    ours_only!();
    let expected = lines();
    for driver in FILES {
        let scratch = Scratch::new()?;
        let file = scratch.join("lines");
        fs::write(&file, &expected).unwrap();
        // All at once, and in pieces that are read one by one.
        let file = file.display();
        for script in [format!("cat {file}"), format!("dd if={file} bs=1000 2>/dev/null")] {
            let call = Call::create(&scratch, &Container::sh(script))?.log_driver(driver);
            let session = call.running()?;
            session.exit_code()?;
            let records = records(driver, &session.paths.log)?;
            assert!(content(&records, "stdout") == expected, "{driver}");
            let last = records.last().unwrap();
            assert!(last.partial && last.content.ends_with(b"unfinished"), "no closing record");
        }
    }
    Ok(())
}

#[test]
fn lines_of_every_length_come_back_from_the_journal() -> Result {
    ours_only!();
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let expected = lines();
    let file = journal.scratch.join("lines");
    fs::write(&file, &expected).unwrap();
    let session = journal.call(&format!("cat {}", file.display()))?.running()?;
    let mut all = Vec::new();
    while all.len() < expected.len() {
        let (_, text, part) = journal.line()?;
        assert_eq!(part, !text.ends_with('\n'));
        all.extend_from_slice(text.as_bytes());
    }
    assert!(all == expected);
    session.monitor_gone()
}

#[test]
fn both_streams_come_back_when_they_are_written_at_once() -> Result {
    ours_only!();
    for driver in FILES {
        let scratch = Scratch::new()?;
        let file = scratch.join("lines");
        fs::write(&file, lines()).unwrap();
        let script = format!("cat {0} & cat {0} >&2; wait", file.display());
        let call = Call::create(&scratch, &Container::sh(script))?.log_driver(driver);
        let session = call.running()?;
        session.exit_code()?;
        let records = records(driver, &session.paths.log)?;
        for stream in ["stdout", "stderr"] {
            assert!(content(&records, stream) == lines(), "{driver} {stream}");
        }
    }
    Ok(())
}

#[test]
fn a_container_killed_in_the_middle_of_a_line_leaves_a_part() -> Result {
    ours_only!();
    for driver in FILES {
        let scratch = Scratch::new()?;
        let call = Call::create(&scratch, &Container::sh("echo one; printf two; kill -9 $$"))?;
        let session = call.log_driver(driver).running()?;
        assert_eq!(session.exit_code()?, 137);
        let records = records(driver, &session.paths.log)?;
        assert_eq!(summary(&records), ["stdout F one", "stdout P two"]);
    }
    let Some(journal) = Journal::new()? else { return Ok(()) };
    let session = journal.call("echo one; printf two; kill -9 $$")?.running()?;
    assert_eq!(journal.line()?.1, "one\n");
    assert_eq!(journal.line()?, ("6".to_owned(), "two".to_owned(), true));
    assert_eq!(session.exit_code()?, 137);
    session.monitor_gone()
}

/// A container that prints the first word, waits for a line in the FIFO, and prints the second.
fn in_two_steps(scratch: &Scratch, words: [&str; 2]) -> Result<(Call, PathBuf)> {
    let go = scratch.join("go");
    sys::make_fifo(&go).unwrap();
    let [one, two] = words;
    let script = format!("printf '{one}'; read x < {}; printf '{two}'; exit 5", go.display());
    Ok((Call::create(scratch, &Container::sh(script))?, go))
}

#[test]
fn a_log_writer_killed_in_the_middle_of_a_line_loses_nothing_of_it() -> Result {
    ours_only!();
    for driver in FILES {
        let scratch = Scratch::new()?;
        let (call, go) = in_two_steps(&scratch, ["on", "e\\n"])?;
        let session = call.log_driver(driver).running()?;
        let log = &session.paths.log;
        wait::for_file(log, "the first half", |log| (!log?.is_empty()).then_some(()))?;
        assert_eq!(scratch.kill_role("log-writer"), 1);
        fs::write(&go, "\n").unwrap();
        assert_eq!(session.exit_code()?, 5);
        let mut records = records(driver, log)?;
        // Killed before it was taken out of the pipe: once more.
        if records.len() == 3 {
            records.remove(0);
        }
        if records.len() == 1 {
            assert_eq!(summary(&records), ["stdout F one"]);
        } else {
            assert_eq!(summary(&records), ["stdout P on", "stdout F e"]);
        }
    }
    Ok(())
}

#[test]
fn a_log_directory_that_vanishes_stops_nobody() -> Result {
    ours_only!();
    for driver in FILES {
        let scratch = Scratch::new()?;
        let directory = scratch.directory("logs")?;
        let (call, go) = in_two_steps(&scratch, ["one\\n", "two\\n"])?;
        let log = directory.join("log");
        let call = call.flag("--log-rotate").set("--log-size-max", "60");
        let session = call.set("-l", format!("{driver}:{}", log.display())).running()?;
        wait::for_file(&log, "one", |log| (!log?.is_empty()).then_some(()))?;
        let kept = scratch.join("kept");
        fs::hard_link(&log, &kept).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        session.write_fifo("ctl", b"2 0 0\n")?;
        fs::write(&go, "\n").unwrap();
        assert_eq!(session.exit_code()?, 5);
        session.monitor_gone()?;
        assert_eq!(summary(&records(driver, &kept)?), ["stdout F one", "stdout F two"]);
    }
    Ok(())
}

/// A small file system; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Of 64 kB. `None` where the test may not mount.
    fn mount(at: PathBuf) -> Option<SmallDisk> {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&at).status();
        if !mounted.is_ok_and(|status| status.success()) {
            under_test::skipped("mounting takes root");
            return None;
        }
        Some(SmallDisk(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_costs_whole_lines_which_are_counted() -> Result {
    ours_only!();
    const LINES: usize = 20_000;
    for driver in FILES {
        let scratch = Scratch::new()?;
        let disk = scratch.directory("disk")?;
        let Some(_mounted) = SmallDisk::mount(disk.clone()) else { return Ok(()) };
        let ballast = disk.join("ballast");
        fs::write(&ballast, vec![0; 20_000]).unwrap();
        let ready = scratch.join("ready");
        let go = scratch.join("go");
        sys::make_fifo(&go).unwrap();
        // It is told when a write fails: by its death of SIGPIPE, or by its status.
        let script = format!(
            "seq -f %07g 1 {LINES} || exit 6; touch {}; read x < {}; echo after; exit 5",
            ready.display(),
            go.display()
        );
        let log = disk.join("log");
        let call = Call::create(&scratch, &Container::sh(script))?;
        let session = call.set("-l", format!("{driver}:{}", log.display())).running()?;
        wait::for_file(&ready, "the container to have printed all", |file| file.map(drop))?;
        scratch.idle()?;
        fs::remove_file(&ballast).unwrap();
        fs::write(&go, "\n").unwrap();
        assert_eq!(session.exit_code()?, 5);

        // Every byte belongs to a whole record.
        let records = records(driver, &log)?;
        let lines: Vec<_> = records.iter().filter(|record| record.stream == "stdout").collect();
        assert_eq!(lines.last().unwrap().content, b"after");
        let logged = lines.len() - 1;
        assert!(logged > 100, "{logged}");
        for (line, number) in lines.iter().take(100).zip(1..) {
            assert_eq!(line.content, format!("{number:07}").as_bytes());
        }
        let notices: usize =
            records.iter().filter(|record| record.stream == "stderr").map(dropped).sum();
        // A read may end within a line, which is two records then.
        let all = logged + notices;
        assert!((LINES..LINES + 50).contains(&all), "{logged} logged, {notices} dropped");
    }
    Ok(())
}

/// What a record of our own says.
fn dropped(notice: &Record) -> usize {
    let text = String::from_utf8_lossy(&notice.content);
    let number = text
        .strip_prefix("[conmote: ")
        .and_then(|rest| rest.strip_suffix(" log lines dropped: no space left on device]"));
    number.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

/// The parts of the date that this asks for.
fn date(format: &str) -> String {
    let output = Command::new("date").args(["-u", format]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn stamps_follow_the_clock_when_summer_time_begins() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    // It begins in three seconds: an hour is skipped then, as in spring.
    let now = date("+%-j %-H %-M %-S");
    let numbers: Vec<u32> = now.split(' ').map(|number| number.parse().unwrap()).collect();
    let [day, hour, minute, second] = numbers[..] else { panic!("{now}") };
    let begin = (hour * 60 + minute) * 60 + second + 3;
    let time =
        |second: u32| format!("{}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    // Days count from zero in this form, and it ends weeks later.
    let (day, last) = (day - 1, (day + 60) % 365);
    let zone = format!("STD0DST-1,{day}/{},{last}/2", time(begin));
    let script = "for i in $(seq 1 60); do echo $i; sleep 0.1; done";
    let call = Call::create(&scratch, &Container::sh(script))?.env("TZ", zone);
    let session = call.running()?;
    session.exit_code()?;
    let log = session.log()?;
    let (winter, summer): (Vec<_>, Vec<_>) =
        log.iter().partition(|record| record.time.ends_with("+00:00"));
    assert!(winter.len() > 5 && summer.len() > 5, "{} {}", winter.len(), summer.len());
    let clock = |record: &Record| record.time.get(11..19).unwrap().to_owned();
    let local = |second: u32| {
        let second = second % 86_400;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    };
    assert_eq!(clock(winter.last().unwrap()), local(begin - 1));
    assert_eq!(clock(summer.first().unwrap()), local(begin + 3600));
    assert!(summer.iter().all(|record| record.time.ends_with("+01:00")));
    Ok(())
}
