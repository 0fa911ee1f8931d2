//! The end of a container, and of the role.

use crate::container::Life;
use crate::fan_out::BOTH;
use crate::role::Role;
use crate::source::Moved;
use rustix::net::Shutdown;
use wire::event::now_ms;
use wire::message::Stream as Which;
use wire::record::Tag;
use wire::{AsFd, Errno, Key, Message, Record};

/// Most bytes a terminal's last output may have. It holds less; more comes
/// from somebody who goes on writing, and is not waited for.
const TERMINAL_REST: usize = 1 << 20;

impl Role {
    /// Logs what a dead container has left in its pipes, and says so. Clients
    /// that have all of it are done with; the others stay.
    pub(crate) fn drain(&mut self, at: Key) {
        let Some(container) = self.tables.containers.get_mut(at) else {
            return;
        };
        container.life = Life::Draining;
        let name = container.name;
        for which in BOTH {
            self.drain_terminal(at, which);
            self.drain_pipe(at, which);
            self.flush_held(at, which);
            self.watch(at, which, false);
            let container = self.tables.containers.get_mut(at);
            if let Some(stream) = container.and_then(|container| container.stream(which)) {
                stream.source = None;
            }
        }
        if let Some(container) = self.tables.containers.get_mut(at)
            && let Some(mut entries) = container.journal.take()
        {
            entries.finish(&mut self.journal, container.record.as_fd());
        }
        if let Some(container) = self.tables.containers.get_mut(at) {
            core::mem::take(&mut container.files).finish(container.record.as_fd());
            container.life = Life::Drained;
        }
        self.settle_all(at);
        self.tell(&Message::Drained { container: name }, &[]);
    }

    /// Moves what is in the terminal behind a stream to its pipe, and logs it.
    fn drain_terminal(&mut self, at: Key, which: Which) {
        let mut moved = 0;
        let mut enlarged = false;
        while moved < TERMINAL_REST {
            let container = self.tables.containers.get_mut(at);
            let stream = container.and_then(|container| container.stream(which));
            let Some(source) = stream.and_then(|stream| stream.source.as_mut()) else {
                return;
            };
            if !source.is_ready() {
                return;
            }
            match source.advance() {
                Moved::Bytes(bytes) => moved += bytes,
                Moved::Full if !enlarged && source.enlarge_stage().is_ok() => enlarged = true,
                // What a client has not read fills the pipe: the log goes
                // first. The client misses what does not fit.
                Moved::Full => self.release(at, which),
                Moved::Nothing | Moved::Hung | Moved::Ended => return,
            }
            self.drain_pipe(at, which);
        }
    }

    /// Logs what is in a stream's pipe at this moment.
    fn drain_pipe(&mut self, at: Key, which: Which) {
        let container = self.tables.containers.get_mut(at);
        let Some(stream) = container.and_then(|container| container.stream(which)) else {
            return;
        };
        let mut new = stream.filled().saturating_sub(stream.logged);
        while new > 0 {
            let container = self.tables.containers.get_mut(at);
            let Some(stream) = container.and_then(|container| container.stream(which)) else {
                return;
            };
            let (skip, held) = (stream.owed(), stream.held.most());
            let space = self.tables.space.input(held.saturating_add(new));
            match self.peek.look(stream.pipe.as_fd(), skip, held, space) {
                Ok(0) => return,
                Ok(len) => {
                    self.take(at, which, len);
                    new = new.saturating_sub(len.saturating_sub(held));
                }
                Err(Errno::NOBUFS) if stream.logged > 0 => self.release(at, which),
                Err(_) => return,
            }
        }
    }

    /// Empties a stream's pipe of what is logged: gives up on the clients that
    /// are behind with it, and on the end of the line that is held back.
    fn release(&mut self, at: Key, which: Which) {
        self.flush_held(at, which);
        let owed = self.tables.containers.get(at).map_or(0, |container| container.owed(which));
        let mut from = 0;
        while let Some(key) = self.tables.clients.next_key(from) {
            from = key.slot() + 1;
            if let Some(client) = self.tables.clients.get_mut(key)
                && client.container == at
                && *client.sent(which) < owed
            {
                self.lose_client(key);
            }
        }
        self.settle(at, which);
    }

    /// Closes the clients of a container that have everything.
    fn close_served(&mut self, at: Key) {
        let Some(container) = self.tables.containers.get(at) else {
            return;
        };
        if container.clients == 0 {
            return;
        }
        let owed = (container.owed(Which::Stdout), container.owed(Which::Stderr));
        let done = Record::map(&container.record)
            .is_ok_and(|record| record.fields().flag(Tag::AttachDone));
        let mut from = 0;
        while let Some(key) = self.tables.clients.next_key(from) {
            from = key.slot() + 1;
            if let Some(client) = self.tables.clients.get(key)
                && client.container == at
                && client.stdout >= owed.0
                && client.stderr >= owed.1
                && let Some(client) = self.close_client(key)
            {
                if done {
                    client.send_done();
                }
                // Others hold the socket too; the other end is to see that
                // this was all.
                let _ = rustix::net::shutdown(&client.socket, Shutdown::Write);
                wire::discard_input(&client.socket);
            }
        }
    }

    /// Lets go of the clients of a drained container that have everything, and
    /// of the container when no other is left.
    pub(crate) fn finish_drained(&mut self, at: Key) {
        let drained = |container: &crate::container::Container| container.life == Life::Drained;
        if !self.tables.containers.get(at).is_some_and(drained) {
            return;
        }
        self.close_served(at);
        let rest = self.tables.containers.get(at);
        if rest.is_some_and(|c| c.clients == 0) {
            for which in BOTH {
                self.close(at, which);
            }
            self.tables.containers.remove(at);
        }
    }

    /// The hub is gone. Logs what is there, and stays only for clients that
    /// have not read everything.
    pub(crate) fn end(&mut self) {
        self.events.remove(&self.link);
        let mut from = 0;
        while let Some(at) = self.tables.containers.next_key(from) {
            from = at.slot() + 1;
            if let Some(container) = self.tables.containers.get(at)
                && container.life == Life::Running
            {
                self.drain(at);
            }
        }
        let mut ready = heapless::Vec::new();
        while !self.tables.containers.is_empty() {
            let timeout = (self.overdue < u64::MAX).then(|| self.overdue.saturating_sub(now_ms()));
            if self.events.wait(timeout, &mut ready).is_err() {
                return;
            }
            self.work(&ready);
        }
    }
}
