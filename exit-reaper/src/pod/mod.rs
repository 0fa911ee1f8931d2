//! Serving a pod: the hub also listens for RPC connections, starts a worker
//! (the monitor program) for each that has something to say, takes over the
//! containers that workers make, and stays when no container is left.
//!
//! It reads no byte of a connection: that is the workers'. A worker is a
//! process for as long as its connection is busy; then it gives the connection
//! back ("parks" it). Nothing of this is touched by a hub of one container.

mod connections;
mod doors;
mod fd_socket;
mod reaped;
mod streams;
mod workers;

use crate::container::Container;
use crate::hub::{Hub, Source};
use crate::life::{Event, State};
use crate::publish;
use connections::Connection;
use doors::Door;
use fd_socket::FdSocket;
use reaped::Reaped;
use streams::Stream;
use wire::event::{EventFlags, Events};
use wire::key::Slots;
use wire::record::Tag;
use wire::{Errno, Key, OwnedFd, Record};
use workers::Worker;

/// Most connections that wait for something to be said or for a worker. An
/// engine keeps one a pod; further ones are closed.
const MAX_CONNECTIONS: usize = 128;
/// Most workers at once, each a process. Further connections wait.
const MAX_WORKERS: usize = 32;
/// Most streaming sessions at once, each a process. Further clients wait.
const MAX_SESSIONS: usize = 64;
/// Most sessions that nobody has begun. Another one takes the place of the
/// oldest, as in conmonrs.
const MAX_STREAMS: usize = 25;
/// Most attach sockets. A container has one as a rule.
const MAX_DOORS: usize = 1024;

/// How long ending the server may take, in ms: engines wait ten seconds.
const STOP_MS: u64 = 8_000;
/// How long not to accept connections or start workers after descriptors or
/// memory ran out, in ms.
const PAUSE_MS: u64 = 100;

/// What only pods need. What every pod uses comes first, and is less than a
/// page.
#[repr(C)]
pub(crate) struct Tables {
    workers: Slots<Worker, { MAX_WORKERS + MAX_SESSIONS }>,
    reaped: Reaped,
    connections: Slots<Connection, MAX_CONNECTIONS>,
    streams: Slots<Stream, MAX_STREAMS>,
    doors: Slots<Door, MAX_DOORS>,
}

impl Tables {
    /// Empty ones.
    pub(crate) const fn new() -> Self {
        Tables {
            workers: Slots::new(),
            reaped: Reaped::new(),
            connections: Slots::new(),
            streams: Slots::new(),
            doors: Slots::new(),
        }
    }
}

/// A pod's server.
pub(crate) struct Pod {
    /// The monitor program, which workers execute.
    program: OwnedFd,
    /// The RPC socket; `None` once the server is ending.
    listener: Option<OwnedFd>,
    /// What `monitor` was started with, for workers.
    record: OwnedFd,
    /// When to accept connections again.
    accept_at: Option<u64>,
    /// When to try again to start workers.
    start_at: Option<u64>,
    /// What killed workers have left, until somebody can be started for it.
    ledgers: heapless::Vec<OwnedFd, 4>,
    /// When the server ends at the latest; `None`: nobody has asked.
    stop_by: Option<u64>,
    /// How many connections have had to wait for a worker so far.
    waits: u32,
    fd_socket: FdSocket,
    tables: &'static mut Tables,
}

impl Pod {
    /// With the descriptors of `Start`. Fails when the system has no memory to
    /// watch the socket.
    pub(crate) fn new(
        program: OwnedFd,
        listener: OwnedFd,
        record: OwnedFd,
        tables: &'static mut Tables,
        events: &Events,
    ) -> Result<Self, Errno> {
        events.add(&listener, Source::Rpc.token(), EventFlags::IN)?;
        Ok(Pod {
            program,
            listener: Some(listener),
            record,
            accept_at: None,
            start_at: None,
            ledgers: heapless::Vec::new(),
            stop_by: None,
            waits: 0,
            fd_socket: FdSocket::new(),
            tables,
        })
    }

    /// Whether it is ending.
    fn stops(&self) -> bool {
        self.stop_by.is_some()
    }

