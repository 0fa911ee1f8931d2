//! What the subprotocols of port forwarding have in common.

/// What a client asks for. Connections have numbers, which the protocol gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<'a> {
    /// To connect to this port.
    Open(u32, u16),
    /// To pass this on.
    Send(u32, &'a [u8]),
    /// To pass on that nothing more comes.
    End(u32),
    /// To have the connection no more.
    Drop(u32),
}

/// How a client's messages name connections, and how it is told about them.
pub trait Protocol {
    /// What a message asks for next, until that is `None`; what has been looked
    /// at is taken off its front.
    ///
    /// # Errors
    /// Says what no client may send.
    fn next<'a>(&mut self, message: &mut &'a [u8]) -> Result<Option<Asked<'a>>, String>;

    /// The pod has sent this.
    fn data(&mut self, number: u32, bytes: &[u8]);

    /// The pod sends no more. Whether the client may still send.
    fn ended(&mut self, number: u32) -> bool;

    /// The connection is no more, or was not made. `text`: what to tell.
    fn failed(&mut self, number: u32, text: &str);

    /// The connection is no more, and the client has been told.
    fn gone(&mut self, number: u32);

    /// The next message for the client, if there is one.
    fn message(&mut self) -> Option<Vec<u8>>;

    /// How many bytes of messages there are.
    fn kept(&self) -> usize;

    /// Whether nothing more may come of the session.
    fn is_over(&self) -> bool;
}
