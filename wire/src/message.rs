//! The messages between `monitor`, the hub and the two roles: one packet of
//! [`LEN`] bytes each, with file descriptors beside it (see [`crate::link`]).

use crate::Key;

/// Bytes of every packet: version, kind, 16 bits, three times 32 bits, all
/// little-endian.
pub const LEN: usize = 16;

/// Changes when a packet or the record changes its meaning. Peers of another
/// version are refused. (The hub keeps the role programs it was started with
/// open, so an upgrade on disk cannot mix versions.)
pub const VERSION: u8 = 1;

/// Bytes of a notification (sd_notify(3)) that are looked at and passed on; the
/// rest is lost. As in conmon; systemd takes 4096.
pub const MAX_NOTIFICATION: usize = 32 * 1024;

/// Which file descriptors of a container come with a message. They are sent
/// in the order of the bits, lowest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FdSet(pub u16);

impl FdSet {
    /// The sealed memfd with the container's record.
    pub const RECORD: FdSet = FdSet(1);
    /// Write end of the container's stdin pipe.
    pub const STDIN: FdSet = FdSet(1 << 1);
    /// Read end of the container's stdout pipe.
    pub const STDOUT: FdSet = FdSet(1 << 2);
    /// Read end of the container's stderr pipe.
    pub const STDERR: FdSet = FdSet(1 << 3);
    /// The terminal's master; input, output and window size at once.
    pub const TTY: FdSet = FdSet(1 << 4);
    /// Read end of the pipe that terminal output is staged in.
    pub const STAGE_READ: FdSet = FdSet(1 << 5);
    /// Write end of the same.
    pub const STAGE_WRITE: FdSet = FdSet(1 << 6);
    /// The listening attach socket.
    pub const LISTENER: FdSet = FdSet(1 << 7);
    /// The `ctl` FIFO, open for reading and writing.
    pub const CTL: FdSet = FdSet(1 << 8);
    /// The `winsz` FIFO, open for reading and writing.
    pub const WINSZ: FdSet = FdSet(1 << 9);
    /// The engine's sync pipe.
    pub const SYNC: FdSet = FdSet(1 << 10);
    /// The log file; a [`bundle`](crate::bundle) where there are several.
    pub const LOG: FdSet = FdSet(1 << 11);
    /// A socket in whose queue lie all descriptors that the engine leaked in on
    /// purpose. Closing it closes them, which is to happen just before the exit
    /// files appear.
    pub const LEAKS: FdSet = FdSet(1 << 12);
    /// Wakes whoever polls it when the container's memory may have run out: an
    /// eventfd (cgroup v1) or `memory.events` (cgroup v2).
    pub const OOM: FdSet = FdSet(1 << 13);
    /// The datagram socket that the container notifies (sd_notify(3)).
    pub const NOTIFY: FdSet = FdSet(1 << 14);

    /// Whether all of `other` is in here.
    pub fn has(self, other: FdSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    pub fn with(self, other: FdSet) -> FdSet {
        FdSet(self.0 | other.0)
    }

    /// How many descriptors that is.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether it is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The single bits, in the order in which descriptors are sent.
    pub fn bits(self) -> impl Iterator<Item = FdSet> {
        (0..16).map(|bit| FdSet(1 << bit)).filter(move |bit| self.has(*bit))
    }
}

/// The two output streams, numbered as attach clients know them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard output, or everything of a terminal.
    Stdout = 2,
    /// Standard error.
    Stderr = 3,
}

