//! The channel protocol of port forwarding: two channels for each port, the
//! even one for data and the next for errors. The first message on each says
//! the port, two bytes, little-endian: the server's always, and the client's on
//! the data channel where the URL does not name the ports.

use std::collections::VecDeque;

use super::protocol::{Asked, Protocol};
use crate::pod::stream::output::channel::CLOSE;

/// Most ports of a session: [`CLOSE`] is no port's channel.
const MAX_PORTS: u8 = CLOSE / 2;

/// The ports of a session.
#[derive(Debug)]
pub struct Channels {
    /// The port of each number, and whether its connection has ended.
    ports: Vec<Option<(u16, bool)>>,
    /// The URL named ports, so that no more may be asked for when they have
    /// ended.
    named: bool,
    /// To be sent.
    out: VecDeque<Vec<u8>>,
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
        let named = !ports.is_empty();
        let mut channels = Channels { ports, named, out: VecDeque::new() };
        for (number, port) in channels.ports() {
            channels.tell(number, port);
        }
        channels
    }

    /// All that are known, with their numbers.
    pub fn ports(&self) -> Vec<(u32, u16)> {
        let ports = (0..).zip(&self.ports);
        ports.filter_map(|(number, port)| Some((number, port.as_ref()?.0))).collect()
    }

    /// The client is told the port on both of its channels.
    fn tell(&mut self, number: u32, port: u16) {
        for channel in both(number) {
            self.send(channel, &port.to_le_bytes());
        }
    }

    fn send(&mut self, channel: u8, content: &[u8]) {
        self.out.push_back([&[channel], content].concat());
    }

    /// What a message means.
    fn read<'a>(&mut self, channel: u8, content: &'a [u8]) -> Option<Asked<'a>> {
        if channel == CLOSE {
            let closed = content.first().filter(|closed| *closed % 2 == 0)?;
            return Some(Asked::End(u32::from(closed / 2)));
        }
        if channel % 2 == 1 || channel / 2 >= MAX_PORTS {
            return None;
        }
        let (number, at) = (u32::from(channel / 2), usize::from(channel / 2));
        if self.ports.len() <= at {
            self.ports.resize(at + 1, None);
        }
        match (self.ports.get_mut(at), content) {
            (Some(place @ None), [low, high]) => {
                let port = Some(u16::from_le_bytes([*low, *high])).filter(|port| *port > 0)?;
                *place = Some((port, false));
                self.tell(number, port);
                Some(Asked::Open(number, port))
            }
            (Some(Some(_)), _) => Some(Asked::Send(number, content)),
            _ => None,
        }
    }
}

/// The channels of a port: data and errors.
fn both(number: u32) -> [u8; 2] {
    let data = (number as u8).wrapping_mul(2);
    [data, data.wrapping_add(1)]
}

impl Protocol for Channels {
    fn next<'a>(&mut self, message: &mut &'a [u8]) -> Result<Option<Asked<'a>>, String> {
        let message = std::mem::take(message);
        Ok(message.split_first().and_then(|(channel, content)| self.read(*channel, content)))
    }

    fn data(&mut self, number: u32, bytes: &[u8]) {
        let [data, _] = both(number);
        self.send(data, bytes);
    }

    fn ended(&mut self, number: u32) -> bool {
        if let Some(Some((_, ended))) = self.ports.get_mut(number as usize) {
            *ended = true;
        }
        // No message could tell the client, which goes when all have ended.
        false
    }

    fn failed(&mut self, number: u32, text: &str) {
        let [_, errors] = both(number);
        self.send(errors, text.as_bytes());
        self.ended(number);
    }

    fn gone(&mut self, _: u32) {}

    fn message(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    fn kept(&self) -> usize {
        self.out.iter().map(Vec::len).sum()
    }

    /// The URL named ports, and all connections have ended.
    fn is_over(&self) -> bool {
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
        assert_eq!(channels.read(2, b"xx"), Some(Asked::Send(1, b"xx")));
        assert_eq!(channels.read(6, &[0x90, 0x1f]), Some(Asked::Open(3, 8080)));
        assert_eq!(channels.read(6, &[0x90, 0x1f]), Some(Asked::Send(3, &[0x90, 0x1f])));
        assert_eq!(channels.read(7, b"x"), None);
        assert_eq!(channels.read(8, b"x"), None);
        assert_eq!(channels.read(8, b"\0\0"), None);
        assert_eq!(channels.read(CLOSE, &[6]), Some(Asked::End(3)));
        for number in 0..4 {
            assert!(!channels.is_over());
            channels.ended(number);
        }
        assert!(channels.is_over());
        assert!(!Channels::new("").is_over());
    }

    #[test]
    fn the_client_is_told_of_each_port_on_both_channels() {
        let mut channels = Channels::new("port=80");
        channels.read(2, &[81, 0]);
        let told: Vec<_> = std::iter::from_fn(|| channels.message()).collect();
        assert_eq!(told, [[0, 80, 0], [1, 80, 0], [2, 81, 0], [3, 81, 0]]);
    }

    proptest! {
        #[test]
        fn arbitrary_messages_never_panic(
            query in ".{0,20}",
            messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5), 0..20),
        ) {
            let mut channels = Channels::new(&query);
            for message in &messages {
                let mut rest = &message[..];
                if let Ok(Some(Asked::Open(number, _))) = channels.next(&mut rest) {
                    prop_assert_eq!(Some(&both(number)[0]), message.first());
                }
                prop_assert!(rest.is_empty());
            }
        }
    }
}
