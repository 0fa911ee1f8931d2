//! Starting a program without a copy of this one: what fork(2) copies, and what
//! both have to copy again when they write, takes longer than a small monitor
//! does altogether.

use crate::Errno;
use rustix::process::Pid;

/// Runs `child` in a new process, which shares the memory of this one, while
/// the calling thread waits until it executes a program, or ends with the
/// status that `child` returns (clone(2), `CLONE_VM | CLONE_VFORK`); on other
/// processors than x86_64 a copy, without waiting. Descriptors, signal mask and
/// signal handlers are the child's own; what it leaves in memory means nothing.
///
/// # Errors
/// Those of clone(2) and, for the stack of the child, mmap(2).
pub fn start(child: &mut dyn FnMut() -> i32) -> Result<Pid, Errno> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::start(child);
    #[cfg(not(target_arch = "x86_64"))]
    match crate::sys::fork()? {
        crate::sys::Forked::Parent(pid) => Ok(pid),
        crate::sys::Forked::Child => crate::sys::exit(child()),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Errno, Pid};
    use crate::sys::SIGCHLD;
    use core::ptr;
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

    /// Bytes of the child's stack; what is not touched is no memory.
    const STACK: usize = 512 * 1024;
    /// Below it, for whoever goes deeper.
    const GUARD: usize = 4096;

    type Child<'a> = &'a mut dyn FnMut() -> i32;

    pub(super) fn start(mut child: Child<'_>) -> Result<Pid, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
        // SAFETY: a mapping of nobody's, at a place that is free.
        let low = unsafe { mmap_anonymous(ptr::null_mut(), STACK, access, flags) }?;
        // SAFETY: the pages that were just made.
        let guarded = unsafe { mprotect(low, GUARD, MprotectFlags::empty()) };
        let pid = guarded.and_then(|()| clone(low.cast(), &mut child));
        // SAFETY: whoever had its stack there has other memory now, or is gone.
        let _ = unsafe { munmap(low, STACK) };
        Pid::from_raw(pid?).ok_or(Errno::CHILD)
    }

    /// The child's first and last function.
    extern "C" fn begin(child: &mut Child<'_>) -> ! {
        crate::sys::exit(child())
    }

    fn clone(low: *mut u8, child: &mut Child<'_>) -> Result<i32, Errno> {
        let words: [usize; 2] = [ptr::from_mut(child) as usize, begin as *const () as usize];
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | SIGCHLD;
        let pid: isize;
        // SAFETY: the two words are at the top of the stack, inside the
        // mapping, and aligned. The child finds them there, and never comes
        // back here: `begin` does not return. This thread sleeps meanwhile, so
        // that `child`, which is borrowed to be changed, is used by one only.
        // clone(2) as a system call: flags, stack, parent_tid, child_tid, tls.
        unsafe {
            let top = low.add(STACK - size_of_val(&words));
            top.cast::<[usize; 2]>().write(words);
            core::arch::asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "pop rdi",
                "pop rax",
                "call rax",
                "ud2",
                "2:",
                inlateout("rax") libc::SYS_clone as isize => pid,
                in("rdi") flags as usize,
                in("rsi") top,
                in("rdx") 0,
                in("r10") 0,
                in("r8") 0,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        if pid < 0 { Err(Errno::from_raw_os_error(-pid as i32)) } else { Ok(pid as i32) }
    }
}
