//! The hub's state and its loop: what became ready is named here and handled
//! in the module of its subject.

use crate::clients::Clients;
use crate::container::Container;
use crate::oom::Moment;
use crate::pod::Pod;
use crate::role::{Kind, Role};
use rustix::process::Pid;
use wire::event::{BATCH, EventFlags, Events, Ready, now_ms};
use wire::key::Slots;
use wire::link::Refusal;
use wire::sys::Environment;
use wire::{Errno, FdSet, Key, Link, Message, OwnedFd};

/// Most containers of one hub. A node runs at most 110 to 250 pods by
/// Kubernetes' limits; a pod has a handful of containers and execs.
const MAX_CONTAINERS: usize = 1024;

/// What grows with the number of containers. In `.bss`; only pages in use cost,
/// so what every hub uses comes first.
#[repr(C)]
pub(crate) struct Tables {
    ready: heapless::Vec<Ready, BATCH>,
    pub(crate) clients: Clients,
    pub(crate) containers: Slots<Container, MAX_CONTAINERS>,
}

impl Tables {
    pub(crate) const fn new() -> Self {
        Tables { ready: heapless::Vec::new(), clients: Clients::new(), containers: Slots::new() }
    }
}

/// Bytes of a page of memory.
const PAGE: usize = 4096;

/// All tables, with those of pods at the end, where others never touch them.
#[repr(C)]
pub(crate) struct AllTables {
    hub: Tables,
    /// Whole pages up to the next table: `.bss` begins low in a page, so that
    /// what every pod uses is then in one page, too.
    apart: [u8; PAGE - size_of::<Tables>() % PAGE],
    pod: crate::pod::Tables,
}

impl AllTables {
    pub(crate) const fn new() -> Self {
        AllTables {
            hub: Tables::new(),
            apart: [0; PAGE - size_of::<Tables>() % PAGE],
            pod: crate::pod::Tables::new(),
        }
    }
}

/// Names what an event is about, packed into epoll's 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    Signals,
    Monitor,
    Role(Kind),
    Listener(Key),
    Output(Key, FdSet),
    Inbox(Key),
    Client(Key),
    Pidfd(Key),
    Oom(Key),
    Rpc,
    Connection(Key),
    Worker(Key),
    Door(Key),
    FdSocket,
    FdServer,
    Stream(Key),
}

impl Source {
    pub(crate) fn token(self) -> u64 {
        let (kind, part, key) = match self {
            Source::Signals => (0, 0, Key(0)),
            Source::Monitor => (1, 0, Key(0)),
            Source::Role(Kind::Writer) => (2, 0, Key(0)),
            Source::Role(Kind::Proxy) => (2, 1, Key(0)),
            Source::Listener(key) => (3, 0, key),
            Source::Output(key, part) => (4, part.0, key),
            Source::Inbox(key) => (5, 0, key),
            Source::Client(key) => (6, 0, key),
            Source::Pidfd(key) => (7, 0, key),
            Source::Oom(key) => (8, 0, key),
            Source::Rpc => (40, 0, Key(0)),
            Source::Connection(key) => (41, 0, key),
            Source::Worker(key) => (42, 0, key),
            Source::Door(key) => (43, 0, key),
            Source::FdSocket => (50, 0, Key(0)),
            Source::FdServer => (51, 0, Key(0)),
            Source::Stream(key) => (52, 0, key),
        };
        (kind << 48) | (u64::from(part) << 32) | u64::from(key.0)
    }