/// One message. The comments name the descriptors that go with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    // ---- monitor to hub
    /// First of all: how to run. Fds: the signalfd, the log-writer program,
    /// the attach-proxy program (both O_PATH). With a `writer` also the link to
    /// it. With `pod` also the monitor program (O_PATH), the listening RPC
    /// socket, and the pod's record.
    Start {
        /// Serve a pod: stay when no container is left.
        pod: bool,
        /// Pid of the log-writer that has been started already; 0: none has.
        writer: u32,
    },
    /// Take over a container. Fds: `fds`. A worker gets `Adopted` or
    /// `Refused`; it is the parent of nothing, the hub is.
    Adopt {
        /// Its pid; 0 if it never came to be, then its status is taken as -1.
        pid: u32,
        /// What is sent along; always with [`FdSet::RECORD`].
        fds: FdSet,
    },

    // ---- hub to log-writer and attach-proxy
    /// A container this role is to serve. Fds: `fds`.
    Container {
        /// Its name from now on.
        container: Key,
        /// log-writer: RECORD, LOG. attach-proxy: RECORD, and those of STDIN,
        /// TTY, CTL, WINSZ, NOTIFY that are there.
        fds: FdSet,
        /// log-writer: an earlier log-writer was killed, so the log may end in
        /// the middle of a line. attach-proxy: the container's input was closed
        /// earlier (needed for a terminal, which comes along in any case), so
        /// what clients send is dropped.
        repair: bool,
    },
    /// Output to read from now on, until `Idle` is answered. Fds: `fds`.
    Output {
        /// Whose.
        container: Key,
        /// STDOUT and/or STDERR; or TTY, STAGE_READ and STAGE_WRITE.
        fds: FdSet,
    },
    /// An attached client. Fds: its socket.
    Client {
        /// Of which container.
        container: Key,
        /// Its name from now on.
        client: Key,
        /// Connected before the container was started: output waits for it.
        owner: bool,
        /// The end of its input is the end of the container's, whatever the
        /// record says.
        closes: bool,
    },
    /// A client is gone. attach-proxy: what it has sent is still delivered, then
    /// its input counts as ended; no `InputDone` comes any more.
    DropClient {
        /// Of which container.
        container: Key,
        /// Which.
        client: Key,
        /// It fell behind and we are dropping it: its input has not ended.
        behind: bool,
    },
    /// log-writer: close the log and open it again by its name; answered by
    /// `Reopened`.
    Reopen {
        /// Whose.
        container: Key,
    },
    /// The container is dead. log-writer: write out what is there, answer
    /// `Drained`; clients that have not read all yet are served further.
    /// attach-proxy: pass its last notifications on, answer `Drained`.
    Drain {
        /// Whose.
        container: Key,
    },
    /// attach-proxy: the container is dead; drop everything of it.
    Forget {
        /// Which.
        container: Key,
    },

    // ---- log-writer and attach-proxy to hub
    /// Nothing to do. The role touches no container descriptor until it gets a
    /// message; the hub answers by closing the link, unless it has sent
    /// something in the meantime (then `seen` is too low).
    Idle {
        /// How many messages the role has received so far.
        seen: u32,
    },
    /// log-writer: the log is complete and, unless told otherwise, on disk.
    /// attach-proxy: no notification comes any more.
    Drained {
        /// Whose.
        container: Key,
    },
    /// The log was opened anew. Fds: the new file, or the bundle of all.
    Log {
        /// Whose.
        container: Key,
    },
    /// The answer to `Reopen`, after `Log` if that is due.
    Reopened {
        /// Whose.
        container: Key,
        /// The log could not be opened anew, and is as it was.
        failed: bool,
    },
    /// Writing to the client failed, or it fell too far behind: drop it.
    ClientGone {
        /// Of which container.
        container: Key,
        /// Which.
        client: Key,
    },
    /// The container has closed an output for good.
    Eof {
        /// Whose.
        container: Key,
        /// Which.
        stream: Stream,
    },
    /// attach-proxy: this client sends no more input.
    InputDone {
        /// Of which container.
        container: Key,
        /// Which.
        client: Key,
    },
    /// attach-proxy: the container's stdin is to be closed.
    CloseStdin {
        /// Whose.
        container: Key,
    },
    /// attach-proxy: somebody asked through `ctl` to reopen the log.
    ReopenAsked {
        /// Whose.
        container: Key,
    },
    /// attach-proxy: something for the host's notification socket. Fds: a
    /// sealed memfd with the text.
    Notification {
        /// Whose.
        container: Key,
    },

    // ---- hub to worker: its work, then answers, one to each request
    /// First of all: a connection to serve. Fds: the connection, the pod's
    /// record. The hub keeps no duplicate of the connection.
    Serve,
    /// The same for whoever cleans up after a worker that was killed. Fds: the
    /// worker's ledger, the pod's record.
    CleanUp,
    /// The hub has the container.
    Adopted {
        /// Its name from now on.
        container: Key,
    },
    /// Here is the container. Fds: `fds`.
    Found {
        /// Its name.
        container: Key,
        /// Its pid.
        pid: u32,
        /// RECORD, and TTY if it has one.
        fds: FdSet,
    },
    /// There is no such container, or no more.
    NotFound,
    /// What was asked for is done.
    Done,
    /// It cannot be done: a table is full, or a descriptor is not what it
    /// should be.
    Refused,

    // ---- worker to hub; beside `Adopt`
    /// Which container has this id? Execs are not looked at. Fds: a record
    /// with nothing but the id.
    Find,
    /// Accept attach clients at this socket, too. Fds: the listening socket.
    Listen {
        /// Whose clients.
        container: Key,
        /// The end of a client's input is the end of the container's.
        closes: bool,
    },
    /// Have the container's logs opened anew.
    ReopenLog {
        /// Whose.
        container: Key,
    },
    /// Should the worker be gone while something is in this file, somebody has
    /// to clean up. Not answered. Fds: the file, whose content is the workers'
    /// business.
    Ledger,
    /// The connection has nothing to do; the worker goes. Not answered. Fds:
    /// the connection.
    Park,
    /// Watch the fd socket of the server, and have its clients served. Fds:
    /// the listening socket. `Refused` when there is one already.
    FdSocket,

    // ---- hub to fd server
    /// First of all: clients wait. Fds: the listening socket. Answered by
    /// `Done` when none is left.
    ServeFds {
        /// How many fd servers there were before: the numbers of its slots
        /// are those of no other.
        turn: u32,
    },

    // ---- streaming sessions
    /// worker to hub: start somebody to serve this when a client connects. Fds:
    /// the listening socket, the record of what is to be served.
    KeepStream,
    /// hub to worker, first of all: a client has connected. Fds: the listening
    /// socket, the record of what is to be served, the pod's record. The hub
    /// keeps no duplicate of the socket.
    ServeStream,
    /// worker to hub: this is a client of a container. Fds: its socket.
    Join {
        /// Which container.
        container: Key,
    },
}

