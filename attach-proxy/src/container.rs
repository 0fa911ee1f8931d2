//! A container as the proxy knows it: where its input goes, its terminal, its
//! control FIFOs, its notify socket.

use crate::control::{Bad, Command, Lines, Source};
use crate::ports::{Ports, Token};
use rustix::fs::OFlags;
use rustix::termios::{Winsize, tcsetwinsize};
use wire::record::Tag;
use wire::{AsFd, BorrowedFd, Errno, FdSet, Fds, Key, Message, OwnedFd, Record};

/// Where clients' input goes.
pub(crate) enum Input {
    /// Into the container's stdin.
    Pipe(OwnedFd),
    /// To the container's terminal.
    Terminal,
    /// Nowhere: it is read and dropped.
    Closed,
}

/// A packet that the container has taken only a part of.
#[derive(Clone, Copy)]
pub(crate) struct Stuck {
    /// Whose packet; our own key. It is still the first in that socket.
    pub(crate) client: Key,
    /// Bytes of it that were written.
    pub(crate) sent: usize,
}

/// One container.
pub(crate) struct Container {
    record: OwnedFd,
    terminal: Option<OwnedFd>,
    /// Where input goes.
    pub(crate) input: Input,
    /// The packet in progress; no other client is read before it is through.
    pub(crate) stuck: Option<Stuck>,
    /// Whether room for more of it wakes us.
    awaits_room: bool,
    /// Whether the end of one client's input closes the container's.
    pub(crate) close_at_end: bool,
    /// Some client may have a packet waiting.
    pub(crate) due: bool,
    /// Slot of the client to begin with, so that all get their turn.
    pub(crate) turn: usize,
    control: Option<Fifo>,
    window_size: Option<Fifo>,
    /// Where it sends its notifications.
    pub(crate) notify: Option<OwnedFd>,
}

struct Fifo {
    fd: OwnedFd,
    lines: Lines,
}

impl Container {
    /// From the descriptors `set` that came with a `Container` message.
    /// `input_closed`: whatever clients send is dropped.
    pub(crate) fn new(set: FdSet, fds: Fds, input_closed: bool) -> Result<Self, Errno> {
        let (mut record, mut pipe, mut terminal) = (None, None, None);
        let (mut control, mut window_size, mut notify) = (None, None, None);
        for (bit, fd) in set.bits().zip(fds) {
            let place = match bit {
                FdSet::RECORD => &mut record,
                FdSet::STDIN => &mut pipe,
                FdSet::TTY => &mut terminal,
                FdSet::CTL => &mut control,
                FdSet::WINSZ => &mut window_size,
                FdSet::NOTIFY => &mut notify,
                // Not for us: closed here.
                _ => continue,
            };
            if bit != FdSet::RECORD {
                never_block(&fd)?;
            }
            *place = Some(fd);
        }
        let record = record.ok_or(Errno::BADF)?;
        let close_at_end = Record::map(&record)?.fields().flag(Tag::CloseStdin);
        let input = match pipe {
            _ if input_closed => Input::Closed,
            Some(pipe) => Input::Pipe(pipe),
            None if terminal.is_some() => Input::Terminal,
            None => Input::Closed,
        };
        let fifo = |fd| Fifo { fd, lines: Lines::new() };
        Ok(Container {
            record,
            terminal,
            input,
            stuck: None,
            awaits_room: false,
            close_at_end,
            due: false,
            turn: 0,
            control: control.map(fifo),
            window_size: window_size.map(fifo),
            notify,
        })
    }

    /// Begins to watch its descriptors.
    pub(crate) fn listen(&self, own: Key, ports: &Ports) -> Result<(), Errno> {
        if let Some(input) = self.input_fd() {
            ports.watch_room(input, Token::Input(own))?;
        }
        if let Some(fifo) = &self.control {
            ports.watch_readable(&fifo.fd, Token::Control(own))?;
        }
        if let Some(fifo) = &self.window_size {
            ports.watch_readable(&fifo.fd, Token::WindowSize(own))?;
        }
        if let Some(socket) = &self.notify {
            ports.watch_readable(socket, Token::Notify(own))?;
        }
        Ok(())
    }

