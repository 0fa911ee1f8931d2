//! Workers: what they are given, and what they ask for.

use super::{MAX_SESSIONS, MAX_WORKERS, PAUSE_MS, Pod};
use crate::container::{Client, Container};
use crate::hub::{Hub, Source, unexpected};
use crate::life::State;
use core::ffi::CStr;
use rustix::net::Shutdown;
use rustix::process::{Pid, Signal};
use wire::event::EventFlags;
use wire::link::Refusal;
use wire::sys::{Environment, Mask, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};
use wire::{AsFd, BorrowedFd, Errno, FdSet, Fds, Key, Link, Message, OwnedFd, spawn};

/// A worker: the monitor program, serving one connection.
pub(super) struct Worker {
    link: Link,
    pid: Pid,
    doing: Doing,
    /// A file that is not empty while the worker does what somebody has to
    /// clean up after, should it be killed.
    ledger: Option<OwnedFd>,
}

/// What a worker is at, as far as the hub has to know.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It serves an RPC connection.
    Rpc,
    /// The same, and waits until the log of that container is open anew.
    Awaits(Key),
    /// It serves a streaming session.
    Session,
}

impl Worker {
    fn awaits(&self) -> Option<Key> {
        match self.doing {
            Doing::Awaits(container) => Some(container),
            _ => None,
        }
    }
}

