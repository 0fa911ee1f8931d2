//! `--log-rotate` and `--log-max-files`: so many old files are kept, and nothing gets lost on the way.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use tests::k8s_log::{Record, content, parse, summary};
use tests::{
    Call, Container, Result, Scratch, Session, json_log, ours_only, process, sys, under_test, wait,
};

/// A container that prints the numbers 1 to `last`, of which nine records of 51 bytes fit into a file.
fn call(scratch: &Scratch, last: u32, backups: Option<u32>) -> Result<Call> {
    let call = Call::create(scratch, &Container::sh(format!("seq -f %05g 1 {last}; exit 5")))?;
    let call = call.flag("--log-rotate").set("--log-size-max", "500");
    Ok(match backups {
        Some(backups) => call.set("--log-max-files", backups.to_string()),
        None => call,
    })
}

fn run(call: Call) -> Result<Session> {
    let session = call.running()?;
    assert_eq!(session.exit_code()?, 5);
    session.monitor_gone()?;
    Ok(session)
}

/// A log's backup of this number.
fn backup(log: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", log.display()))
}

/// The log and its backups, newest first. A number is missing where the log-writer was killed between two renames, until
/// the next rotation.
fn files(log: &Path) -> Vec<PathBuf> {
    let start = format!("{}.", log.file_name().unwrap().to_str().unwrap());
    let names = fs::read_dir(log.parent().unwrap()).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    let mut numbers: Vec<u32> =
        names.filter_map(|name| name.strip_prefix(&start)?.parse().ok()).collect();
    numbers.sort_unstable();
    let backups = numbers.into_iter().map(|number| backup(log, number));
    [log.to_owned()].into_iter().chain(backups).collect()
}

/// First and last number in each file, newest first.
fn numbers(log: &Path) -> Result<Vec<(u32, u32)>> {
    let number = |record: &Record| String::from_utf8_lossy(&record.content).parse().unwrap();
    let range = |path: &PathBuf| {
        let records = parse(&fs::read(path).unwrap())?;
        Ok((number(records.first().unwrap()), number(records.last().unwrap())))
    };
    files(log).iter().map(range).collect()
}

/// Everything that was printed, from the oldest file to the newest.
fn everything(log: &Path) -> Result<Vec<Record>> {
    let parsed: Result<Vec<_>> =
        files(log).iter().rev().map(|path| parse(&fs::read(path).unwrap())).collect();
    Ok(parsed?.concat())
}

#[test]
fn so_many_backups_are_kept_as_were_asked_for() -> Result {
    ours_only!();
    for (backups, expected) in [
        (None, &[(28, 30), (19, 27)][..]),
        (Some(1), &[(28, 30), (19, 27)]),
        (Some(2), &[(28, 30), (19, 27), (10, 18)]),
        (Some(5), &[(28, 30), (19, 27), (10, 18), (1, 9)]),
    ] {
        let scratch = Scratch::new()?;
        let session = run(call(&scratch, 30, backups)?)?;
        assert_eq!(numbers(&session.paths.log)?, expected, "{backups:?}");
        let directory = session.paths.log.parent().unwrap();
        let logs = fs::read_dir(directory).unwrap().flatten();
        let logs = logs.filter(|entry| entry.file_name().to_string_lossy().starts_with("ctr.log"));
        assert_eq!(logs.count(), expected.len(), "nothing else is left behind");
        for file in files(&session.paths.log) {
            assert_eq!(fs::metadata(file).unwrap().mode() & 0o777, 0o640);
        }
    }
    Ok(())
}

#[test]
fn a_json_file_is_rotated_the_same_way() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let session = run(call(&scratch, 100, Some(30))?.log_driver("json-file"))?;
    let all: Result<Vec<_>> = files(&session.paths.log)
        .iter()
        .rev()
        .map(|path| json_log::parse(&fs::read(path).unwrap()))
        .collect();
    let all = all?;
    assert!(all.len() > 10, "{} files", all.len());
    let expected: String = (1..=100).map(|number| format!("{number:05}\n")).collect();
    assert_eq!(content(&all.concat(), "stdout"), expected.as_bytes());
    Ok(())
}

#[test]
fn what_an_interrupted_rotation_left_is_no_obstacle() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = call(&scratch, 10, Some(2))?;
    let log = call.paths().log.clone();
    for end in ["new", "tmp", "1.0.tmp"] {
        fs::write(format!("{}.{end}", log.display()), "left over").unwrap();
    }
    // A hole where the newest was.
    fs::write(backup(&log, 2), "oldest").unwrap();
    run(call)?;
    assert_eq!(parse(&fs::read(&log).unwrap())?.len(), 1);
    assert_eq!(parse(&fs::read(backup(&log, 1)).unwrap())?.len(), 9);
    assert_eq!(fs::read(backup(&log, 2)).unwrap(), b"oldest");
    Ok(())
}

#[test]
fn a_link_stays_and_the_file_behind_it_is_the_log() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = call(&scratch, 30, Some(2))?;
    let (log, file) = (call.paths().log.clone(), scratch.join("file"));
    symlink(&file, &log).unwrap();
    run(call)?;
    assert!(fs::symlink_metadata(&log).unwrap().is_symlink());
    assert_eq!(parse(&fs::read(&file).unwrap())?.len(), 30, "no line is lost for it");
    assert!(!backup(&log, 1).exists() && !backup(&file, 1).exists());
    Ok(())
}

