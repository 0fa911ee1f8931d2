//! A session between a client and a process: one loop, in which nothing blocks
//! but waiting.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::termios::tcsetwinsize;
use wire::OwnedFd;

use super::input::Input;
use super::output::{Output, Piece, channel};
use super::resize;
use super::socket::{Reader, STUCK, Socket};
use super::wait::{found, wait};
use crate::pod::exec::read_status;

/// How long an output may stay silent before it is given up, when the command
/// has ended and something it left behind holds the output open.
const GRACE: Duration = Duration::from_millis(50);
/// How long that may go on printing.
const MAX_GRACE: Duration = Duration::from_secs(1);
/// How long a session goes on when the server ends: its process is killed, and
/// the client is to learn that.
const HURRY: Duration = Duration::from_secs(1);

/// What a session serves.
#[derive(Debug)]
pub struct Process {
    /// Where its output comes from.
    pub outputs: Vec<Output>,
    /// Where its input goes.
    pub input: Input,
    /// Its terminal.
    pub terminal: Option<OwnedFd>,
    /// Of a command: the pipe that its status comes out of.
    pub status: Option<OwnedFd>,
    /// Whether output and error output are wanted.
    pub wanted: [bool; 2],
}

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The command has ended with this status, and all of its output is sent.
    Status(i32),
    /// All of the container's output is sent.
    Done,
    /// The client has read too slowly to get all of it.
    Dropped,
    /// The client has gone.
    Gone,
    /// The client sent what no client may send.
    Wrong(String),
    /// The server ends.
    ServerEnds,
}

/// A command that has ended while its output is being sent.
struct Ended {
    status: i32,
    since: Instant,
    /// When something was read last.
    last: Instant,
    /// How much of what was there when it ended has not been read.
    owed: u64,
}

/// What became ready.
struct Ready {
    ending: bool,
    socket: PollFlags,
    status: bool,
    outputs: Vec<bool>,
}

/// A session at work.
pub struct Session<'a> {
    socket: &'a mut Socket,
    ending: &'a OwnedFd,
    process: Process,
    ended: Option<Ended>,
    /// Since when the client has read nothing.
    stuck: Option<Instant>,
    /// When it is over, because the server ends.
    over_at: Option<Instant>,
}

impl<'a> Session<'a> {
    /// `ending` is ready when the server ends.
    pub fn new(socket: &'a mut Socket, ending: &'a OwnedFd, process: Process) -> Self {
        Session { socket, ending, process, ended: None, stuck: None, over_at: None }
    }

    /// Serves it to its end.
    pub fn run(mut self) -> End {
        loop {
            let ready = self.wait();
            if ready.ending && self.over_at.is_none() {
                self.over_at = Some(Instant::now() + HURRY);
            }
            // First, so that what the command wrote is there to be read then.
            if ready.status {
                self.read_status();
            }
            if let Some(end) = self.read_outputs(&ready.outputs) {
                return end;
            }
            let gone = self.read_client(ready.socket);
            self.process.input.hand_on();
            if let Some(end) = gone {
                return end;
            }
            if !self.socket.flush() {
                return End::Gone;
            }
            if let Some(end) = self.look_at_clock() {
                return end;
            }
        }
    }

