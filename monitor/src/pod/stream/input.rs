//! What a client has sent, on its way to a process.

use std::collections::VecDeque;

use rustix::net::{SendFlags, Shutdown};
use wire::{Errno, OwnedFd};

/// Most bytes that wait; more stays with the client.
const MAX_WAITING: usize = 1 << 20;
/// Longest packet for the attach socket, in bytes, as its clients send them.
const PACKET: usize = 8191;

/// Where input goes.
#[derive(Debug)]
pub enum Sink {
    /// A pipe: closing it is the end of the input.
    Pipe(OwnedFd),
    /// A terminal, whose input has no end.
    Terminal(OwnedFd),
    /// An attach socket.
    Packets(OwnedFd),
}

/// The input of a session.
#[derive(Debug)]
pub struct Input {
    /// `None`: it takes nothing, or nothing more.
    sink: Option<Sink>,
    waiting: VecDeque<u8>,
    /// Nothing comes after what waits.
    ends: bool,
}

impl Input {
    /// Into this sink.
    pub fn new(sink: Option<Sink>) -> Self {
        Input { sink, waiting: VecDeque::new(), ends: false }
    }

    /// Whether no more can be taken just now.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// What to wait for with POLLOUT.
    pub fn blocked_on(&self) -> Option<&OwnedFd> {
        let sink = self.sink.as_ref().filter(|_| !self.waiting.is_empty());
        sink.map(|sink| match sink {
            Sink::Pipe(fd) | Sink::Terminal(fd) | Sink::Packets(fd) => fd,
        })
    }

    /// Takes what the client has sent.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.sink.is_some() && !self.ends {
            self.waiting.extend(bytes);
        }
    }

    /// The client sends no more.
    pub fn end(&mut self) {
        self.ends = true;
    }

    /// Hands on as much as there is room for.
    pub fn hand_on(&mut self) {
        while let Some(sink) = &self.sink {
            let (next, _) = self.waiting.as_slices();
            if next.is_empty() {
                break;
            }
            let written = match sink {
                Sink::Pipe(fd) | Sink::Terminal(fd) => rustix::io::write(fd, next),
                Sink::Packets(fd) => {
                    let packet = next.get(..PACKET).unwrap_or(next);
                    rustix::net::send(fd, packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
                }
            };
            match written {
                Ok(count) => drop(self.waiting.drain(..count.min(self.waiting.len()))),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // Nobody reads it any more.
                Err(_) => {
                    self.waiting.clear();
                    self.sink = None;
                }
            }
        }
        if self.ends {
            match &self.sink {
                Some(Sink::Pipe(_)) => self.sink = None,
                Some(Sink::Packets(fd)) => {
                    let _ = rustix::net::shutdown(fd, Shutdown::Write);
                }
                Some(Sink::Terminal(_)) | None => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fds::{self, Ours};

    #[test]
    fn everything_arrives_before_the_end() {
        let pipe = fds::pipe(Ours::Write).unwrap();
        let mut input = Input::new(Some(Sink::Pipe(pipe.ours)));
        let sent: Vec<u8> = (0..300_000u32).map(|at| at as u8).collect();
        input.push(&sent);
        input.end();
        input.push(b"late");
        let (mut got, mut piece): (Vec<u8>, _) = (Vec::new(), vec![0u8; 4096]);
        loop {
            input.hand_on();
            assert_eq!(input.blocked_on().is_some(), sent.len() - got.len() > 65_536);
            match rustix::io::read(&pipe.theirs, &mut piece[..]).unwrap() {
                0 => break,
                count => got.extend(&piece[..count]),
            }
        }
        assert!(got == sent);
    }

    #[test]
    fn what_nobody_reads_is_dropped() {
        let pipe = fds::pipe(Ours::Write).unwrap();
        let mut input = Input::new(Some(Sink::Pipe(pipe.ours)));
        drop(pipe.theirs);
        input.push(b"x");
        input.hand_on();
        assert!(input.blocked_on().is_none());
        let mut none = Input::new(None);
        none.push(&vec![0; MAX_WAITING]);
        assert!(!none.is_full());
    }
}
