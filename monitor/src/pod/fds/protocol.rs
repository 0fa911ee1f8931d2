//! What is said on the fd socket: packets of numbers of 64 bits, little-endian,
//! with descriptors beside them (unix(7)).

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Close what this connection has sent and nobody has taken. Not answered.
    CloseAll,
    /// Keep the descriptors that come with this.
    Keep {
        /// The request as it came: a number of the client's choice, and in the
        /// low half how many descriptors there are.
        request: u64,
    },
    /// Give out what is in a slot; for processes of the server's user. No client
    /// of others knows of this.
    Take {
        /// The slot.
        slot: u64,
    },
}

/// Begins the packet of [`Request::Take`], which ends with the slot.
const TAKE: [u8; 8] = *b"take-fd\0";

/// Bytes of the longest packet that means something.
pub const MAX_LEN: usize = 16;

/// Most descriptors that come with a packet (unix(7), SCM_MAX_FD).
pub const MAX_FDS: usize = 253;

/// The low half of an answer that is an error; its text follows.
const FAILED: u64 = 0xffff_ffff;

/// The answer to `Take` when the descriptor comes with it.
pub const HERE: [u8; 1] = [1];
/// The answer to `Take` when there is none.
pub const NOT_HERE: [u8; 1] = [0];

impl Request {
    /// As a packet.
    pub fn encode(self) -> Vec<u8> {
        match self {
            Request::CloseAll => vec![0; 8],
            Request::Keep { request } => request.to_le_bytes().to_vec(),
            Request::Take { slot } => [TAKE, slot.to_le_bytes()].concat(),
        }
    }

    /// From a packet. `None` for what means nothing, and is ignored.
    pub fn decode(packet: &[u8]) -> Option<Request> {
        match packet.split_first_chunk::<8>()? {
            (head, []) => Some(match u64::from_le_bytes(*head) {
                0 => Request::CloseAll,
                request => Request::Keep { request },
            }),
            (&TAKE, slot) => {
                Some(Request::Take { slot: u64::from_le_bytes(slot.try_into().ok()?) })
            }
            _ => None,
        }
    }
}

/// How many descriptors a request is to come with.
pub fn expected(request: u64) -> u64 {
    request & FAILED
}

/// The answer to a request whose descriptors are in these slots.
pub fn kept(request: u64, slots: impl IntoIterator<Item = u64>) -> Vec<u8> {
    std::iter::once(request).chain(slots).flat_map(u64::to_le_bytes).collect()
}

/// The answer to a request that failed.
pub fn failed(request: u64, reason: &str) -> Vec<u8> {
    [&(request | FAILED).to_le_bytes(), reason.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_packet_is_a_request_or_ignored(packet in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(request) = Request::decode(&packet) {
                prop_assert_eq!(request.encode(), packet);
            }
        }

        #[test]
        fn requests_round_trip(number in 1..=u64::MAX) {
            for request in [Request::Keep { request: number }, Request::Take { slot: number }] {
                prop_assert_eq!(Request::decode(&request.encode()), Some(request));
            }
        }
    }

    #[test]
    fn answers_are_what_the_go_client_reads() {
        assert_eq!(Request::decode(&[0; 8]), Some(Request::CloseAll));
        let request = 7 << 32 | 2;
        assert_eq!(expected(request), 2);
        assert_eq!(kept(1 << 32, []), [0, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(kept(request, [3, 1 << 32]).len(), 24);
        assert_eq!(failed(request, "no"), *b"\xff\xff\xff\xff\x07\0\0\0no");
    }
}
