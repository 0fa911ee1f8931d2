//! Going when there is nothing to do, without losing what comes meanwhile.

use super::Hub;
use super::io::{packet, pipe, print, read};
use super::scratch::printed;
use wire::{FdSet, Message};

#[test]
fn after_saying_idle_no_output_is_touched() {
    let mut hub = Hub::new(20);
    let container = hub.container(1);
    let (out, copy) = hub.output(container, FdSet::STDOUT);
    hub.expect(Message::Idle { seen: 2 });
    print(&out, b"for the next one");
    hub.leave();
    hub.join();
    assert_eq!(rustix::io::ioctl_fionread(&copy).unwrap(), 16);
    assert_eq!(hub.log(), b"");
}

#[test]
fn a_message_that_crosses_idle_calls_the_log_writer_back() {
    let hub = Hub::new(20);
    let container = hub.container(1);
    let out = hub.stdout(container);
    hub.expect(Message::Idle { seen: 2 });
    print(&out, b"in between");
    let client = hub.client(container, 1, true);
    assert_eq!(packet(&client), b"\x02in between");
    hub.expect(Message::Idle { seen: 3 });
}

#[test]
fn output_owed_to_an_owner_keeps_the_log_writer() {
    let hub = Hub::new(20);
    let container = hub.container(1);
    let (owner, queued) = hub.stuck_owner(container, 1);
    let (read_end, out) = pipe();
    print(&out, b"owed");
    hub.send(Message::Output { container, fds: FdSet::STDOUT }, &[&read_end]);
    // Ten times as long as it would stay otherwise. It may have been idle
    // before it was given the output.
    while let Some(message) = hub.next_within(200) {
        assert!(matches!(message, Message::Idle { seen: ..3 }));
    }
    assert_eq!(read(&owner, 0, queued), vec![0; queued]);
    assert_eq!(packet(&owner), b"\x02owed");
    hub.expect(Message::Idle { seen: 3 });
    assert_eq!(printed(&hub.log(), "stdout"), b"owed");
}

#[test]
fn what_comes_with_the_end_of_the_link_is_still_done() {
    let mut hub = Hub::new(20);
    let container = hub.container(1);
    let out = hub.stdout(container);
    hub.expect(Message::Idle { seen: 2 });
    print(&out, b"last\n");
    hub.send(Message::Drain { container }, &[]);
    hub.leave();
    hub.join();
    assert_eq!(printed(&hub.log(), "stdout"), b"last\n");
}
