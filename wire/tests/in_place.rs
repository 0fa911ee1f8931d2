//! Starting processes, tested in a process of its own: for a moment, or longer, such a child has all descriptors, and
//! tests beside it would wait in vain for the end of a pipe.
#![allow(missing_docs, unsafe_code, clippy::unwrap_used, clippy::panic)]

use rustix::fd::{AsRawFd, FromRawFd};
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

/// Runs this in a process of one thread; the result is how its foreground ended.
fn in_foreground(background: impl FnOnce(Pid, wire::in_place::Foreground)) -> i32 {
    match sys::fork().unwrap() {
        sys::Forked::Parent(pid) => status(pid),
        sys::Forked::Child => {
            let before = rustix::process::getpid();
            let Ok(foreground) = wire::in_place::leave_foreground() else { sys::exit(99) };
            background(before, foreground);
            sys::exit(0)
        }
    }
}

#[test]
fn the_foreground_ends_as_it_is_told_while_a_new_process_goes_on() {
    let (finish, wait) = rustix::pipe::pipe().map(|(read, write)| (write, read)).unwrap();
    let (result, report) = rustix::pipe::pipe().unwrap();
    let ended = in_foreground(|before, foreground| {
        let new = rustix::process::getpid() != before;
        foreground.end(7);
        let _ = rustix::io::read(&wait, &mut [0]);
        let _ = rustix::io::write(&report, &[u8::from(new)]);
    });
    assert_eq!(ended, 7);
    // It is still there, and a process of its own.
    rustix::io::write(&finish, b"x").unwrap();
    let mut new = [0];
    assert_eq!(rustix::io::read(&result, &mut new), Ok(1));
    assert_eq!(new, [1]);
}

#[test]
fn the_foreground_ends_as_it_is_told_even_by_one_that_ends_at_once() {
    for _ in 0..300 {
        assert_eq!(in_foreground(|_, foreground| foreground.end(7)), 7);
    }
}

#[test]
fn the_foreground_fails_if_the_new_process_ends_without_a_word() {
    assert_eq!(in_foreground(|_, _| {}), 1);
    let executes = in_foreground(|_, _| {
        let mut room = [core::ptr::null(); 4];
        let words = [c"sh", c"-c", c"exit 0"];
        let words = sys::Strings::new(&mut room, words).unwrap();
        let _ = sys::exec(None, c"/bin/sh", words, sys::Strings::none());
    });
    assert_eq!(executes, 1);
}

#[test]
fn closed_standard_streams_are_opened_and_others_left_alone() {
    // SAFETY: the child has nothing else open by these numbers.
    let close = |number| drop(unsafe { rustix::fd::OwnedFd::from_raw_fd(number) });
    for closed in [&[0][..], &[1, 2], &[0, 1, 2], &[]] {
        let (kept, _other) = rustix::pipe::pipe().unwrap();
        let ended = match sys::fork().unwrap() {
            sys::Forked::Parent(pid) => status(pid),
            sys::Forked::Child => {
                for number in closed {
                    close(*number);
                }
                let before = kept.as_raw_fd();
                wire::start::open_standard_streams();
                let next = rustix::io::dup(&kept).map(|fd| fd.as_raw_fd());
                let done = (0..3).all(sys::is_open) && next.is_ok_and(|next| next > before);
                sys::exit(i32::from(!done))
            }
        };
        assert_eq!(ended, 0, "{closed:?}");
    }
}
