//! Our own messages: `[conmon:e]: text` on stderr and, if asked for, in syslog.
//!
//! Code says what it has to say with the macros of the `log` crate. No
//! environment variable changes what is shown.

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Where syslog daemons listen (syslog(3)).
const SYSLOG_SOCKET: &str = "/dev/log";

/// A syslog daemon that is stuck for longer loses the message; the container
/// must not wait for it.
const SYSLOG_PATIENCE: Duration = Duration::from_secs(1);

/// Facility "user" (RFC 3164, section 4.1.1), ready to be joined to a severity.
const FACILITY_USER: u8 = 1 << 3;

/// At most so many bytes of the container's name are shown in syslog.
const SYSLOG_NAME_MAX: usize = 20;

/// Sends messages of `level` and above to stderr from now on. With a name (the
/// container's id and tag) they go to syslog as well.
///
/// Only the first call in a process has an effect.
pub fn init(level: LevelFilter, syslog_name: Option<String>) {
    let logger = Logger {
        stderr: env_logger::Builder::new()
            .filter_level(level)
            .format(|out, record| writeln!(out, "{}", stderr_line(record)))
            .build(),
        syslog: syslog_name
            .and_then(|name| Syslog::connect(Path::new(SYSLOG_SOCKET), &program_name(), &name)),
    };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

/// A connection to the system log, one message a write, for programs that
/// inherit it as their standard error. `None` if no daemon listens.
pub fn system_log() -> Option<wire::OwnedFd> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let kind = SocketType::DGRAM;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None).ok()?;
    let address = SocketAddrUnix::new(SYSLOG_SOCKET).ok()?;
    rustix::net::connect(&socket, &address).ok()?;
    Some(socket)
}

/// Where the journal takes lines of text (sd_journal_stream_fd(3)).
const JOURNAL_SOCKET: &str = "/run/systemd/journal/stdout";

/// A stream to the journal, one message a line, for programs that inherit it
/// as their standard error; `<N>` in front of a line is its priority. `None` if
/// there is no journal. A journal that is stuck loses messages.
pub fn journal(identifier: &str) -> Option<wire::OwnedFd> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let kind = SocketType::STREAM;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None).ok()?;
    let address = SocketAddrUnix::new(JOURNAL_SOCKET).ok()?;
    rustix::net::connect(&socket, &address).ok()?;
    // Identifier, unit, priority, whether lines have theirs; then whether to
    // pass them on to syslog, the kernel's log, and the console.
    let header = format!("{identifier}\n\n6\n1\n0\n0\n0\n");
    rustix::io::write(&socket, header.as_bytes()).ok()?;
    rustix::io::ioctl_fionbio(&socket, true).ok()?;
    Some(socket)
}

struct Logger {
    stderr: env_logger::Logger,
    syslog: Option<Syslog>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.stderr.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.stderr.matches(record) {
            self.stderr.log(record);
            if let Some(syslog) = &self.syslog {
                syslog.send(record);
            }
        }
    }

    fn flush(&self) {}
}

fn stderr_line(record: &Record<'_>) -> String {
    let letter = match record.level() {
        Level::Error => 'e',
        Level::Warn => 'w',
        Level::Info => 'i',
        Level::Debug | Level::Trace => 'd',
    };
    format!("[conmon:{letter}]: {}", record.args())
}

/// What `syslog(3)` calls the identity: the name we were started by.
fn program_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&path).file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

struct Syslog {
    socket: UnixDatagram,
    program: String,
    name: String,
}

impl Syslog {
    /// None if no daemon listens; then messages are for stderr alone.
    fn connect(path: &Path, program: &str, name: &str) -> Option<Self> {
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(path).ok()?;
        socket.set_write_timeout(Some(SYSLOG_PATIENCE)).ok()?;
        let name = String::from_utf8_lossy(
            name.as_bytes().get(..SYSLOG_NAME_MAX).unwrap_or(name.as_bytes()),
        );
        Some(Self { socket, program: program.to_owned(), name: name.into_owned() })
    }

    /// The time is left for the daemon to add.
    fn send(&self, record: &Record<'_>) {
        let (severity, tag) = match record.level() {
            Level::Error => (3, "error"),
            Level::Warn => (6, "nwarn"),
            Level::Info => (6, "ninfo"),
            Level::Debug => (6, "ndebug"),
            Level::Trace => (6, "ntrace"),
        };
        let priority = FACILITY_USER | severity;
        let Self { program, name, .. } = self;
        let _ = self.socket.send(
            format!("<{priority}>{program}: conmon {name} <{tag}>: {}", record.args()).as_bytes(),
        );
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn line(level: Level) -> String {
        stderr_line(&Record::builder().level(level).args(format_args!("text")).build())
    }

    #[test]
    fn a_message_on_stderr_starts_with_its_level() {
        assert_eq!(line(Level::Error), "[conmon:e]: text");
        assert_eq!(line(Level::Warn), "[conmon:w]: text");
        assert_eq!(line(Level::Info), "[conmon:i]: text");
        assert_eq!(line(Level::Debug), "[conmon:d]: text");
        assert_eq!(line(Level::Trace), "[conmon:d]: text");
    }

    #[test]
    fn a_message_in_syslog_names_program_container_and_level() {
        let path = std::env::temp_dir().join(format!("conmote-syslog-{}", std::process::id()));
        let daemon = UnixDatagram::bind(&path).expect("bind");
        let syslog = Syslog::connect(&path, "monitor", "0123456789012345678901234: tag");
        std::fs::remove_file(&path).expect("remove the socket");
        let syslog = syslog.expect("connect");
        for (level, expected) in [
            (Level::Error, "<11>monitor: conmon 01234567890123456789 <error>: text"),
            (Level::Warn, "<14>monitor: conmon 01234567890123456789 <nwarn>: text"),
        ] {
            syslog.send(&Record::builder().level(level).args(format_args!("text")).build());
            let mut buffer = [0; 128];
            let length = daemon.recv(&mut buffer).expect("receive");
            assert_eq!(String::from_utf8_lossy(&buffer[..length]), expected);
        }
    }

    #[test]
    fn without_a_syslog_daemon_there_is_just_stderr() {
        assert!(Syslog::connect(Path::new("/nonexistent/log"), "monitor", "x").is_none());
    }
}
