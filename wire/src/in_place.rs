//! New processes without a copy of this one: what fork(2) copies, and what both
//! have to copy again when they write, takes longer than a small monitor does
//! altogether.

use crate::Errno;
use crate::sys::Forked;
use rustix::process::Pid;

/// The process whose end the caller of this program waits for, while another
/// goes on; see [`leave_foreground`].
#[derive(Debug)]
#[must_use]
pub struct Foreground {
    #[cfg(not(target_arch = "x86_64"))]
    link: crate::OwnedFd,
}

impl Foreground {
    /// Has it end with this status.
    pub fn end(self, status: u8) {
        #[cfg(target_arch = "x86_64")]
        x86_64::tell(status);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = rustix::io::write(&self.link, &[status]);
    }
}

/// Goes on in a new process. The old one does nothing any more but wait for
/// [`Foreground::end`]; if the new one ends or executes a program before that,
/// its status is 1. As the new process shares its memory (clone(2), `CLONE_VM`;
/// on other processors than x86_64 it has a copy), the old one must have been a
/// process of one thread that handles no signal.
///
/// # Errors
/// Those of clone(2); then there is no new process.
pub fn leave_foreground() -> Result<Foreground, Errno> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::leave_foreground().map(|()| Foreground {});
    #[cfg(not(target_arch = "x86_64"))]
    {
        let (waits, link) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        if let Forked::Child = crate::sys::fork()? {
            return Ok(Foreground { link });
        }
        drop(link);
        let mut status = [1];
        let _ = rustix::io::retry_on_intr(|| rustix::io::read(&waits, &mut status));
        crate::sys::exit(status[0].into())
    }
}

/// Runs `child` in a new process, which shares the memory of this one, while
/// the calling thread waits until it executes a program, or ends with the
/// status that `child` returns (clone(2), `CLONE_VM | CLONE_VFORK`); on other
/// processors than x86_64 a copy, without waiting. Descriptors, signal mask and
/// signal handlers are the child's own; what it leaves in memory means nothing.
///
/// # Errors
/// Those of clone(2).
pub fn start(child: &mut dyn FnMut() -> i32) -> Result<Pid, Errno> {
    #[cfg(target_arch = "x86_64")]
    return x86_64::start(child);
    #[cfg(not(target_arch = "x86_64"))]
    start_apart(child)
}

/// As [`start`], but without waiting: in a copy of this process (fork(2)), for
/// a child that may take its time.
///
/// # Errors
/// Those of fork(2).
pub fn start_apart(child: &mut dyn FnMut() -> i32) -> Result<Pid, Errno> {
    match crate::sys::fork()? {
        Forked::Parent(pid) => Ok(pid),
        Forked::Child => crate::sys::exit(child()),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::{Errno, Pid};
    use crate::sys::SIGCHLD;
    use core::sync::atomic::{AtomicU32, Ordering};

    type Child<'a> = &'a mut dyn FnMut() -> i32;

    /// The child's first and last function.
    extern "C" fn begin(child: &mut Child<'_>) -> ! {
        crate::sys::exit(child())
    }

    pub(super) fn start(mut child: Child<'_>) -> Result<Pid, Errno> {
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | SIGCHLD;
        let result: isize;
        // SAFETY: this thread sleeps until the child has other memory, or is
        // gone; so the child may have the stack below us, as a function that is
        // called has it, and `child`, which is borrowed to be changed, is used
        // by one only. The child never comes back here: `begin` does not return.
        // clone(2) as a system call: flags, stack, parent_tid, child_tid, tls.
        unsafe {
            core::arch::asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "and rsp, -16",
                "mov rdi, r9",
                "call {begin}",
                "ud2",
                "2:",
                begin = sym begin,
                inlateout("rax") libc::SYS_clone as isize => result,
                in("rdi") flags as usize,
                in("rsi") 0,
                in("rdx") 0,
                in("r10") 0,
                in("r8") 0,
                in("r9") &raw mut child,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        let pid = outcome(result)?;
        Pid::from_raw(pid).ok_or(Errno::CHILD)
    }

    /// What a system call has returned, as it is seen in the process that made it.
    fn outcome(result: isize) -> Result<i32, Errno> {
        let result = result as i32;
        if result < 0 { Err(Errno::from_raw_os_error(-result)) } else { Ok(result) }
    }

    /// What the process in the foreground waits for: its status and [`TOLD`].
    /// The kernel puts 0 there when the new process has left its memory
    /// (set_tid_address(2)).
    static STATUS: AtomicU32 = AtomicU32::new(WAITING);
    const WAITING: u32 = u32::MAX;
    const TOLD: u32 = 0x100;

    pub(super) fn tell(status: u8) {
        STATUS.store(TOLD | u32::from(status), Ordering::Release);
        // SAFETY: the word is ours, and lives as long as we. It is not private:
        // the kernel's own way of waking is not, either.
        let _ = unsafe {
            syscalls::syscall!(syscalls::Sysno::futex, STATUS.as_ptr(), libc::FUTEX_WAKE, 1)
        };
        // From now on the kernel leaves it alone, however soon we end: the other
        // may not have looked yet.
        // SAFETY: nothing but that word was known to the kernel by this.
        let _ = unsafe { syscalls::syscall!(syscalls::Sysno::set_tid_address, 0) };
    }

    pub(super) fn leave_foreground() -> Result<(), Errno> {
        STATUS.store(WAITING, Ordering::Relaxed);
        let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | SIGCHLD;
        let result: isize;
        // SAFETY: both processes have the same stack and the same memory. The
        // old one never uses them again: from clone(2) on it has registers and
        // looks at the one word, which is in no stack, until it ends; without
        // handlers no signal needs its stack, and by this function's contract
        // no other thread is there. So for the new one nothing changes.
        // clone(2) as a system call: flags, stack, parent_tid, child_tid, tls.
        unsafe {
            core::arch::asm!(
                "syscall",
                "test rax, rax",
                "jle 3f",
                // futex(word, FUTEX_WAIT, WAITING, no time limit)
                "mov rdi, r10",
                "2:",
                "mov eax, {futex}",
                "xor esi, esi",
                "mov edx, {waiting}",
                "xor r10d, r10d",
                "syscall",
                "mov eax, [rdi]",
                "cmp eax, edx",
                "je 2b",
                "mov edi, 1",
                "test eax, eax",
                "cmovnz edi, eax",
                "mov eax, {exit_group}",
                "syscall",
                "ud2",
                "3:",
                futex = const libc::SYS_futex,
                waiting = const WAITING,
                exit_group = const libc::SYS_exit_group,
                inlateout("rax") libc::SYS_clone as isize => result,
                in("rdi") flags as usize,
                in("rsi") 0,
                in("rdx") 0,
                in("r10") STATUS.as_ptr(),
                in("r8") 0,
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        outcome(result).map(drop)
    }
}
