//! Starting a process: fork, terminal, the wait for `start`, exec.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Context, Error, Result, sys};

/// A process to start, as `config.json` and `process.json` describe it.
pub struct Program {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    directory: CString,
    /// Whether it gets a terminal.
    pub terminal: bool,
    size: Option<libc::winsize>,
}

/// A terminal: the monitor's side and the container's.
pub struct Terminal {
    master: File,
    slave: OwnedFd,
}

impl Program {
    /// Reads the process object; the program must exist, as with runc.
    pub fn from_process(process: &Value) -> Result<Program> {
        let args = texts(process, "args")?;
        let env = texts(process, "env")?;
        let name = args.first().ok_or_else(|| Error::new("args must not be empty"))?;
        let path = find(name, &env)?;
        let directory = process.get("cwd").and_then(Value::as_str).unwrap_or("/");
        let c_texts =
            |texts: Vec<String>| texts.into_iter().map(c_text).collect::<Result<Vec<_>>>();
        Ok(Program {
            path: sys::c_path(&path).context("args")?,
            args: c_texts(args)?,
            env: c_texts(env)?,
            directory: c_text(directory.to_owned())?,
            terminal: process.get("terminal").and_then(Value::as_bool).unwrap_or(false),
            size: size(process),
        })
    }

    /// A terminal of the size asked for.
    pub fn open_terminal(&self) -> Result<Terminal> {
        let mut options = OpenOptions::new();
        let ptmx = options.read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/ptmx");
        let master = ptmx.context("cannot open /dev/ptmx")?;
        let unlocked: libc::c_int = 0;
        // SAFETY: the calls read one integer and one structure of ours.
        let slave = unsafe {
            libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked);
            if let Some(size) = &self.size {
                libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const *size);
            }
            libc::ioctl(
                master.as_raw_fd(),
                libc::TIOCGPTPEER,
                libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC,
            )
        };
        if slave < 0 {
            return Err(Error::last_os("cannot open the terminal's other side"));
        }
        // SAFETY: the kernel has just given us this number.
        let slave = unsafe { OwnedFd::from_raw_fd(slave) };
        Ok(Terminal { master, slave })
    }

    /// Forks and gives the child's pid. The child becomes a session leader, waits at the FIFO `gate` if there is one, and
    /// executes the program with all but `3 + preserve` descriptors closed. It reports a failure to do so to whoever
    /// opened the gate, else the failure is returned here.
    pub fn start(
        &self,
        terminal: Option<&Terminal>,
        gate: Option<&Path>,
        preserve: u32,
    ) -> Result<i32> {
        let gate = gate.map(sys::c_path).transpose().context("gate")?;
        let (read, write) = sys::pipe().context("pipe")?;
        // SAFETY: this program has one thread, so the child is a whole copy.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => return Err(Error::last_os("cannot fork")),
            0 => {
                let report = match gate {
                    // A gated child is done with its parent.
                    Some(gate) => {
                        drop((read, write));
                        self.prepare(terminal, preserve);
                        // SAFETY: the path is ours; opening for writing waits for a reader.
                        unsafe { libc::open(gate.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) }
                    }
                    None => {
                        self.prepare(terminal, preserve);
                        write.as_raw_fd()
                    }
                };
                self.execute(report)
            }
            _ => {}
        }
        drop(write);
        if gate.is_none() {
            let mut error = Vec::new();
            File::from(read).read_to_end(&mut error).context("pipe")?;
            exec_result(&error)?;
        }
        Ok(pid)
    }

    /// In the child: session, terminal, directory, signals as runc leaves them (none ignored), descriptors.
    fn prepare(&self, terminal: Option<&Terminal>, preserve: u32) {
        // SAFETY: system calls on values of ours. What fails here shows in the container.
        unsafe {
            libc::setsid();
            if let Some(terminal) = terminal {
                let slave = terminal.slave.as_raw_fd();
                libc::ioctl(slave, libc::TIOCSCTTY, 0);
                for number in 0..3 {
                    libc::dup2(slave, number);
                }
            }
            libc::chdir(self.directory.as_ptr());
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        }
        let _ = sys::close_on_exec_from(3 + preserve);
    }

    fn execute(&self, report: libc::c_int) -> ! {
        let pointers = |texts: &[CString]| {
            let mut all: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
            all.push(std::ptr::null());
            all
        };
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: both lists end in null and live as long as the texts they point to.
        unsafe {
            libc::execve(self.path.as_ptr(), args.as_ptr(), env.as_ptr());
            let error = *libc::__errno_location();
            libc::write(report, (&raw const error).cast(), 4);
            libc::_exit(127)
        }
    }
}

impl Terminal {
    /// Hands the monitor's side over, as runc does (`SCM_RIGHTS` with a name as data).
    pub fn send(&self, socket: &str) -> Result {
        let connection = sys::connect(libc::SOCK_STREAM, Path::new(socket));
        let connection = connection.context(format_args!("cannot connect to {socket}"))?;
        sys::send_fd(connection, &self.master, b"/dev/ptmx").context("cannot send the terminal")
    }
}

/// What a child wrote before it died: nothing if it executed its program, else an error number.
pub fn exec_result(report: &[u8]) -> Result {
    let Ok(number) = report.try_into().map(i32::from_ne_bytes) else {
        return Ok(());
    };
    let error = std::io::Error::from_raw_os_error(number);
    Err(Error::new(format!("exec failed: unable to start container process: {error}")))
}

fn texts(process: &Value, name: &str) -> Result<Vec<String>> {
    let list = process.get(name).and_then(Value::as_array);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = list.and_then(|list| list.iter().map(text).collect());
    texts.ok_or_else(|| Error::new(format!("process.{name} is not a list of strings")))
}

fn c_text(text: String) -> Result<CString> {
    CString::new(text).context("NUL byte in the process object")
}

/// Looks the program up in the container's own PATH.
fn find(name: &str, env: &[String]) -> Result<PathBuf> {
    if name.contains('/') {
        return match Path::new(name).exists() {
            true => Ok(name.into()),
            false => {
                Err(Error::new(format!("exec: \"{name}\": stat {name}: no such file or directory")))
            }
        };
    }
    let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
    let mut places = path.split(':').map(|directory| Path::new(directory).join(name));
    places
        .find(|place| place.exists())
        .ok_or_else(|| Error::new(format!("exec: \"{name}\": executable file not found in $PATH")))
}

fn size(process: &Value) -> Option<libc::winsize> {
    let size = process.get("consoleSize")?;
    let number = |name: &str| u16::try_from(size.get(name)?.as_u64()?).ok();
    Some(libc::winsize {
        ws_row: number("height")?,
        ws_col: number("width")?,
        ws_xpixel: 0,
        ws_ypixel: 0,
    })
}