    fn of(token: u64) -> Option<Self> {
        let (part, key) = ((token >> 32) as u16, Key(token as u32));
        Some(match (token >> 48, part) {
            (0, _) => Source::Signals,
            (1, _) => Source::Monitor,
            (2, 0) => Source::Role(Kind::Writer),
            (2, _) => Source::Role(Kind::Proxy),
            (3, _) => Source::Listener(key),
            (4, part) => Source::Output(key, FdSet(part)),
            (5, _) => Source::Inbox(key),
            (6, _) => Source::Client(key),
            (7, _) => Source::Pidfd(key),
            (8, _) => Source::Oom(key),
            (40, _) => Source::Rpc,
            (41, _) => Source::Connection(key),
            (42, _) => Source::Worker(key),
            (43, _) => Source::Door(key),
            (50, _) => Source::FdSocket,
            (51, _) => Source::FdServer,
            (52, _) => Source::Stream(key),
            _ => return None,
        })
    }
}

/// Everything the hub has.
pub(crate) struct Hub {
    pub(crate) events: Events,
    pub(crate) environment: Environment<'static>,
    pub(crate) tables: &'static mut Tables,
    pub(crate) writer: Role,
    pub(crate) proxy: Role,
    pub(crate) signals: OwnedFd,
    /// The clock at the last wake-up, in ms.
    pub(crate) now: u64,
    /// Status of the container that left last; a failure until one has.
    pub(crate) status: i32,
    monitor: Option<Link>,
    /// What it takes to serve a pod, if it does.
    pub(crate) pod: Option<Pod>,
}

impl Hub {
    /// Takes what `monitor` has queued on the link: first of all `Start`.
    pub(crate) fn new(
        link: Link,
        tables: &'static mut AllTables,
        environment: Environment<'static>,
    ) -> Result<Self, Refusal> {
        let (message, fds) = link.receive()?;
        let mut fds = fds.into_iter();
        let (Message::Start { pod, writer: pid }, Some(signals), Some(writer), Some(proxy)) =
            (message, fds.next(), fds.next(), fds.next())
        else {
            return Err(Refusal::Garbage);
        };
        let mut writer = Role::new(Kind::Writer, writer);
        if let Some(pid) = Pid::from_raw(pid.cast_signed())
            && let Some(link) = fds.next()
        {
            writer.runs(Link::over(link), pid);
        }
        let events = Events::new().map_err(Refusal::Failed)?;
        let pod = match (pod, fds.next(), fds.next(), fds.next()) {
            (true, Some(program), Some(listener), Some(record)) => {
                let pod = Pod::new(program, listener, record, &mut tables.pod, &events);
                Some(pod.map_err(Refusal::Failed)?)
            }
            _ => None,
        };
        events
            .add(&signals, Source::Signals.token(), EventFlags::IN)
            .and_then(|()| events.add(&link, Source::Monitor.token(), EventFlags::IN))
            .and_then(|()| writer.watch(&events))
            .map_err(Refusal::Failed)?;
        Ok(Hub {
            events,
            environment,
            tables: &mut tables.hub,
            writer,
            proxy: Role::new(Kind::Proxy, proxy),
            signals,
            now: now_ms(),
            status: crate::EXIT_SYSTEM,
            monitor: Some(link),
            pod,
        })
    }

    /// Serves until nothing is left to do. The result is the status of the
    /// container that left last; 0 for a pod.
    pub(crate) fn serve(&mut self) -> Result<i32, Errno> {
        // What monitor queued comes before the death of what it queued.
        self.read_monitor();
        self.reap();
        while !self.is_done() {
            if self.writer.link().is_none() && self.proxy.link().is_none() {
                wire::sys::release_stack();
            }
            let timeout = self.next_timer().map(|at| at.saturating_sub(now_ms()));
            self.events.wait(timeout, &mut self.tables.ready)?;
            self.now = now_ms();
            // Clients first: they are to see what became ready beside them.
            for clients_only in [true, false] {
                for at in 0..self.tables.ready.len() {
                    if let Some(event) = self.tables.ready.get(at).copied() {
                        self.handle(&event, clients_only);
                    }
                }
            }
            self.timers();
        }
        if self.pod.is_some() {
            self.give_up();
            return Ok(0);
        }
        Ok(self.status)
    }

