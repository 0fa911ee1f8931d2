//! Input into a container's stdin pipe.

use super::*;

#[test]
fn what_a_client_sends_arrives_byte_for_byte() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let client = hub.client(POD, key(0, 1));
    client.send(b"hello\0\n");
    client.send(&[0]);
    client.send(&noise(7, 40_000));
    let mut expected = b"hello\0\n\0".to_vec();
    expected.extend(noise(7, 40_000));
    assert_eq!(read_exactly(&stdin, expected.len()), expected);
    assert_eq!(hub.hang_up(), Ok(()));
}

#[test]
fn ten_megabytes_go_exactly_through_a_slow_stdin() {
    let hub = Hub::new();
    let (stdin, write) = small_pipe();
    hub.container(POD, true, &[(FdSet::STDIN, &write)]);
    drop(write);
    let client = hub.client(POD, key(0, 1));
    let data = noise(42, 10 << 20);
    let sender = std::thread::spawn({
        let data = data.clone();
        move || {
            let sizes = [1, 4095, 4096, 4097, 8192, 32768, 33000, 65536, 200_000];
            let (mut rest, mut sizes) = (&data[..], sizes.iter().cycle());
            while !rest.is_empty() {
                let size = (*sizes.next().unwrap()).min(rest.len());
                client.send(&rest[..size]);
                rest = &rest[size..];
            }
        }
    });
    let mut got = Vec::new();
    loop {
        let some = read_some(&stdin, 4000);
        if some.is_empty() {
            break;
        }
        got.extend(some);
        assert!(got.len() <= data.len(), "more than was sent");
        if got.len() % 7 == 0 {
            std::thread::yield_now();
        }
    }
    sender.join().unwrap();
    assert_eq!(got.len(), data.len());
    assert!(got == data);
    hub.hears_input_done(POD, key(0, 1));
    hub.hears_close_stdin(POD);
}

/// One framed packet: sender, number, length of what follows, that many bytes
/// of the sender's own.
fn frame(sender: u8, number: u32, len: u32) -> Vec<u8> {
    let mut packet = vec![sender];
    packet.extend(number.to_le_bytes());
    packet.extend(len.to_le_bytes());
    packet.resize(packet.len() + len as usize, sender);
    packet
}

#[test]
fn packets_of_several_clients_never_mix_and_all_get_their_turn() {
    const PACKETS: u32 = 150;
    let hub = Hub::new();
    let (stdin, write) = small_pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let senders: Vec<_> = (0..5u8)
        .map(|sender| {
            let client = hub.client(POD, key(sender.into(), 1));
            std::thread::spawn(move || {
                for number in 0..PACKETS {
                    let len = (number * 7919 + u32::from(sender) * 104_729) % 20_000;
                    client.send(&frame(sender, number, len));
                }
                client
            })
        })
        .collect();
    let mut seen = [0u32; 5];
    for _ in 0..PACKETS * 5 {
        let head = read_exactly(&stdin, 9);
        let sender = head[0];
        let number = u32::from_le_bytes(head[1..5].try_into().unwrap());
        let len = u32::from_le_bytes(head[5..9].try_into().unwrap());
        assert_eq!(number, seen[usize::from(sender)], "order of {sender}");
        seen[usize::from(sender)] += 1;
        let body = read_exactly(&stdin, len as usize);
        assert!(body.iter().all(|byte| *byte == sender), "mixed");
    }
    for sender in senders {
        sender.join().unwrap();
    }
    assert_eq!(seen, [PACKETS; 5]);
}

#[test]
fn a_client_that_floods_does_not_starve_another() {
    let mut hub = Hub::waiting();
    // Every packet fills the pipe, so the next one has to wait.
    let (stdin, write) = small_pipe();
    let packet = [b'f'; 4096];
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let flood = hub.client(POD, key(0, 1));
    let modest = hub.client(POD, key(1, 1));
    while flood.try_send(&packet).is_ok() {}
    modest.send(b"m");
    hub.start();
    let mut before = 0;
    while !read_some(&stdin, 4096).contains(&b'm') {
        before += 1;
        assert!(before < 100, "nothing after {before} packets of the other");
        // Never lets the flood dry up.
        while flood.try_send(&packet).is_ok() {}
        await_bytes(&stdin, 1);
    }
}

#[test]
fn a_container_that_does_not_read_delays_no_other() {
    let hub = Hub::new();
    let (full, write_full) = small_pipe();
    // Even if its descriptor would let us wait.
    rustix::io::ioctl_fionbio(&write_full, false).unwrap();
    let (stdin, write) = pipe();
    let other = key(9, 1);
    hub.container(POD, false, &[(FdSet::STDIN, &write_full)]);
    hub.container(other, false, &[(FdSet::STDIN, &write)]);
    let stuck = hub.client(POD, key(0, 1));
    let client = hub.client(other, key(1, 1));
    stuck.send(&[b's'; 20_000]);
    await_bytes(&full, 4096);
    for number in 0..100u8 {
        client.send(&[number; 100]);
        assert_eq!(read_exactly(&stdin, 100), [number; 100]);
    }
    hub.assert_proxy_sleeps();
    assert_eq!(read_exactly(&full, 20_000), [b's'; 20_000]);
}

#[test]
fn the_end_of_a_clients_input_closes_stdin_for_all_if_so_configured() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, true, &[(FdSet::STDIN, &write)]);
    drop(write);
    let first = hub.client(POD, key(0, 1));
    let second = hub.client(POD, key(1, 1));
    first.send(b"last words");
    first.end_input();
    hub.hears_input_done(POD, key(0, 1));
    hub.hears_close_stdin(POD);
    assert_eq!(read_exactly(&stdin, 10), b"last words");
    assert_eq!(read_some(&stdin, 1), b"");
    // What others send is dropped without error, and does not pile up.
    for _ in 0..2000 {
        second.send(&[b'x'; 1000]);
    }
    second.end_input();
    hub.hears_input_done(POD, key(1, 1));
}

