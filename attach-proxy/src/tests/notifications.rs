//! What a container says to its notify socket.

use super::*;
use wire::sealed::Sealed;

/// The container's socket as we have it, and one that sends to it.
fn sockets() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap()
}

fn say(to: &OwnedFd, text: &[u8]) {
    assert_eq!(rustix::net::send(to, text, SendFlags::NOSIGNAL), Ok(text.len()));
}

impl Hub {
    /// The next message of the proxy has this for the host.
    fn hears_notification(&self, text: &[u8]) {
        assert!(readable(&self.link, PATIENCE * 1000), "no message came");
        let (message, fds) = self.link.receive().unwrap();
        assert_eq!(message, Message::Notification { container: POD });
        let passed = Sealed::map(&fds[0], 1 << 20).unwrap();
        assert_eq!(passed.bytes(), text);
    }
}

#[test]
fn what_a_container_may_say_goes_to_the_hub_one_by_one() {
    let hub = Hub::new();
    let (ours, theirs) = sockets();
    for text in [&b"READY=1\nMAINPID=1\nSTATUS=up\n"[..], b"", b"MAINPID=1", b"STOPPING=1"] {
        say(&theirs, text);
    }
    hub.container(POD, false, &[(FdSet::NOTIFY, &ours)]);
    hub.hears_notification(b"READY=1\nSTATUS=up");
    hub.hears_notification(b"STOPPING=1");
    say(&theirs, b"WATCHDOG=1");
    hub.hears_notification(b"WATCHDOG=1");
    // Then it sleeps, and then it goes.
    hub.assert_proxy_sleeps();
    assert_eq!(hub.hears_within(PATIENCE * 1000), Some(Message::Idle { seen: 1 }));
}

#[test]
fn of_an_endless_one_so_much_is_looked_at_as_conmon_does() {
    let hub = Hub::new();
    let (ours, theirs) = sockets();
    let mut text = b"READY=1\nSTATUS=".to_vec();
    text.resize(100_000, b'x');
    say(&theirs, &text);
    hub.container(POD, false, &[(FdSet::NOTIFY, &ours)]);
    hub.hears_notification(&text[..32 * 1024]);
    hub.assert_proxy_sleeps();
}

#[test]
fn the_last_words_of_a_dead_container_come_before_the_answer_and_none_after() {
    let mut hub = Hub::waiting();
    let (ours, theirs) = sockets();
    for text in [&b"STOPPING=1"[..], b"X=1", b"ERRNO=5"] {
        say(&theirs, text);
    }
    hub.container(POD, false, &[(FdSet::NOTIFY, &ours)]);
    hub.tell(Message::Drain { container: POD }, &[]);
    // A container it does not know has said nothing.
    hub.tell(Message::Drain { container: key(7, 7) }, &[]);
    hub.start();
    hub.hears_notification(b"STOPPING=1");
    hub.hears_notification(b"ERRNO=5");
    assert_eq!(hub.hears(), Message::Drained { container: POD });
    assert_eq!(hub.hears(), Message::Drained { container: key(7, 7) });
    say(&theirs, b"READY=1");
    hub.assert_proxy_sleeps();
}
