//! Streaming sessions that nobody has begun: listening sockets, each with the
//! record of what is served to the client that has the right token. A worker
//! is started when somebody connects; if that was nobody of interest, it gives
//! the socket back.

use super::PAUSE_MS;
use super::workers::Work;
use crate::hub::{Hub, Source};
use wire::event::EventFlags;
use wire::record::Tag;
use wire::{Errno, Key, Message, OwnedFd, Record};

/// One of them.
pub(super) struct Stream {
    listener: OwnedFd,
    request: OwnedFd,
    /// When its token expires, in ms of the clock.
    until: u64,
    /// When to look again who has connected: there was no room for a worker.
    look_at: Option<u64>,
}

impl Stream {
    /// The earlier of its timers, in ms of the clock.
    pub(super) fn next_timer(&self) -> u64 {
        self.look_at.map_or(self.until, |at| at.min(self.until))
    }
}

impl Hub {
    /// Waits for a client of this session. The answer is for the worker.
    pub(super) fn keep_stream(&mut self, listener: OwnedFd, request: OwnedFd) -> Message {
        let until =
            Record::map(&request).ok().and_then(|record| record.fields().number(Tag::StreamUntil));
        let Some(until) = until else { return Message::Refused };
        if until <= self.now {
            return Message::Done;
        }
        let Some(pod) = &self.pod else { return Message::Refused };
        if pod.tables.streams.is_full() {
            // All live equally long.
            let all = pod.tables.streams.iter();
            if let Some((oldest, _)) = all.min_by_key(|(_, stream)| stream.until) {
                self.drop_stream(oldest);
            }
        }
        let Some(pod) = &mut self.pod else { return Message::Refused };
        let stream = Stream { listener, request, until, look_at: None };
        let Ok(key) = pod.tables.streams.insert(stream) else { return Message::Refused };
        match self.watch_stream(key) {
            Ok(()) => Message::Done,
            Err(_) => {
                self.drop_stream(key);
                Message::Refused
            }
        }
    }

    fn watch_stream(&self, key: Key) -> Result<(), Errno> {
        let stream = self.pod.as_ref().and_then(|pod| pod.tables.streams.get(key));
        let stream = stream.ok_or(Errno::NOENT)?;
        self.events.add(&stream.listener, Source::Stream(key).token(), EventFlags::IN)
    }

    fn drop_stream(&mut self, key: Key) {
        if let Some(stream) = self.pod.as_mut().and_then(|pod| pod.tables.streams.remove(key)) {
            self.events.remove(&stream.listener);
        }
    }

    /// Somebody has connected.
    pub(crate) fn start_stream(&mut self, key: Key) {
        let Some(pod) = &mut self.pod else { return };
        let full = pod.has_all_sessions();
        let Some(mut stream) = pod.tables.streams.remove(key) else { return };
        self.events.remove(&stream.listener);
        if full || !self.start_worker(Work::Stream(&stream.listener, &stream.request)) {
            stream.look_at = Some(self.now + PAUSE_MS);
            if let Some(pod) = &mut self.pod {
                // In the place that it has left.
                let _ = pod.tables.streams.insert(stream);
            }
        }
    }

    pub(super) fn stream_timers(&mut self) {
        let now = self.now;
        self.each_stream(|hub, key| {
            let Some(pod) = &mut hub.pod else { return };
            let Some(stream) = pod.tables.streams.get_mut(key) else { return };
            let look = stream.look_at.take_if(|at| *at <= now).is_some();
            if stream.until <= now {
                hub.drop_stream(key);
            } else if look
                && hub.watch_stream(key).is_err()
                && let Some(stream) =
                    hub.pod.as_mut().and_then(|pod| pod.tables.streams.get_mut(key))
            {
                stream.look_at = Some(now + PAUSE_MS);
            }
        });
    }

    /// Listens for no session any more.
    pub(super) fn dismiss_streams(&mut self) {
        self.each_stream(Hub::drop_stream);
    }

    fn each_stream(&mut self, mut each: impl FnMut(&mut Hub, Key)) {
        let mut from = 0;
        while let Some(pod) = &self.pod
            && let Some(key) = pod.tables.streams.next_key(from)
        {
            from = key.slot() + 1;
            each(self, key);
        }
    }
}