impl Message {
    /// As a packet.
    pub fn encode(&self) -> [u8; LEN] {
        use Message::*;
        let (kind, short, a, b) = match *self {
            Start { pod, writer } => (1, u16::from(pod), writer, 0),
            Adopt { pid, fds } => (2, fds.0, pid, 0),
            Container { container, fds, repair } => (4, fds.0, container.0, u32::from(repair)),
            Output { container, fds } => (5, fds.0, container.0, 0),
            Client { container, client, owner, closes } => {
                (6, u16::from(owner) | u16::from(closes) << 1, container.0, client.0)
            }
            DropClient { container, client, behind } => {
                (7, u16::from(behind), container.0, client.0)
            }
            Reopen { container } => (8, 0, container.0, 0),
            Drain { container } => (9, 0, container.0, 0),
            Forget { container } => (10, 0, container.0, 0),
            Idle { seen } => (11, 0, seen, 0),
            Drained { container } => (12, 0, container.0, 0),
            Log { container } => (13, 0, container.0, 0),
            ClientGone { container, client } => (14, 0, container.0, client.0),
            Eof { container, stream } => (15, stream as u16, container.0, 0),
            InputDone { container, client } => (16, 0, container.0, client.0),
            CloseStdin { container } => (17, 0, container.0, 0),
            ReopenAsked { container } => (18, 0, container.0, 0),
            Notification { container } => (19, 0, container.0, 0),
            Serve => (40, 0, 0, 0),
            Adopted { container } => (41, 0, container.0, 0),
            Found { container, pid, fds } => (42, fds.0, container.0, pid),
            NotFound => (43, 0, 0, 0),
            Done => (44, 0, 0, 0),
            Refused => (45, 0, 0, 0),
            Find => (46, 0, 0, 0),
            Listen { container, closes } => (47, u16::from(closes), container.0, 0),
            ReopenLog { container } => (48, 0, container.0, 0),
            Park => (49, 0, 0, 0),
            Reopened { container, failed } => (50, u16::from(failed), container.0, 0),
            FdSocket => (51, 0, 0, 0),
            ServeFds { turn } => (52, 0, turn, 0),
            KeepStream => (53, 0, 0, 0),
            ServeStream => (54, 0, 0, 0),
            Join { container } => (55, 0, container.0, 0),
            Ledger => (56, 0, 0, 0),
            CleanUp => (57, 0, 0, 0),
        };
        let [s0, s1] = short.to_le_bytes();
        let [a0, a1, a2, a3] = u32::to_le_bytes(a);
        let [b0, b1, b2, b3] = u32::to_le_bytes(b);
        [VERSION, kind, s0, s1, a0, a1, a2, a3, b0, b1, b2, b3, 0, 0, 0, 0]
    }