    /// The earliest of its timers, in ms of the clock.
    pub(crate) fn next_timer(&self) -> Option<u64> {
        let doors = self.tables.doors.iter().filter_map(|(_, door)| door.accept_at);
        let streams = self.tables.streams.iter().map(|(_, stream)| stream.next_timer());
        let own = [self.accept_at, self.start_at, self.stop_by, self.fd_socket.start_at];
        own.into_iter().flatten().chain(doors).chain(streams).min()
    }

    /// Remembers the status of a child that is nobody we know: it may be a
    /// container whose worker has not said so yet.
    pub(crate) fn remember(&mut self, pid: i32, status: i32) {
        self.tables.reaped.put(pid, status);
    }

    /// The status of a child that was reaped before it was known.
    pub(crate) fn recall(&mut self, pid: i32) -> Option<i32> {
        self.tables.reaped.take(pid)
    }
}

impl Hub {
    /// Whether a pod's server has nothing left to do: it was asked to end, and
    /// all containers and workers are gone, or its time is up.
    pub(crate) fn pod_is_over(&self, pod: &Pod) -> bool {
        let idle = self.tables.containers.is_empty()
            && pod.tables.workers.is_empty()
            && pod.fd_socket.is_idle();
        pod.stop_by.is_some_and(|at| idle || at <= self.now)
    }

    /// Ends the server: no more connections, no more requests; every container
    /// and exec is killed, and its end recorded as usual.
    pub(crate) fn stop_pod(&mut self) {
        let Some(pod) = &mut self.pod else { return };
        if pod.stops() {
            return;
        }
        pod.stop_by = Some(self.now + STOP_MS);
        pod.start_at = None;
        pod.accept_at = None;
        // While we listen, nobody else can have made a socket of that name.
        if let Ok(record) = Record::map(&pod.record) {
            publish::unlink(record.fields(), Tag::RpcSocket);
        }
        if let Some(listener) = pod.listener.take() {
            self.events.remove(&listener);
        }
        self.dismiss_connections();
        self.dismiss_streams();
        self.dismiss_workers();
        self.close_fd_socket();
        self.stop_all(false);
    }

    /// Kills all containers, or all pause processes. In the namespaces of those
    /// are the containers, which are to end first.
    fn stop_all(&mut self, pause: bool) {
        let mut from = 0;
        while let Some(key) = self.tables.containers.next_key(from) {
            from = key.slot() + 1;
            if self.tables.containers.get(key).is_some_and(|found| found.pause == pause) {
                self.step(key, Event::Stopped);
            }
        }
    }

    /// Records the end of what has not ended in time, as well as that goes.
    pub(crate) fn give_up(&mut self) {
        self.stop_all(true);
        let mut from = 0;
        while let Some(key) = self.tables.containers.next_key(from) {
            from = key.slot() + 1;
            for state in [State::Killed, State::Draining] {
                if self.tables.containers.get(key).is_some_and(|found| found.state == state) {
                    self.step(key, Event::Deadline);
                }
            }
        }
        self.kill_workers();
    }

    /// Lets those timers of a pod happen whose time has come.
    pub(crate) fn pod_timers(&mut self) {
        let now = self.now;
        let due = |at: &mut Option<u64>| at.take_if(|at| *at <= now).is_some();
        let Some(pod) = &mut self.pod else { return };
        let (accept, start) = (due(&mut pod.accept_at), due(&mut pod.start_at));
        let (fds, stops) = (due(&mut pod.fd_socket.start_at), pod.stops());
        if accept {
            self.watch_connections();
        }
        if start {
            self.clean_up_again();
            self.serve_waiting();
        }
        if fds {
            self.watch_fd_socket();
        }
        if stops && self.tables.containers.iter().all(|(_, container)| container.pause) {
            self.stop_all(true);
        }
        self.door_timers();
        self.stream_timers();
    }

    /// The container of that id, which may not be an exec session or dead; or
    /// the pause process of that pid file.
    fn find(&self, record: &OwnedFd) -> Option<(Key, &Container)> {
        let record = Record::map(record).ok()?;
        let wanted = record.fields();
        let tags = [Tag::Cid, Tag::PausePidFile];
        let tag = tags.into_iter().find(|tag| wanted.string(*tag).is_some())?;
        self.tables.containers.iter().find(|(_, container)| {
            matches!(container.state, State::Running | State::Killed)
                && !container.exec
                && Record::map(&container.record)
                    .is_ok_and(|own| own.fields().string(tag) == wanted.string(tag))
        })
    }
}