#[test]
fn the_end_of_one_clients_input_closes_stdin_if_that_client_is_so_marked() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    drop(write);
    let ordinary = hub.client(POD, key(0, 1));
    let (near, far) = socketpair();
    let client = key(1, 1);
    let closes = Message::Client { container: POD, client, owner: false, closes: true };
    hub.tell(closes, &[near.as_fd()]);
    let marked = Client { socket: far, _hubs: near };
    ordinary.end_input();
    hub.hears_input_done(POD, key(0, 1));
    marked.send(b"last words");
    marked.end_input();
    hub.hears_input_done(POD, client);
    hub.hears_close_stdin(POD);
    assert_eq!(read_exactly(&stdin, 10), b"last words");
    assert_eq!(read_some(&stdin, 1), b"");
}

#[test]
fn the_end_of_a_clients_input_leaves_stdin_open_otherwise() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let first = hub.client(POD, key(0, 1));
    first.send(b"one ");
    drop(first);
    hub.hears_input_done(POD, key(0, 1));
    let second = hub.client(POD, key(0, 2));
    second.send(b"two");
    assert_eq!(read_exactly(&stdin, 7), b"one two");
}

#[test]
fn an_empty_packet_ends_a_clients_input() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, true, &[(FdSet::STDIN, &write)]);
    drop(write);
    let client = hub.client(POD, key(0, 1));
    client.send(b"x");
    client.send(b"");
    hub.hears_input_done(POD, key(0, 1));
    hub.hears_close_stdin(POD);
    assert_eq!(read_some(&stdin, 2), b"x");
    assert_eq!(read_some(&stdin, 2), b"");
}

#[test]
fn a_container_that_has_closed_its_stdin_blocks_no_client_and_costs_no_time() {
    let hub = Hub::new();
    let (stdin, write) = small_pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let client = hub.client(POD, key(0, 1));
    client.send(&[1; 10_000]);
    await_bytes(&stdin, 4096);
    // In the middle of a packet.
    drop(stdin);
    hub.hears_close_stdin(POD);
    for _ in 0..2000 {
        client.send(&[b'x'; 1000]);
    }
    hub.assert_proxy_sleeps();
    client.end_input();
    hub.hears_input_done(POD, key(0, 1));
}

#[test]
fn a_client_that_sends_and_leaves_at_once_loses_nothing() {
    let mut hub = Hub::waiting();
    let (stdin, write) = small_pipe();
    hub.container(POD, true, &[(FdSet::STDIN, &write)]);
    drop(write);
    let (near, far) = socketpair();
    hub.attach(POD, key(0, 1), &near);
    // Output that the client never reads turns its end into ECONNRESET.
    rustix::net::send(&near, b"output", SendFlags::empty()).unwrap();
    for _ in 0..10 {
        rustix::net::send(&far, &[b'x'; 9000], SendFlags::empty()).unwrap();
    }
    drop(far);
    let drop_client = Message::DropClient { container: POD, client: key(0, 1), behind: false };
    hub.tell(drop_client, &[]);
    drop(near);
    hub.start();
    assert_eq!(read_exactly(&stdin, 90_000), [b'x'; 90_000]);
    hub.hears_close_stdin(POD);
    assert_eq!(read_some(&stdin, 1), b"");
}

#[test]
fn a_client_in_the_place_of_one_that_leaves_disturbs_nothing() {
    let hub = Hub::new();
    let (stdin, write) = small_pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let first = hub.client(POD, key(0, 1));
    first.send(&[b'1'; 9000]);
    first.send(&[b'1'; 1000]);
    await_bytes(&stdin, 4096);
    drop(first);
    let drop_client = Message::DropClient { container: POD, client: key(0, 1), behind: false };
    hub.tell(drop_client, &[]);
    let second = hub.client(POD, key(0, 2));
    second.send(&[b'2'; 5000]);
    let got = read_exactly(&stdin, 15_000);
    assert_eq!(got.iter().filter(|byte| **byte == b'1').count(), 10_000);
    second.end_input();
    hub.hears_input_done(POD, key(0, 2));
}

#[test]
fn a_client_dropped_for_being_behind_does_not_end_the_containers_input() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, true, &[(FdSet::STDIN, &write)]);
    let behind = hub.client(POD, key(0, 1));
    behind.send(b"sent before, ");
    await_bytes(&stdin, 13);
    let drop_client = Message::DropClient { container: POD, client: key(0, 1), behind: true };
    hub.tell(drop_client, &[]);
    let other = hub.client(POD, key(0, 2));
    other.send(b"sent after");
    assert_eq!(read_exactly(&stdin, 23), b"sent before, sent after");
}

#[test]
fn a_dropped_client_that_goes_on_sending_is_cut_off() {
    let hub = Hub::new();
    let (stdin, write) = pipe();
    hub.container(POD, false, &[(FdSet::STDIN, &write)]);
    let client = hub.client(POD, key(0, 1));
    client.send(b"before");
    let drop_client = Message::DropClient { container: POD, client: key(0, 1), behind: false };
    hub.tell(drop_client, &[]);
    let start = wire::event::now_ms();
    while client.try_send(b" and after") != Err(Errno::PIPE) {
        assert!(wire::event::now_ms() < start + PATIENCE as u64 * 1000);
        std::thread::yield_now();
    }
    assert_eq!(read_exactly(&stdin, 6), b"before");
}