/// What a worker is started for; the socket is its own from then on.
#[derive(Clone, Copy)]
pub(super) enum Work<'a> {
    /// An RPC connection that has something to say.
    Rpc(&'a OwnedFd),
    /// A streaming session: where its client connects, and what it is.
    Stream(&'a OwnedFd, &'a OwnedFd),
    /// What a worker that is gone has left in its ledger.
    CleanUp(&'a OwnedFd),
}

impl Pod {
    /// Starts the monitor program to do this.
    pub(super) fn spawn(
        &self,
        word: &CStr,
        environment: Environment<'static>,
    ) -> Result<(Link, Pid), Errno> {
        // Signals are ours to act on: what is sent to our group reaches all.
        let blocked = Mask::of(&[SIGPIPE, SIGINT, SIGTERM, SIGQUIT]);
        spawn(self.program.as_fd(), &[c"conmonrs", word], blocked, environment, &[])
    }

    /// Whether no more RPC connections can be served just now.
    pub(super) fn has_all_workers(&self) -> bool {
        self.count(false) >= MAX_WORKERS
    }

    /// Whether no more streaming sessions can be.
    pub(super) fn has_all_sessions(&self) -> bool {
        self.count(true) >= MAX_SESSIONS
    }

    fn count(&self, sessions: bool) -> usize {
        let workers = self.tables.workers.iter();
        workers.filter(|(_, worker)| (worker.doing == Doing::Session) == sessions).count()
    }
}

impl Hub {
    /// Starts a worker. `false` when that cannot be just now.
    pub(super) fn start_worker(&mut self, work: Work<'_>) -> bool {
        let started = self.try_worker(work);
        if let Err(error) = started {
            wire::error!(crate::NAME, "cannot start a worker: {error}; trying again");
        }
        started.is_ok()
    }

    fn try_worker(&mut self, work: Work<'_>) -> Result<(), Errno> {
        let Some(pod) = &mut self.pod else { return Ok(()) };
        let (word, doing) = match work {
            Work::Rpc(_) => (c"serve-rpc", Doing::Rpc),
            Work::Stream(..) => (c"serve-stream", Doing::Session),
            Work::CleanUp(_) => (c"clean-up", Doing::Rpc),
        };
        let (link, pid) = pod.spawn(word, self.environment)?;
        let record = pod.record.as_fd();
        let sent = match work {
            Work::Rpc(connection) => link.send(&Message::Serve, &[connection.as_fd(), record]),
            Work::Stream(listener, request) => {
                let fds = [listener.as_fd(), request.as_fd(), record];
                link.send(&Message::ServeStream, &fds)
            }
            Work::CleanUp(ledger) => link.send(&Message::CleanUp, &[ledger.as_fd(), record]),
        };
        if let Err(error) = sent {
            kill(pid);
            return Err(error);
        }
        let Ok(key) = pod.tables.workers.insert(Worker { link, pid, doing, ledger: None }) else {
            kill(pid);
            return Err(Errno::NFILE);
        };
        if let Some(worker) = pod.tables.workers.get(key) {
            let token = Source::Worker(key).token();
            if let Err(error) = self.events.add(&worker.link, token, EventFlags::IN) {
                // Its requests would never be heard.
                kill(pid);
                pod.tables.workers.remove(key);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Reads what a worker has sent.
    pub(crate) fn read_worker(&mut self, key: Key) {
        loop {
            let Some(pod) = &self.pod else { return };
            let Some(worker) = pod.tables.workers.get(key) else { return };
            match worker.link.receive() {
                Ok((message, fds)) => self.worker_says(key, message, fds),
                Err(Refusal::Empty) => return,
                Err(Refusal::Garbage) => {
                    unexpected("a worker");
                    kill(worker.pid);
                    return self.lose_worker(key);
                }
                Err(Refusal::Closed | Refusal::Failed(_)) => return self.lose_worker(key),
            }
        }
    }

    fn worker_says(&mut self, from: Key, message: Message, mut fds: Fds) {
        // It has been told that it gets no answers any more.
        let stops = self.pod.as_ref().is_some_and(|pod| pod.stops());
        match (message, fds.pop()) {
            (Message::Park, Some(connection)) => self.keep(connection),
            _ if stops => {}
            (Message::Adopt { pid, fds: set }, Some(last)) => {
                // There was room for it.
                let _ = fds.push(last);
                let answer = match Container::adopt(pid, set, fds, self.now) {
                    Ok(container) => self.take_over(container),
                    Err(_) => None,
                };
                let adopted = |container| Message::Adopted { container };
                self.answer(from, answer.map_or(Message::Refused, adopted));
            }
            (Message::Find, Some(record)) => self.answer_find(from, &record),
            (Message::Listen { container, closes }, Some(socket)) => {
                let answer = if !self.tables.containers.get(container).is_some_and(takes_clients) {
                    Message::NotFound
                } else if self.open_door(container, socket, closes).is_ok() {
                    Message::Done
                } else {
                    Message::Refused
                };
                self.answer(from, answer);
            }
            (Message::FdSocket, Some(socket)) => {
                let answer = self.open_fd_socket(socket);
                self.answer(from, answer);
            }
            (Message::KeepStream, Some(request)) => {
                let answer = match fds.pop() {
                    Some(listener) => self.keep_stream(listener, request),
                    None => Message::Refused,
                };
                self.answer(from, answer);
            }
            (Message::Join { container }, Some(socket)) => {
                let answer = self.join(container, socket);
                self.answer(from, answer);
            }
            (Message::Ledger, Some(ledger)) => {
                let worker = self.pod.as_mut().and_then(|pod| pod.tables.workers.get_mut(from));
                if let Some(worker) = worker {
                    worker.ledger = Some(ledger);
                }
            }
            (Message::ReopenLog { container }, None) => self.reopen_for(from, container),
            _ => unexpected("a worker"),
        }
    }

    /// Makes the other side of a socket a client of a container.
    fn join(&mut self, key: Key, socket: OwnedFd) -> Message {
        let container = self.tables.containers.get(key);
        let Some(container) = container.filter(|found| takes_clients(found)) else {
            return Message::NotFound;
        };
        if self.tables.clients.is_full() {
            return Message::Refused;
        }
        let client = Client::new(key, container, socket, false);
        self.greet(key, client);
        Message::Done
    }

    fn answer(&mut self, to: Key, message: Message) {
        let Some(pod) = &self.pod else { return };
        let Some(worker) = pod.tables.workers.get(to) else { return };
        send(worker, &message, &[]);
    }

    fn answer_find(&mut self, from: Key, record: &OwnedFd) {
        let Some((key, container)) = self.find(record) else {
            return self.answer(from, Message::NotFound);
        };
        let pid = container.pid.map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs());
        let Some(worker) = self.pod.as_ref().and_then(|pod| pod.tables.workers.get(from)) else {
            return;
        };
        let found = |fds| Message::Found { container: key, pid, fds };
        let record = container.record.as_fd();
        match &container.tty {
            Some(tty) => {
                let fds = FdSet::RECORD.with(FdSet::TTY);
                send(worker, &found(fds), &[record, tty.as_fd()]);
            }
            None => send(worker, &found(FdSet::RECORD), &[record]),
        }
    }

    /// Has the log of a container opened anew; the worker is answered when the
    /// log-writer has done it.
    fn reopen_for(&mut self, from: Key, container: Key) {
        if self.tables.containers.get(container).is_none() {
            return self.answer(from, Message::NotFound);
        }
        let worker = self.pod.as_mut().and_then(|pod| pod.tables.workers.get_mut(from));
        let Some(worker) = worker else { return };
        worker.doing = Doing::Awaits(container);
        self.reopen(container);
    }

    /// Has logs opened anew for which a log-writer was asked that is gone.
    pub(crate) fn reopen_again(&mut self) {
        let mut from = 0;
        while let Some(pod) = &self.pod
            && let Some(key) = pod.tables.workers.next_key(from)
        {
            from = key.slot() + 1;
            if let Some(container) = pod.tables.workers.get(key).and_then(Worker::awaits) {
                self.reopen(container);
            }
        }
    }

    /// Answers those who wait for the log of a container.
    pub(crate) fn reopened(&mut self, container: Key, answer: Message) {
        let Some(pod) = &mut self.pod else { return };
        for (_, worker) in pod.tables.workers.iter_mut() {
            if worker.awaits() == Some(container) {
                worker.doing = Doing::Rpc;
                send(worker, &answer, &[]);
            }
        }
    }

    /// A worker is gone. Its connection is, too, if it has not parked it.
    fn lose_worker(&mut self, key: Key) {
        let Some(pod) = &mut self.pod else { return };
        let ledger = pod.tables.workers.remove(key).and_then(|worker| {
            self.events.remove(&worker.link);
            worker.ledger
        });
        let (goes_on, starts) = (!pod.stops(), pod.start_at.is_none());
        if let Some(ledger) = ledger.filter(|ledger| goes_on && !is_empty(ledger)) {
            self.clean_up(ledger);
        }
        if starts {
            self.serve_waiting();
        }
    }

    /// Has somebody clean up after a worker that was killed.
    fn clean_up(&mut self, ledger: OwnedFd) {
        if !self.start_worker(Work::CleanUp(&ledger))
            && let Some(pod) = &mut self.pod
        {
            pod.start_at = Some(self.now + PAUSE_MS);
            if pod.ledgers.push(ledger).is_err() {
                wire::error!(crate::NAME, "what a killed worker was having created may be left");
            }
        }
    }

    /// The same for those after whom nobody could be started to clean up.
    pub(super) fn clean_up_again(&mut self) {
        let ledgers = self.pod.as_mut().map(|pod| core::mem::take(&mut pod.ledgers));
        for ledger in ledgers.unwrap_or_default() {
            self.clean_up(ledger);
        }
    }

    /// Tells every worker that there will be no more answers: it finishes what
    /// it is at, and goes.
    pub(super) fn dismiss_workers(&mut self) {
        let Some(pod) = &self.pod else { return };
        for (_, worker) in pod.tables.workers.iter() {
            let _ = rustix::net::shutdown(&worker.link, Shutdown::Write);
        }
    }

    /// Ends those that have not gone.
    pub(super) fn kill_workers(&mut self) {
        let Some(pod) = &self.pod else { return };
        pod.tables.workers.iter().for_each(|(_, worker)| kill(worker.pid));
        pod.fd_socket.kill();
    }
}

/// One request, one answer: there is room. A worker that is not there any more
/// needs none.
fn send(worker: &Worker, message: &Message, fds: &[BorrowedFd<'_>]) {
    let _ = worker.link.send(message, fds);
}

/// Whether somebody will close the socket of a client of this container: of one
/// that ended longer ago nobody does.
fn takes_clients(container: &Container) -> bool {
    matches!(container.state, State::Running | State::Killed | State::Draining)
}

fn is_empty(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_size == 0)
}

pub(super) fn kill(pid: Pid) {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
}
