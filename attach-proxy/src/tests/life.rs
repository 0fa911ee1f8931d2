//! Start, idleness, the end, and what goes wrong in between.

use super::*;
use crate::packet::{Large, PacketBuffer, Small};

#[test]
fn killed_at_any_point_it_loses_no_packet() {
    let hub = Hub::new();
    let (stdin, write) = small_pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let (near, far) = socketpair();
    hub.attach(POD, key(0, 1), &near);
    let send = |packet: &[u8]| {
        let flags = SendFlags::NOSIGNAL;
        assert_eq!(rustix::net::send(&far, packet, flags), Ok(packet.len()));
    };
    send(b"whole");
    assert_eq!(read_exactly(&stdin, 5), b"whole");
    let packet = noise(1, 10_000);
    send(&packet);
    await_bytes(&stdin, 4096);
    assert_eq!(hub.hang_up(), Ok(()));
    assert_eq!(read_exactly(&stdin, 4096), &packet[..4096]);
    assert!(!readable(&stdin, 0));

    // The next one delivers what was begun from its beginning.
    let hub = Hub::new();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    hub.attach(POD, key(0, 1), &near);
    assert_eq!(read_exactly(&stdin, packet.len()), packet);
    send(b"next");
    assert_eq!(read_exactly(&stdin, 4), b"next");
}

#[test]
fn it_offers_to_end_when_all_input_is_done_and_goes_on_when_asked() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    let (ctl, ctl_in) = pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write), (FdSet::CTL, &ctl)]);
    let client = hub.client(POD, key(0, 1));
    // Not while a client could still send, however long it is quiet.
    assert_eq!(hub.hears_within(1300), None);
    client.end_input();
    let (container, client) = (POD, key(0, 1));
    let patience = PATIENCE * 1000;
    let heard = hub.hears_within(patience);
    assert_eq!(heard, Some(Message::InputDone { container, client }));
    assert_eq!(hub.hears_within(patience), Some(Message::Idle { seen: 2 }));
    // A message came in the meantime: it goes on.
    let client = hub.client(POD, key(0, 2));
    client.send(b"more");
    assert_eq!(read_exactly(&stdin, 4), b"more");
    client.end_input();
    hub.hears_input_done(POD, key(0, 2));
    assert_eq!(hub.hears_within(patience), Some(Message::Idle { seen: 3 }));
    // It has let go: this is for its successor.
    rustix::io::write(&ctl_in, b"2 0 0\n").unwrap();
    assert_eq!(hub.hears_within(100), None);
    assert_eq!(hub.hang_up(), Ok(()));
    assert_eq!(read_some(&ctl, 100), b"2 0 0\n");
}

#[test]
fn it_does_not_offer_to_end_in_the_middle_of_a_command() {
    let hub = Hub::new();
    let (ctl, ctl_in) = pipe();
    hub.container(POD, false, &[(FdSet::CTL, &ctl)]);
    rustix::io::write(&ctl_in, b"2 0").unwrap();
    assert_eq!(hub.hears_within(1300), None);
    rustix::io::write(&ctl_in, b" 0\n").unwrap();
    let patience = PATIENCE * 1000;
    let heard = hub.hears_within(patience);
    assert_eq!(heard, Some(Message::ReopenAsked { container: POD }));
    assert_eq!(hub.hears_within(patience), Some(Message::Idle { seen: 1 }));
}

#[test]
fn a_forgotten_container_is_let_go_of_with_all_its_clients() {
    let hub = Hub::new();
    let (stdin, write) = small_pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    drop(write);
    let client = hub.client(POD, key(0, 1));
    client.send(&[0; 10_000]);
    await_bytes(&stdin, 4096);
    hub.tell(Message::Forget { container: POD }, &[]);
    read_exactly(&stdin, 4096);
    assert_eq!(read_some(&stdin, 1), b"");
    let idle = hub.hears_within(PATIENCE * 1000);
    assert_eq!(idle, Some(Message::Idle { seen: 3 }));
}

#[test]
fn a_client_of_nobody_is_reported_done() {
    let hub = Hub::new();
    let _client = hub.client(POD, key(0, 1));
    hub.hears_input_done(POD, key(0, 1));
}

#[test]
fn garbage_from_the_hub_counts_as_seen_and_changes_nothing() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    rustix::net::send(&hub.link, b"garbage", SendFlags::empty()).unwrap();
    hub.tell(Message::Log { container: POD }, &[stdin.as_fd()]);
    hub.tell(Message::Reopen { container: POD }, &[]);
    let nowhere =
        Message::DropClient { container: key(1023, 1), client: key(4095, 1), behind: false };
    hub.tell(nowhere, &[]);
    let far = Message::Forget { container: Key(u32::MAX) };
    hub.tell(far, &[]);
    hub.container(Key(u32::MAX), false, &[(FdSet::STDIN, &write)]);
    let client = hub.client(POD, key(0, 1));
    client.send(b"x");
    assert_eq!(read_exactly(&stdin, 1), b"x");
    client.end_input();
    hub.hears_input_done(POD, key(0, 1));
    let idle = hub.hears_within(PATIENCE * 1000);
    assert_eq!(idle, Some(Message::Idle { seen: 8 }));
}

#[test]
fn it_serves_as_many_containers_and_clients_as_a_full_pod_has() {
    const CONTAINERS: u32 = 100;
    let hub = Hub::new();
    let pods: Vec<_> = (0..CONTAINERS)
        .map(|slot| {
            let (stdin, write) = pipe();
            hub.container(key(slot, 1), true, &[(FdSet::STDIN, &write)]);
            let client = hub.client(key(slot, 1), key(slot * 40, 1));
            (stdin, client)
        })
        .collect();
    for (slot, (_, client)) in pods.iter().enumerate() {
        client.send(&noise(slot as u64, 500));
    }
    for (slot, (stdin, _)) in pods.iter().enumerate() {
        assert_eq!(read_exactly(stdin, 500), noise(slot as u64, 500));
    }
}

#[test]
fn memory_of_a_large_packet_is_given_back() {
    let (near, far) = socketpair();
    let (mut small, mut large_used) = ([0; size_of::<Small>()], false);
    let mut large = Box::new(Large::new());
    let mut buffer =
        PacketBuffer { small: &mut small, large: &mut large, large_used: &mut large_used };
    rustix::net::send(&far, &[1; 200_000], SendFlags::empty()).unwrap();
    assert_eq!(buffer.peek(&near).unwrap(), [1; 200_000]);
    let resident = resident_pages(&*buffer.large);
    assert!(resident >= 48, "{resident} pages");
    buffer.give_back();
    let resident = resident_pages(&*buffer.large);
    assert!(resident <= 2, "{resident} pages");
}

/// Pages in memory behind `value`, from /proc/self/pagemap (proc(5)).
fn resident_pages<T>(value: &T) -> usize {
    use std::os::unix::fs::FileExt;
    let start = std::ptr::from_ref(value).addr() / 4096;
    let pages = size_of::<T>() / 4096;
    let mut entries = vec![0u8; pages * 8];
    let pagemap = std::fs::File::open("/proc/self/pagemap").unwrap();
    pagemap.read_exact_at(&mut entries, start as u64 * 8).unwrap();
    // Bit 63: present.
    entries.chunks(8).filter(|entry| entry[7] & 0x80 != 0).count()
}
