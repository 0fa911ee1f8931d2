//! Waiting for the client that has the token. Whoever else connects is
//! refused, and delays nobody; of too many at once the oldest go.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::SocketFlags;
use wire::{Errno, OwnedFd};

use super::http::{self, MAX_HEAD, Opening, Verdict};
use super::request::Request;
use super::tcp::Tcp;
use super::wait::{found, wait};

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most connections that have not sent a whole request. A further one takes the
/// place of the oldest.
const MAX_GUESTS: usize = 32;

/// How waiting ended.
#[derive(Debug)]
pub enum Met {
    /// The client with the token, and what it has sent after its request.
    Client(Tcp, Opening, Vec<u8>),
    /// Nobody has been there for a while.
    Nobody,
    /// The token is worth nothing any more, or the server ends.
    Over,
}

/// A connection whose request has not all come.
struct Guest {
    tcp: Tcp,
    bytes: Vec<u8>,
    until: Instant,
}

/// Waits until the client comes, or nobody has been there for `quiet`. `ending`
/// is ready when the server ends.
pub fn meet(listener: &OwnedFd, ending: &OwnedFd, request: &Request, quiet: Duration) -> Met {
    let mut guests: Vec<Guest> = Vec::new();
    let mut idle_at = Instant::now() + quiet;
    loop {
        if request.expired() {
            return Met::Over;
        }
        if guests.is_empty() && idle_at <= Instant::now() {
            return Met::Nobody;
        }
        let mut polled =
            vec![PollFd::new(ending, PollFlags::RDHUP), PollFd::new(listener, PollFlags::IN)];
        polled.extend(guests.iter().map(|guest| PollFd::new(&guest.tcp, PollFlags::IN)));
        let first = guests.iter().map(|guest| guest.until).min();
        // Seconds matter to nobody here, so nor does a token's last one.
        wait(&mut polled, Some(first.unwrap_or(idle_at)));
        let ready: Vec<bool> = polled.iter().map(|entry| !entry.revents().is_empty()).collect();
        if !found(&polled, 0).is_empty() {
            return Met::Over;
        }
        drop(polled);
        let mut later = Vec::new();
        for (at, guest) in guests.into_iter().enumerate() {
            let ready = ready.get(at + 2).copied().unwrap_or_default();
            match guest.go_on(ready, request) {
                Progress::Later(guest) => later.push(guest),
                Progress::Done(client) => match client {
                    Some((tcp, opening, rest)) => return Met::Client(tcp, opening, rest),
                    None => idle_at = Instant::now() + quiet,
                },
            }
        }
        guests = later;
        if ready.get(1).copied().unwrap_or_default() {
            accept(listener, &mut guests);
            idle_at = Instant::now() + quiet;
        }
    }
}

fn accept(listener: &OwnedFd, guests: &mut Vec<Guest>) {
    loop {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        match rustix::net::accept_with(listener, flags) {
            Ok(socket) => {
                if guests.len() >= MAX_GUESTS {
                    guests.remove(0);
                }
                let _ = rustix::net::sockopt::set_tcp_nodelay(&socket, true);
                let until = Instant::now() + PATIENCE;
                guests.push(Guest { tcp: Tcp(socket), bytes: Vec::new(), until });
            }
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::AGAIN) => return,
            Err(error) => {
                log::error!("cannot accept a client: {error}; trying again");
                std::thread::sleep(Duration::from_millis(100));
                return;
            }
        }
    }
}

enum Progress {
    Later(Guest),
    Done(Option<(Tcp, Opening, Vec<u8>)>),
}

impl Guest {
    fn go_on(mut self, ready: bool, request: &Request) -> Progress {
        if ready {
            let mut piece = [0u8; 4096];
            match rustix::io::read(&self.tcp.0, &mut piece[..]) {
                Ok(count @ 1..) => self.bytes.extend(piece.iter().take(count)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Ok(_) | Err(_) => return Progress::Done(None),
            }
            let protocols = http::protocols(&request.job);
            match http::judge(&self.bytes, &request.token, protocols) {
                Verdict::Incomplete => {}
                Verdict::Refused(answer) => {
                    self.tcp.say_last(&answer);
                    return Progress::Done(None);
                }
                Verdict::Open(opening) => {
                    let rest = self.bytes.split_off(opening.length.min(self.bytes.len()));
                    return Progress::Done(Some((self.tcp, opening, rest)));
                }
            }
        }
        if self.until <= Instant::now() || self.bytes.len() > MAX_HEAD + 4096 {
            return Progress::Done(None);
        }
        Progress::Later(self)
    }
}
