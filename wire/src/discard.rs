//! Ending a connection so that its other side sees all that was sent to it.

use crate::AsFd;
use rustix::net::{RecvFlags, Shutdown, recv, shutdown};

/// More packets than can wait in a socket whose buffer has its usual size: each
/// takes 700 of 200,000 bytes at least (socket(7), wmem_default).
const MAX_WAITING: usize = 512;

/// Takes no more input from a client, and throws away what it has sent. A
/// socket closed with input in it breaks the connection, and the client may be
/// told of that before it has read the output that waits for it.
pub fn discard_input(socket: impl AsFd) {
    let _ = shutdown(&socket, Shutdown::Read);
    let mut byte = [0u8];
    for _ in 0..MAX_WAITING {
        match recv(&socket, &mut byte, RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
            Ok((_, length)) if length > 0 => {}
            _ => return,
        }
    }
}
