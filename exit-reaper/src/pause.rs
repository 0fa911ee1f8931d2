//! The first process of a pod, which holds its namespaces: reaps whatever is
//! left to it, and ends when it is asked to. Knows nothing else, and nobody.

use core::ffi::CStr;
use rustix::event::{PollFd, PollFlags};
use rustix::process::WaitOptions;
use wire::sys::{self, Mask, SIGCHLD, SIGINT, SIGQUIT, SIGTERM};

/// What the program is called as for this.
pub(crate) const CALLED: &CStr = c"pause";

/// Runs until a signal asks it to end. Process 1 of a namespace gets only
/// signals that it reads or handles, so it reads them.
pub(crate) fn run() -> i32 {
    wire::start::set_name(CALLED);
    let read = Mask::of(&[SIGCHLD, SIGTERM, SIGINT, SIGQUIT]);
    let Ok(signals) = sys::block_only(read).and_then(|()| sys::signalfd(read)) else {
        return crate::EXIT_SYSTEM;
    };
    loop {
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        let _ = rustix::event::poll(&mut [PollFd::new(&signals, PollFlags::IN)], None);
        while let Some(signal) = sys::next_signal(&signals) {
            if sys::end_signal(signal).is_some() {
                return 0;
            }
        }
    }
}
