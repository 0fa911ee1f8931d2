//! How a role starts without libc: [`program!`](crate::program) puts `_start`,
//! the self-relocation, the `mem*` functions the compiler calls and the panic
//! handler into the program that uses it.
//!
//! The programs are static-pie: the kernel loads them anywhere, and they must
//! relocate themselves before any Rust code runs. That loop is in assembly, so
//! that it depends on no relocated data at any optimisation level.

use crate::sys::{Environment, Strings};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};
use rustix::process::{PrctlMmMap, configure_virtual_memory_map};

/// What the kernel put on the stack of a new process.
#[derive(Clone, Copy)]
pub struct Arguments {
    /// The environment.
    pub environment: Environment<'static>,
    /// The first argument, behind it the others and a null pointer.
    words: *const *const c_char,
}

impl Arguments {
    /// Reads what the initial stack begins with: argc, argv, NULL, environment,
    /// NULL.
    ///
    /// # Safety
    /// That is at `stack`, as at process entry (System V ABI, 3.4.1).
    pub unsafe fn new(stack: *const usize) -> Self {
        // SAFETY: argc is there, followed by argc pointers and a NULL.
        let environment = unsafe { stack.add(*stack + 2) };
        // SAFETY: argc words follow argc; there is at least the null pointer.
        let words = unsafe { stack.add(1) };
        Arguments {
            environment: Strings(environment.cast::<*const c_char>(), PhantomData),
            words: words.cast::<*const c_char>(),
        }
    }

    /// The program's name, and what it was called with.
    pub fn words(self) -> impl Iterator<Item = &'static CStr> + Clone {
        // SAFETY: this is where the kernel put them.
        unsafe { words(self.words) }
    }
}

/// The program's name and its arguments.
///
/// # Safety
/// `first` is where the kernel put them: pointers to strings that stay for ever,
/// and behind them a null pointer.
pub unsafe fn words(first: *const *const c_char) -> impl Iterator<Item = &'static CStr> + Clone {
    let words = (0..).map_while(move |index| {
        // SAFETY: nothing behind the null pointer is read, because the fused
        // iterator ends there.
        let word = unsafe { *first.add(index) };
        // SAFETY: the kernel ended each with a NUL; they stay for ever.
        (!word.is_null()).then(|| unsafe { CStr::from_ptr(word) })
    });
    words.fuse()
}

/// Tells the kernel where the arguments are now (prctl(2), PR_SET_MM_MAP), for
/// those who look into /proc. `program`: where code begins and ends, and data.
pub fn stack_has_moved(arguments: Arguments, program: [usize; 3], end: usize) {
    let (arg_start, arg_end) = strings_between(arguments.words, arguments.words as u64);
    let (env_start, env_end) = strings_between(arguments.environment.0, arg_end);
    let [start_code, end_code, end_data] = program.map(|at| at as u64);
    // Nobody here asks for a heap: it begins, and ends, anywhere behind the data.
    let heap = end as u64 + 1;
    let map = PrctlMmMap {
        start_code,
        end_code,
        start_data: end_code,
        end_data,
        start_brk: heap,
        brk: heap,
        start_stack: arguments.words as u64,
        arg_start,
        arg_end,
        env_start,
        env_end,
        auxv: core::ptr::null_mut(),
        auxv_size: 0,
        exe_fd: -1,
    };
    // If it fails, the arguments are not shown, which is no reason to stop.
    // SAFETY: the kernel only shows these, but for the heap, which is empty.
    let _ = unsafe { configure_virtual_memory_map(&map) };
}

/// Where the first of these strings begins, and the last ends; without any, `at`
/// twice.
fn strings_between(list: *const *const c_char, at: u64) -> (u64, u64) {
    // SAFETY: a list of the initial stack, see `Arguments::new`.
    let mut words = unsafe { words(list) };
    let Some(first) = words.next() else { return (at, at) };
    let last = words.last().unwrap_or(first);
    (first.as_ptr() as u64, last.to_bytes_with_nul().as_ptr_range().end as u64)
}