    fn is_done(&self) -> bool {
        match &self.pod {
            Some(pod) => self.pod_is_over(pod),
            None => self.monitor.is_none() && self.tables.containers.is_empty(),
        }
    }

    fn handle(&mut self, event: &Ready, clients_only: bool) {
        match Source::of(event.token) {
            Some(Source::Listener(key)) if clients_only => self.accept(key),
            Some(Source::Door(key)) if clients_only => self.accept_door(key),
            _ if clients_only => {}
            Some(Source::Signals) => self.signalled(),
            Some(Source::Monitor) => self.read_monitor(),
            Some(Source::Role(kind)) => self.read_role(kind),
            Some(Source::Output(key, part)) => self.output_ready(key, part, event.flags),
            Some(Source::Inbox(key)) => {
                self.tell_proxy(key);
            }
            Some(Source::Client(key)) => self.drop_client(key, false),
            Some(Source::Pidfd(key)) => self.died(key, 0),
            Some(Source::Oom(key)) => self.look_for_oom(key, Moment::Woken),
            Some(Source::Rpc) => self.accept_connections(),
            Some(Source::Connection(key)) => self.connection_ready(key),
            Some(Source::Worker(key)) => self.read_worker(key),
            Some(Source::FdSocket) => self.fd_client_waits(),
            Some(Source::FdServer) => self.fd_server_ends(),
            Some(Source::Stream(key)) => self.start_stream(key),
            Some(Source::Listener(_) | Source::Door(_)) | None => {}
        }
    }

    fn read_monitor(&mut self) {
        while let Some(link) = &self.monitor {
            match link.receive() {
                Ok((message, fds)) => self.adopt(message, fds),
                Err(Refusal::Empty) => return,
                Err(Refusal::Garbage) => wire::error!(crate::NAME, "garbage from monitor on fd 0"),
                Err(Refusal::Closed | Refusal::Failed(_)) => {
                    self.events.remove(link);
                    self.monitor = None;
                }
            }
        }
    }

    /// When to wake up at the latest, in ms of the clock.
    fn next_timer(&self) -> Option<u64> {
        let roles = [self.writer.not_before, self.proxy.not_before].into_iter().flatten();
        let containers = self.tables.containers.iter().filter_map(|(_, c)| c.next_timer());
        let pod = self.pod.iter().filter_map(Pod::next_timer);
        roles.chain(containers).chain(pod).min()
    }

    fn timers(&mut self) {
        let mut from = 0;
        while let Some(key) = self.tables.containers.next_key(from) {
            from = key.slot() + 1;
            self.container_timers(key);
        }
        for kind in [Kind::Writer, Kind::Proxy] {
            let role = self.role(kind);
            if role.not_before.is_some_and(|at| at <= now_ms()) {
                role.not_before = None;
                self.catch_up(kind);
            }
        }
        self.pod_timers();
    }

    /// The role of that kind.
    pub(crate) fn role(&mut self, kind: Kind) -> &mut Role {
        match kind {
            Kind::Writer => &mut self.writer,
            Kind::Proxy => &mut self.proxy,
        }
    }
}

/// Somebody has sent what it has no reason to send.
pub(crate) fn unexpected(who: &str) {
    wire::error!(crate::NAME, "unexpected message from {who}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_survives_the_way_through_epoll() {
        let key = Key(0xdead_beef);
        for source in [
            Source::Signals,
            Source::Monitor,
            Source::Role(Kind::Writer),
            Source::Role(Kind::Proxy),
            Source::Listener(key),
            Source::Output(key, FdSet::STAGE_READ),
            Source::Inbox(key),
            Source::Client(key),
            Source::Pidfd(key),
            Source::Oom(key),
            Source::Rpc,
            Source::Connection(key),
            Source::Worker(key),
            Source::Door(key),
            Source::FdSocket,
            Source::FdServer,
            Source::Stream(key),
        ] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }
}
