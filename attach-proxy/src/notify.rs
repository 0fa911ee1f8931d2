//! Notifications of a container (sd_notify(3)): one datagram each, of which
//! only the lines that a container may say to the host go on. They go to the
//! hub, which sends them: systemd believes the pid that a message came from,
//! as long as that process lives and is in the unit's control group, and for
//! `NotifyAccess=main` only the hub's. A role would often be gone before
//! systemd looks, and an unprivileged one cannot send in the hub's name.

use crate::container::Container;
use crate::packet::{PacketBuffer, consume};
use crate::ports::Ports;
use crate::serve::Proxy;
use wire::message::MAX_NOTIFICATION;
use wire::{AsFd, Errno, Key, Message};

/// Datagrams that are taken at most from a dead container. More wait only
/// where `net.unix.max_dgram_qlen` is larger, and that for no good.
const LAST_ONES: usize = 512;

/// Moves the lines that may go on to the front of `text`, with newlines
/// between; the result is how many bytes they have together. Total, and never
/// longer than `text`.
pub(crate) fn keep(text: &mut [u8]) -> usize {
    let (mut from, mut kept) = (0, 0);
    while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        let ends = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let len = rest.iter().position(ends).unwrap_or(rest.len());
        if rest.get(..len).is_some_and(may_go_on) {
            // The end of the line before leaves room for this.
            if kept > 0
                && let Some(byte) = text.get_mut(kept)
            {
                *byte = b'\n';
                kept += 1;
            }
            text.copy_within(from..from + len, kept);
            kept += len;
        }
        from += len + 1;
    }
    kept
}

/// Whether the host may hear this from a container. What concerns processes
/// and descriptors of the service (`MAINPID`, `FDSTORE`, `BARRIER` and more)
/// is not for a container to say.
fn may_go_on(line: &[u8]) -> bool {
    let whole = matches!(
        line,
        b"READY=1" | b"RELOADING=1" | b"STOPPING=1" | b"WATCHDOG=1" | b"WATCHDOG=trigger"
    );
    whole
        || line.starts_with(b"STATUS=")
        || line.starts_with(b"ERRNO=")
        || line.starts_with(b"BUSERROR=")
        || line.starts_with(b"MONOTONIC_USEC=")
}

impl Proxy {
    /// A container has notified. One datagram, then others get their turn.
    pub(crate) fn relay(&mut self, own: Key, ports: &Ports) {
        let (containers, _, mut buffer) = self.parts();
        if let Some(container) = containers.get_mut(own) {
            container.relay(own, &mut buffer, ports);
        }
    }

    /// The container is dead: what it has said still counts.
    pub(crate) fn relay_last(&mut self, own: Key, ports: &Ports) {
        let (containers, _, mut buffer) = self.parts();
        if let Some(container) = containers.get_mut(own) {
            for _ in 0..LAST_ONES {
                if !container.relay(own, &mut buffer, ports) {
                    break;
                }
            }
            container.hear_no_more(ports);
        }
        ports.tell(Message::Drained { container: own });
    }
}

impl Container {
    /// Passes one notification on; false when there was none.
    fn relay(&mut self, own: Key, buffer: &mut PacketBuffer<'_>, ports: &Ports) -> bool {
        let Some(socket) = &self.notify else { return false };
        // Descriptors that came along, with BARRIER=1 for one, are closed by
        // the kernel: we offer no room for them.
        let passed = match buffer.peek_beginning(socket, MAX_NOTIFICATION) {
            Ok(text) => pass_on(own, text, ports),
            Err(Errno::AGAIN) => return false,
            Err(error) => {
                // It would be readable for ever.
                self.hear_no_more(ports);
                self.warn(format_args!("notify.sock: listens no more: {error}"));
                return false;
            }
        };
        // Only now, so that it is not lost if we are killed.
        let _ = consume(socket);
        if let Err(error) = passed {
            self.warn(format_args!("a notification is lost: no memory for it: {error}"));
        }
        true
    }

    fn hear_no_more(&mut self, ports: &Ports) {
        if let Some(socket) = self.notify.take() {
            ports.events.remove(&socket);
        }
    }
}

fn pass_on(own: Key, text: &mut [u8], ports: &Ports) -> Result<(), Errno> {
    let len = keep(text);
    let Some(text) = text.get(..len).filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let text = wire::sealed::seal(text)?;
    ports.tell_with(Message::Notification { container: own }, &[text.as_fd()]);
    Ok(())
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