/// Opens /dev/null as whichever of standard input, output and error is closed,
/// or the next file to be opened would be taken for it.
pub fn open_standard_streams() {
    use rustix::fd::{AsRawFd, IntoRawFd};
    use rustix::fs::{Mode, OFlags};
    for number in 0..3 {
        if !crate::sys::is_open(number)
            // The kernel gives the lowest number that is free.
            && let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
            && null.as_raw_fd() == number
        {
            let _ = null.into_raw_fd();
        }
    }
}

/// Sets the name that ps(1) shows; a program executed through a descriptor
/// would otherwise be shown as a number on kernels before 6.14.
pub fn set_name(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

/// The state of a program: too large for the stack, in `.bss`, taken once.
// The flag comes first, beside what the state begins with: one page.
#[repr(C)]
pub struct Once<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `take` gives the value out to one caller only.
unsafe impl<T> Sync for Once<T> {}

impl<T> Once<T> {
    /// Holds `value` until somebody takes it.
    pub const fn new(value: T) -> Self {
        Once { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value, for the first who asks.
    #[allow(clippy::mut_from_ref)]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `taken` was false, and never becomes so again: this is the
        // only reference there will be.
        Some(unsafe { &mut *self.value.get() })
    }
}

/// Makes a program of the function `fn(Arguments) -> i32` named; its result is
/// the exit status.
#[macro_export]
macro_rules! program {
    ($name:literal, $main:path) => {
        #[cfg(not(target_arch = "x86_64"))]
        compile_error!("the start code for this architecture is not written yet");

        #[cfg(target_arch = "x86_64")]
        core::arch::global_asm!(
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../wire/src/start_x86_64.s")),
            options(att_syntax)
        );

        /// Called by `_start`, relocated, with where argc, arguments and environment
        /// are. Unlike on the initial stack, no auxiliary vector follows. `moved`:
        /// that is no longer where the kernel had put it.
        #[allow(unsafe_code)]
        // SAFETY: the only function of that name in this program.
        #[unsafe(no_mangle)]
        extern "C" fn rust_start(stack: *const usize, moved: usize) -> ! {
            unsafe extern "C" {
                static __ehdr_start: u8;
                static _etext: u8;
                static _edata: u8;
                static _end: u8;
            }
            // SAFETY: `_start` passes what the kernel gave it, or a copy.
            let arguments = unsafe { $crate::start::Arguments::new(stack) };
            if moved != 0 {
                let program = [&raw const __ehdr_start, &raw const _etext, &raw const _edata];
                let program = program.map(|at| at as usize);
                $crate::start::stack_has_moved(arguments, program, &raw const _end as usize);
            }
            $crate::start::set_name($name);
            $crate::sys::exit($main(arguments))
        }

        #[panic_handler]
        fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
            let at = info.location();
            let (file, line) = at.map_or(("?", 0), |at| (at.file(), at.line()));
            $crate::error!($name.to_str().unwrap_or("?"), "internal error at {file}:{line}");
            // EX_SOFTWARE of sysexits(3).
            $crate::sys::exit(70)
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_stack_is_taken_apart() {
        let (name, word) = (c"name".as_ptr() as usize, c"word".as_ptr() as usize);
        // Behind the empty environment come other things than pointers.
        let stack = [2, name, word, 0, 0, 33];
        // SAFETY: as the kernel would have laid it out.
        let arguments = unsafe { Arguments::new(stack.as_ptr()) };
        let mut words = arguments.words();
        assert!(words.by_ref().eq([c"name", c"word"]));
        assert!(words.next().is_none() && words.next().is_none() && words.next().is_none());
    }

    #[test]
    fn the_state_of_a_program_is_given_out_once() {
        static STATE: Once<u8> = Once::new(7);
        assert_eq!(STATE.take().copied(), Some(7));
        assert!(STATE.take().is_none());
    }
}