    /// From a packet that came with `fds` descriptors. `None` for anything
    /// [`encode`](Self::encode) would not have written, or when the number of
    /// descriptors is not what the message says.
    pub fn decode(packet: &[u8], fds: usize) -> Option<Message> {
        use Message::*;
        let packet: &[u8; LEN] = packet.try_into().ok()?;
        let [VERSION, kind, s0, s1, a0, a1, a2, a3, b0, b1, b2, b3, 0, 0, 0, 0] = *packet else {
            return None;
        };
        let short = u16::from_le_bytes([s0, s1]);
        let a = u32::from_le_bytes([a0, a1, a2, a3]);
        let b = u32::from_le_bytes([b0, b1, b2, b3]);
        let (set, container, client) = (FdSet(short), Key(a), Key(b));
        let flag = |value: u32| if value < 2 { Some(value == 1) } else { None };
        let message = match kind {
            1 => Start { pod: flag(short.into())?, writer: a },
            2 => Adopt { pid: a, fds: set },
            4 => Container { container, fds: set, repair: flag(b)? },
            5 => Output { container, fds: set },
            6 if short < 4 => {
                Client { container, client, owner: short & 1 != 0, closes: short & 2 != 0 }
            }
            7 => DropClient { container, client, behind: flag(short.into())? },
            8 => Reopen { container },
            9 => Drain { container },
            10 => Forget { container },
            11 => Idle { seen: a },
            12 => Drained { container },
            13 => Log { container },
            14 => ClientGone { container, client },
            15 => {
                let stream = match short {
                    2 => Stream::Stdout,
                    3 => Stream::Stderr,
                    _ => return None,
                };
                Eof { container, stream }
            }
            16 => InputDone { container, client },
            17 => CloseStdin { container },
            18 => ReopenAsked { container },
            19 => Notification { container },
            40 => Serve,
            41 => Adopted { container },
            42 => Found { container, pid: b, fds: set },
            43 => NotFound,
            44 => Done,
            45 => Refused,
            46 => Find,
            47 => Listen { container, closes: flag(short.into())? },
            48 => ReopenLog { container },
            49 => Park,
            50 => Reopened { container, failed: flag(short.into())? },
            51 => FdSocket,
            52 => ServeFds { turn: a },
            53 => KeepStream,
            54 => ServeStream,
            55 => Join { container },
            56 => Ledger,
            57 => CleanUp,
            _ => return None,
        };
        // Unused fields must be zero, so that they can get a meaning later.
        (message.encode() == *packet && message.takes(fds)).then_some(message)
    }

