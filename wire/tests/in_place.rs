//! Starting processes, tested in a process of its own: for a moment, or longer, such a child has all descriptors, and
//! tests beside it would wait in vain for the end of a pipe.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use rustix::process::{Pid, WaitOptions, waitpid};
use wire::in_place::start;
use wire::sys;

fn status(pid: Pid) -> i32 {
    sys::exit_code(waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap().1)
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_child_is_another_process_and_what_it_leaves_in_memory_is_there() {
    let (own, mut its) = (rustix::process::getpid(), None);
    let pid = start(&mut || {
        its = Some(rustix::process::getpid());
        7
    });
    let pid = pid.unwrap();
    assert_ne!(pid, own);
    assert_eq!(status(pid), 7);
    assert_eq!(its, Some(pid));
}

#[test]
fn a_program_that_it_executes_runs_while_we_go_on() {
    let (read, write) = rustix::pipe::pipe().unwrap();
    let pid = start(&mut || {
        let _ = rustix::stdio::dup2_stdin(&read);
        let mut room = [core::ptr::null(); 4];
        let words = [c"sh", c"-c", c"read word; exit $word"];
        let Some(words) = sys::Strings::new(&mut room, words) else { return 1 };
        let _ = sys::exec(None, c"/bin/sh", words, sys::Strings::none());
        2
    });
    let pid = pid.unwrap();
    rustix::io::write(&write, b"9\n").unwrap();
    assert_eq!(status(pid), 9);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn signals_are_blocked_for_the_child_alone() {
    let blocked = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find(|line| line.starts_with("SigBlk")).unwrap().to_owned()
    };
    let before = blocked();
    let mut its = String::new();
    let pid = start(&mut || {
        let done = sys::block_only(sys::Mask::of(&[sys::SIGUSR1]));
        its = blocked();
        done.is_err().into()
    });
    assert_eq!(status(pid.unwrap()), 0);
    assert_ne!(its, before);
    assert_eq!(blocked(), before);
}