    /// Stops watching anything of it. For before it is dropped: the hub has
    /// the same descriptors, so closing ours does not do it.
    pub(crate) fn unlisten(&self, ports: &Ports) {
        if let Some(input) = self.input_fd() {
            ports.events.remove(input);
        }
        let fifos = self.control.iter().chain(&self.window_size).map(|fifo| &fifo.fd);
        for fd in fifos.chain(&self.notify) {
            ports.events.remove(fd);
        }
    }

    /// The descriptor that input is written to, if it is still open.
    pub(crate) fn input_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.input {
            Input::Pipe(pipe) => Some(pipe.as_fd()),
            Input::Terminal => self.terminal.as_ref().map(AsFd::as_fd),
            Input::Closed => None,
        }
    }

    /// Notes what is in the way of all other input, and waits for room.
    pub(crate) fn block(&mut self, own: Key, stuck: Stuck, ports: &Ports) {
        self.stuck = Some(stuck);
        self.await_room(true, own, ports);
    }

    /// Waits for room, or does not any more: a container that reads what it
    /// has would wake us for nothing.
    pub(crate) fn await_room(&mut self, wanted: bool, own: Key, ports: &Ports) {
        if let Some(input) = self.input_fd()
            && self.awaits_room != wanted
        {
            ports.await_room(input, Token::Input(own), wanted);
            self.awaits_room = wanted;
        }
    }

    /// No more input for this container: whatever clients send is dropped.
    pub(crate) fn close_input(&mut self, own: Key, ports: &Ports) {
        if let Some(input) = self.input_fd() {
            ports.events.remove(input);
            self.input = Input::Closed;
            ports.tell(Message::CloseStdin { container: own });
        }
    }

    /// Whether part of a command has come and its end has not.
    pub(crate) fn in_a_line(&self) -> bool {
        let mut fifos = self.control.iter().chain(&self.window_size);
        fifos.any(|fifo| fifo.lines.in_a_line())
    }

    /// Reads a FIFO once, through `buffer`, and does what its lines say.
    pub(crate) fn read_fifo(&mut self, own: Key, source: Source, buffer: &mut [u8], ports: &Ports) {
        let place = match source {
            Source::Control => &mut self.control,
            Source::WindowSize => &mut self.window_size,
        };
        // Out of `self`, so that a command can use the rest of it.
        let Some(mut fifo) = place.take() else { return };
        let read = rustix::io::read(&fifo.fd, &mut *buffer);
        let problem = match read {
            Ok(0) => Some(Errno::PIPE),
            Ok(len) => {
                let bytes = buffer.get(..len).unwrap_or(&[]);
                fifo.lines.feed(source, bytes, |command, line| {
                    self.obey(own, source, command, line, ports);
                });
                None
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = problem {
            // At its end it would be readable for ever.
            ports.events.remove(&fifo.fd);
            let name = source.name();
            self.warn(format_args!("{name}: listens no more: {error}"));
            return;
        }
        match source {
            Source::Control => self.control = Some(fifo),
            Source::WindowSize => self.window_size = Some(fifo),
        }
    }

    fn obey(
        &self,
        own: Key,
        source: Source,
        command: Result<Command, Bad>,
        line: &[u8],
        ports: &Ports,
    ) {
        match command {
            Ok(Command::Resize { rows, columns }) => self.resize(rows, columns),
            Ok(Command::Reopen) => ports.tell(Message::ReopenAsked { container: own }),
            Err(bad) => self.warn(format_args!(
                "{}: line \"{}\" ignored: {}",
                source.name(),
                line.escape_ascii(),
                bad.reason()
            )),
        }
    }

    /// Without a terminal there is nothing to resize, and that is no error.
    fn resize(&self, rows: u16, columns: u16) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        if let Err(error) = tcsetwinsize(terminal, size) {
            self.warn(format_args!(
                "cannot resize its terminal to {rows} rows, {columns} columns: {error}"
            ));
        }
    }

    /// A warning that begins with the container's id.
    pub(crate) fn warn(&self, text: core::fmt::Arguments<'_>) {
        let record = Record::map(&self.record).ok();
        let id = record.as_ref().and_then(|record| record.fields().string(Tag::Cid));
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or("?");
        wire::warning!(crate::NAME, "container {id}: {text}");
    }
}

/// Whoever made the descriptor should have done this; one blocking write
/// would stop every container we serve.
fn never_block(fd: &OwnedFd) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}