    /// Whether this message goes with that many descriptors.
    fn takes(&self, count: usize) -> bool {
        use Message::*;
        match self {
            Start { pod, writer } => count == 3 + usize::from(*pod) * 3 + usize::from(*writer != 0),
            Adopt { fds, .. } | Container { fds, .. } | Found { fds, .. } => {
                fds.has(FdSet::RECORD) && count == fds.len()
            }
            Output { fds, .. } => !fds.is_empty() && count == fds.len(),
            Serve | CleanUp | KeepStream => count == 2,
            ServeStream => count == 3,
            Client { .. } | Log { .. } | Notification { .. } | Find | Listen { .. } | Park => {
                count == 1
            }
            Join { .. } | Ledger | FdSocket | ServeFds { .. } => count == 1,
            _ => count == 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_message() -> impl Strategy<Value = Message> {
        use Message::*;
        (0..36u8, any::<u32>(), any::<u32>(), any::<bool>(), any::<u16>()).prop_map(
            |(kind, a, b, flag, set)| {
                let (container, client) = (Key(a), Key(b));
                match kind {
                    0 => Start { pod: flag, writer: if set & 1 == 0 { 0 } else { a } },
                    1 => Adopt { pid: a, fds: FdSet(set | 1) },
                    2 => ReopenAsked { container },
                    3 => Container { container, fds: FdSet(set | 1), repair: flag },
                    4 => Output { container, fds: FdSet(set | 4) },
                    5 => Client { container, client, owner: flag, closes: set & 1 == 0 },
                    6 => DropClient { container, client, behind: flag },
                    7 => Reopen { container },
                    8 => Drain { container },
                    9 => Forget { container },
                    10 => Idle { seen: a },
                    11 => Drained { container },
                    12 => Log { container },
                    13 => ClientGone { container, client },
                    14 if flag => Eof { container, stream: Stream::Stdout },
                    14 => Eof { container, stream: Stream::Stderr },
                    15 => InputDone { container, client },
                    16 => Serve,
                    17 => Adopted { container },
                    18 => Found { container, pid: b, fds: FdSet(set | 1) },
                    19 => NotFound,
                    20 => Done,
                    21 => Refused,
                    22 => Find,
                    23 => Listen { container, closes: flag },
                    24 => ReopenLog { container },
                    25 => Park,
                    26 => Reopened { container, failed: flag },
                    27 => Notification { container },
                    28 => FdSocket,
                    29 => ServeFds { turn: a },
                    30 => KeepStream,
                    31 => ServeStream,
                    32 => Join { container },
                    33 => Ledger,
                    34 => CleanUp,
                    _ => CloseStdin { container },
                }
            },
        )
    }

    fn fd_count(message: &Message) -> usize {
        (0..=crate::link::MAX_FDS).find(|count| message.takes(*count)).unwrap()
    }

    proptest! {
        #[test]
        fn every_message_round_trips(message in any_message()) {
            let packet = message.encode();
            prop_assert_eq!(Message::decode(&packet, fd_count(&message)), Some(message));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40), fds in 0..20usize) {
            let _ = Message::decode(&bytes, fds);
        }

        #[test]
        fn almost_right_bytes_never_decode_to_something_else(message in any_message(), at in 0..LEN, to in any::<u8>()) {
            let mut packet = message.encode();
            packet[at] = to;
            if let Some(other) = Message::decode(&packet, fd_count(&message)) {
                prop_assert_eq!(other.encode(), packet);
            }
        }
    }

    #[test]
    fn a_message_with_too_few_or_too_many_descriptors_is_refused() {
        let message =
            Message::Client { container: Key(1), client: Key(2), owner: true, closes: false };
        assert!(Message::decode(&message.encode(), 0).is_none());
        assert!(Message::decode(&message.encode(), 1).is_some());
        assert!(Message::decode(&message.encode(), 2).is_none());
    }
}