    fn wait(&mut self) -> Ready {
        let input_full = self.process.input.is_full();
        let pending = self.socket.pending();
        let mut flags = PollFlags::RDHUP;
        flags.set(PollFlags::IN, !input_full);
        flags.set(PollFlags::OUT, pending);
        let watched = self.over_at.is_none();
        let mut polled = vec![PollFd::new(&*self.socket, flags)];
        if watched {
            polled.push(PollFd::new(self.ending, PollFlags::RDHUP));
        }
        let status_at = polled.len();
        let status = self.process.status.as_ref().filter(|_| self.ended.is_none());
        polled.extend(status.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        let outputs_at = polled.len();
        if !pending {
            let outputs = self.process.outputs.iter();
            polled.extend(outputs.map(|output| PollFd::new(output.fd(), PollFlags::IN)));
        }
        let input = self.process.input.blocked_on();
        polled.extend(input.map(|fd| PollFd::new(fd, PollFlags::OUT)));
        let until =
            if self.socket.unread() && !input_full { Some(Instant::now()) } else { self.until() };
        wait(&mut polled, until);
        let outputs = self.process.outputs.iter().enumerate();
        Ready {
            ending: watched && !found(&polled, 1).is_empty(),
            socket: found(&polled, 0),
            status: status.is_some() && !found(&polled, status_at).is_empty(),
            outputs: outputs
                .map(|(at, _)| !pending && !found(&polled, outputs_at + at).is_empty())
                .collect(),
        }
    }

    /// When to wake up at the latest.
    fn until(&self) -> Option<Instant> {
        let ended = self.ended.as_ref().map(|ended| match self.stuck {
            Some(since) => since + STUCK,
            None => (ended.last + GRACE).min(ended.since + MAX_GRACE),
        });
        [ended, self.over_at].into_iter().flatten().min()
    }

    fn read_status(&mut self) {
        let Some(status) = self.process.status.as_ref().and_then(read_status) else { return };
        let now = Instant::now();
        let owed = self.process.outputs.iter().map(Output::waiting).sum();
        self.ended = Some(Ended { status, since: now, last: now, owed });
    }

    /// Sends what outputs have, as long as the client has room for it.
    fn read_outputs(&mut self, ready: &[bool]) -> Option<End> {
        let mut closed = Vec::new();
        let (outputs, ended) = (&self.process.outputs, &mut self.ended);
        for (at, output) in outputs.iter().enumerate() {
            if self.socket.pending() || !ready.get(at).copied().unwrap_or_default() {
                continue;
            }
            match output.read() {
                Piece::Data(channel, bytes) => {
                    if let Some(ended) = ended {
                        ended.last = Instant::now();
                        ended.owed = ended.owed.saturating_sub(bytes.len() as u64);
                    }
                    let [stdout, stderr] = self.process.wanted;
                    let wanted = if channel == channel::STDERR { stderr } else { stdout };
                    if wanted && !self.socket.send(channel, &bytes) {
                        return Some(End::Gone);
                    }
                }
                Piece::Nothing => {}
                Piece::End if matches!(output, Output::Packets(_)) => return Some(End::Done),
                Piece::Dropped => return Some(End::Dropped),
                Piece::End => closed.push(at),
            }
        }
        for at in closed.into_iter().rev() {
            self.process.outputs.remove(at);
        }
        // Whoever was first is last the next time.
        if self.process.outputs.len() > 1 {
            self.process.outputs.rotate_left(1);
        }
        None
    }

    fn look_at_clock(&mut self) -> Option<End> {
        let now = Instant::now();
        let over = self.over_at.is_some_and(|at| at <= now);
        if self.socket.pending() {
            let since = *self.stuck.get_or_insert(now);
            if over {
                return Some(End::ServerEnds);
            }
            return (self.ended.is_some() && since + STUCK <= now).then_some(End::Dropped);
        }
        let was_stuck = self.stuck.take().is_some();
        if let Some(ended) = &mut self.ended {
            if was_stuck {
                ended.last = now;
            }
            // Whoever holds the other end may have taken some of it back.
            ended.owed = ended.owed.min(self.process.outputs.iter().map(Output::waiting).sum());
            let all = self.process.outputs.is_empty();
            let silent = ended.last + GRACE <= now || ended.since + MAX_GRACE <= now;
            if all || (ended.owed == 0 && silent) {
                return Some(End::Status(ended.status));
            }
        }
        over.then_some(End::ServerEnds)
    }
}

impl Reader for Session<'_> {
    fn socket(&mut self) -> &mut Socket {
        self.socket
    }

    fn is_full(&self) -> bool {
        self.process.input.is_full()
    }

    fn take(&mut self, message: &[u8]) -> Result<(), String> {
        match message {
            [channel::STDIN, bytes @ ..] => self.process.input.push(bytes),
            [channel::RESIZE, text @ ..] => {
                let size = resize::parse(text);
                if let (Some(terminal), Some(size)) = (&self.process.terminal, size) {
                    let _ = tcsetwinsize(terminal, size);
                }
            }
            [channel::CLOSE] | [channel::CLOSE, channel::STDIN, ..] => self.process.input.end(),
            _ => {}
        }
        Ok(())
    }
}
