//! The channel protocol of port forwarding: two channels for each port, the
//! even one for data and the next for errors. The first message on each says
//! the port, two bytes, little-endian: the server's always, and the client's on
//! the data channel where the URL does not name the ports.

use crate::pod::stream::output::channel::CLOSE;

/// Most ports of a session: [`CLOSE`] is no port's channel.
const MAX_PORTS: u8 = CLOSE / 2;

/// What a message of the client's asks for. Ports are numbered by their
/// channels' order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To connect to this port.
    Open(u8, u16),
    /// To pass its content on.
    Send(u8),
    /// To pass on that nothing more comes.
    End(u8),
    /// Nothing.
    Nothing,
}

/// The ports of a session.
#[derive(Debug)]
pub struct Channels {
    /// The port of each number, and whether its connection has ended.
    ports: Vec<Option<(u16, bool)>>,
    /// The URL named ports, so that no more may be asked for when they have
    /// ended.
    named: bool,
}

impl Channels {
    /// With the ports that the query of a URL names: `port=80&port=81,82`, or
    /// `ports=`.
    pub fn new(query: &str) -> Self {
        let parts = query.split('&').filter_map(|part| part.split_once('='));
        let values = parts.filter(|(name, _)| ["port", "ports"].contains(name));
        let numbers = values.flat_map(|(_, values)| values.split(','));
        let ports = numbers.filter_map(|number| number.parse().ok()).filter(|port| *port > 0);
        let ports: Vec<_> = ports.take(MAX_PORTS.into()).map(|port| Some((port, false))).collect();
        Channels { named: !ports.is_empty(), ports }
    }

    /// All that are known, with their numbers.
    pub fn ports(&self) -> Vec<(u8, u16)> {
        let ports = (0..MAX_PORTS).zip(&self.ports);
        ports.filter_map(|(number, port)| Some((number, port.as_ref()?.0))).collect()
    }

    /// The channels of a port: data and errors.
    pub fn both(number: u8) -> [u8; 2] {
        let data = number.wrapping_mul(2);
        [data, data.wrapping_add(1)]
    }

    /// What a message means.
    pub fn read(&mut self, channel: u8, content: &[u8]) -> Asked {
        if channel == CLOSE {
            return match content {
                [closed, ..] if closed % 2 == 0 => Asked::End(closed / 2),
                _ => Asked::Nothing,
            };
        }
        let number = channel / 2;
        if channel % 2 == 1 || number >= MAX_PORTS {
            return Asked::Nothing;
        }
        let at = usize::from(number);
        if self.ports.len() <= at {
            self.ports.resize(at + 1, None);
        }
        match (self.ports.get_mut(at), content) {
            (Some(place @ None), [low, high]) => match u16::from_le_bytes([*low, *high]) {
                0 => Asked::Nothing,
                port => {
                    *place = Some((port, false));
                    Asked::Open(number, port)
                }
            },
            (Some(Some(_)), _) => Asked::Send(number),
            _ => Asked::Nothing,
        }
    }

    /// The connection of this number has ended.
    pub fn ended(&mut self, number: u8) {
        if let Some(Some((_, ended))) = self.ports.get_mut(usize::from(number)) {
            *ended = true;
        }
    }

    /// Whether the URL named ports, and all connections have ended.
    pub fn all_ended(&self) -> bool {
        self.named && self.ports.iter().flatten().all(|(_, ended)| *ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_come_from_the_url_or_the_first_messages() {
        let mut channels = Channels::new("x=1&port=80&ports=81,x,0,65536,82");
        assert_eq!(channels.ports(), [(0, 80), (1, 81), (2, 82)]);
        assert_eq!(channels.read(2, b"xx"), Asked::Send(1));
        assert_eq!(channels.read(6, &[0x90, 0x1f]), Asked::Open(3, 8080));
        assert_eq!(channels.read(6, &[0x90, 0x1f]), Asked::Send(3));
        assert_eq!(channels.read(7, b"x"), Asked::Nothing);
        assert_eq!(channels.read(8, b"x"), Asked::Nothing);
        assert_eq!(channels.read(8, b"\0\0"), Asked::Nothing);
        assert_eq!(channels.read(CLOSE, &[6]), Asked::End(3));
        for number in 0..4 {
            assert!(!channels.all_ended());
            channels.ended(number);
        }
        assert!(channels.all_ended());
        assert!(!Channels::new("").all_ended());
    }

    proptest! {
        #[test]
        fn arbitrary_messages_never_panic(
            query in ".{0,20}",
            messages in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..4)), 0..20),
        ) {
            let mut channels = Channels::new(&query);
            for (channel, content) in &messages {
                if let Asked::Open(number, _) = channels.read(*channel, content) {
                    prop_assert_eq!(Channels::both(number), [*channel, *channel + 1]);
                }
            }
        }
    }
}