#[test]
fn a_device_is_never_replaced() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = call(&scratch, 30, Some(2))?;
    let log = call.paths().log.clone();
    let path = sys::c_path(&log).unwrap();
    // SAFETY: the path is a string that ends with NUL.
    if unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 3)) } != 0 {
        under_test::skipped("making a device takes root");
        return Ok(());
    }
    for call in [call, self::call(&scratch, 30, None)?.without("--log-rotate").set("-l", &log)] {
        let session = call.set("-l", &log).running()?;
        session.write_fifo("ctl", b"2 0 0\n").ok();
        session.exit_code()?;
        assert_eq!(fs::metadata(&log).unwrap().mode() & libc::S_IFMT, libc::S_IFCHR);
        assert!(!backup(&log, 1).exists());
    }
    Ok(())
}

/// A container that prints the first word, waits, and prints the second one.
fn in_two_steps(scratch: &Scratch, go: &Path, words: [&str; 2]) -> Result<Call> {
    sys::make_fifo(go).unwrap();
    let [one, two] = words;
    let script = format!("printf '{one}'; read x < {}; printf '{two}'; exit 5", go.display());
    Ok(Call::create(scratch, &Container::sh(script))?.flag("--log-rotate"))
}

#[test]
fn after_a_rename_by_somebody_else_only_the_name_is_opened_again() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let go = scratch.join("go");
    let session = in_two_steps(&scratch, &go, ["one\\n", "two\\n"])?.running()?;
    session.log_until("the first line", |log| !log.is_empty())?;
    let (log, old) = (&session.paths.log, scratch.join("old.log"));
    fs::rename(log, &old).unwrap();
    session.write_fifo("ctl", b"2 0 0\n")?;
    wait::for_file(log, "a new log", |content| content.map(drop))?;
    fs::write(&go, "\n").unwrap();
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(summary(&session.log()?), ["stdout F two"]);
    assert_eq!(summary(&parse(&fs::read(&old).unwrap())?), ["stdout F one"]);
    assert!(!backup(log, 1).exists());
    Ok(())
}

#[test]
fn a_request_to_reopen_rotates_also_in_the_middle_of_a_line() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let go = scratch.join("go");
    let session = in_two_steps(&scratch, &go, ["on", "e\\ntwo"])?.running()?;
    session.log_until("the first half", |log| !log.is_empty())?;
    let log = &session.paths.log;
    session.write_fifo("ctl", b"2 0 0\n")?;
    wait::for_file(&backup(log, 1), "a backup", |content| content.map(drop))?;
    fs::write(&go, "\n").unwrap();
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(summary(&everything(log)?), ["stdout P on", "stdout F e", "stdout P two"]);
    assert_eq!(files(log).len(), 2);
    Ok(())
}

#[test]
fn reopening_a_hundred_times_keeps_no_descriptor() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo x; exec sleep 1000"))?;
    let session = call.flag("--log-rotate").running()?;
    session.log_until("the first line", |log| !log.is_empty())?;
    let count = || scratch.monitors().iter().map(|one| process::fds(one.pid).len()).sum::<usize>();
    let log = &session.paths.log;
    let reopen = |last: u64| -> Result<u64> {
        session.write_fifo("ctl", b"2 0 0\n")?;
        wait::until("a new log", || {
            Ok(fs::metadata(log).map(|meta| meta.ino()).ok().filter(|inode| *inode != last))
        })
    };
    let mut inode = reopen(fs::metadata(log).unwrap().ino())?;
    let before = count();
    for _ in 0..100 {
        inode = reopen(inode)?;
    }
    wait::until("no more descriptors than before", || Ok((count() <= before).then_some(())))?;

    // The hub has the log as it is now, open for appending.
    let hub = session.monitor()?;
    let fds = process::fds(hub);
    let (fd, _) = fds.iter().find(|(_, name)| Path::new(name) == log).unwrap();
    let info = process::proc_file(hub, &format!("fdinfo/{fd}"));
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    let flags = i32::from_str_radix(flags, 8).unwrap();
    assert_eq!(flags & libc::O_APPEND, libc::O_APPEND, "{info}");
    Ok(())
}

#[test]
fn a_log_that_cannot_be_rotated_goes_on() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = call(&scratch, 100, Some(1))?;
    let log = call.paths().log.clone();
    // No file gets the name of a directory.
    fs::create_dir(backup(&log, 1)).unwrap();
    let session = run(call)?;
    assert_eq!(session.log()?.len(), 100);
    Ok(())
}

#[test]
fn the_log_writer_may_be_killed_while_it_rotates() -> Result {
    ours_only!();
    const LINES: u32 = 200_000;
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh(format!("seq -f %07g 1 {LINES}; exit 5")))?;
    // A hundred rotations and more, most of them with a hundred names to change.
    let call = call.flag("--log-rotate").set("--log-size-max", "100000");
    let session = call.set("--log-max-files", "1000000").running()?;
    let kills = wait::killing(|| scratch.kill_role("log-writer"), || session.exit_file().exists())?;
    assert!(kills > 0, "it was never there to be killed");
    let (mut found, mut begun) = (BTreeSet::new(), Vec::new());
    for record in everything(&session.paths.log)? {
        let joined = [&begun[..], &record.content].concat();
        begun = if record.partial { joined.clone() } else { Vec::new() };
        found.extend([joined, record.content]);
    }
    let lost = (1..=LINES).filter(|line| !found.contains(format!("{line:07}").as_bytes())).count();
    assert_eq!(lost, 0, "of {LINES} lines, after {kills} kills");
    Ok(())
}
