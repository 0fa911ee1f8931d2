//! Lines around the ends of buffers, and a log beside the caller's own streams.

use std::fs;
use std::process::Stdio;

use tests::k8s_log::content;
use tests::{Call, Container, Result, Scratch};

#[test]
fn lines_of_any_length_around_the_buffers_are_whole_once_joined() -> Result {
    let scratch = Scratch::new()?;
    let mut lines = Vec::new();
    for end in [4096, 8192, 16384, 65536, 131_072, 196_608] {
        for length in end - 2..=end + 2 {
            lines.extend(
                std::iter::repeat_n(b"abcdefghijklmno".iter(), length).flatten().take(length),
            );
            lines.push(b'\n');
        }
    }
    let input = scratch.join("lines");
    fs::write(&input, &lines).unwrap();
    let call = Call::create(&scratch, &Container::new(["cat".into(), input.to_string_lossy()]))?;
    let session = call.running()?;
    assert_eq!(session.exit_code()?, 0);
    let log = session.log()?;
    assert!(content(&log, "stdout") == lines);
    assert_eq!(log.iter().filter(|record| !record.partial).count(), 30);
    Ok(())
}

#[test]
fn a_log_file_beside_passthrough_is_made_and_stays_empty() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("echo seen; exit 5"))?;
    let out = fs::File::create(scratch.join("out")).unwrap();
    let call = call.add("-l", "passthrough").stdio(1, out).stdio(2, Stdio::null());
    let mut session = call.spawn()?;
    session.release()?;
    session.foreground()?;
    session.pid()?;
    session.start()?;
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(fs::read(&session.paths.log).unwrap(), b"");
    assert_eq!(fs::read(scratch.join("out")).unwrap(), b"seen\n");
    Ok(())
}

#[test]
fn what_a_terminal_says_beside_passthrough_is_thrown_away() -> Result {
    let scratch = Scratch::new()?;
    let script = "test -t 1 || exit 3; seq 1 20000; exit 5";
    let call = Call::create(&scratch, &Container::sh(script).terminal())?;
    let out = fs::File::create(scratch.join("out")).unwrap();
    let mut session = call.set("-l", "passthrough").stdio(1, out).spawn()?;
    session.release()?;
    session.foreground()?;
    session.pid()?;
    session.start()?;
    assert_eq!(session.exit_code()?, 5);
    assert_eq!(fs::read(scratch.join("out")).unwrap(), b"");
    Ok(())
}

#[test]
fn with_no_log_tag_and_label_mean_nothing() -> Result {
    let scratch = Scratch::new()?;
    let call = Call::create(&scratch, &Container::sh("exit 5"))?.set("-l", "none");
    let session = call.set("--log-tag", "x").running()?;
    assert_eq!(session.exit_code()?, 5);
    Ok(())
}
