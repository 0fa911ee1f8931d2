//! Notifications of containers to the host's service manager (sd_notify(3)).
//! The attach-proxy reads them and chooses what goes on; sent they are by the
//! hub. systemd looks at the pid that a message came from while it reads it:
//! that process has to be alive and in the unit's control group, and with
//! `NotifyAccess=main` it has to be the one that podman named as the main one.
//! Only the hub is all of that, and only root could send in its name.

use crate::hub::Hub;
use crate::role::Kind;
use core::ffi::CStr;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use wire::message::MAX_NOTIFICATION;
use wire::record::Tag;
use wire::sealed::Sealed;
use wire::{Errno, Fds, Key, Message, Record};

impl Hub {
    /// Sends a container's notification to the host. If that cannot be done at
    /// once, it is lost; the first of several in a row is worth a warning.
    pub(crate) fn notify_host(&mut self, key: Key, mut text: Fds) {
        let Some(container) = self.tables.containers.get_mut(key) else {
            return;
        };
        let sent = match (text.pop(), Record::map(&container.record)) {
            (Some(text), Ok(record)) => match record.fields().string(Tag::NotifySocket) {
                Some(socket) => Sealed::map(text, MAX_NOTIFICATION)
                    .and_then(|text| send(socket, text.bytes()))
                    .inspect_err(|error| {
                        if !container.notification_lost {
                            wire::warning!(
                                crate::NAME,
                                "a container's notification is lost: cannot send to {}: {error}",
                                socket.to_str().unwrap_or("its socket")
                            );
                        }
                    }),
                None => Err(Errno::INVAL),
            },
            _ => Err(Errno::INVAL),
        };
        container.notification_lost = sent.is_err();
    }

    /// Has the attach-proxy pass on what a dead container has said last. If
    /// none can be started, as [`Hub::ask_to_drain`].
    pub(crate) fn ask_for_notifications(&mut self, key: Key) {
        if self.tell_proxy(key) {
            self.role(Kind::Proxy).send(&Message::Drain { container: key }, &[]);
        }
    }
}

/// One datagram to a socket as `NOTIFY_SOCKET` names it. Never waits.
fn send(name: &CStr, text: &[u8]) -> Result<(), Errno> {
    let address = match name.to_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        _ => SocketAddrUnix::new(name)?,
    };
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::sendto(&socket, text, flags, &address).map(drop)
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
