//! A connection goes from worker to worker, and its client notices nothing.

use super::*;
use crate::client::Client;

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // Xorshift, from Marsaglia's paper of that name.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// As the hub does it: waits until there is something to read, has it served,
/// gets it back. Returns how often.
fn serve_and_park(mut connection: OwnedFd, service: &Fake) -> u32 {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut parked = 0;
    loop {
        let quiet = Duration::from_micros(numbers.below(300));
        match serve(connection, service, quiet) {
            Served::Closed => return parked,
            Served::Park(given_back) => connection = given_back,
        }
        parked += 1;
        let mut watched = [PollFd::new(&connection, PollFlags::IN)];
        poll(&mut watched, None).unwrap();
    }
}

#[test]
fn a_thousand_parkings_lose_no_call() {
    let (fake, _events) = Fake::new();
    let (ours, theirs) = pair();
    thread::scope(|scope| {
        let server = scope.spawn(|| serve_and_park(theirs, &fake));
        let client = Client::new(ours).unwrap();
        let mut numbers = Numbers(2_463_534_242);
        // The server parks when we pause; how often depends on the machine.
        let mut calls = 0;
        while calls < 3000 {
            let size = numbers.below(5000);
            let request = ExecSyncContainerRequest {
                id: format!("{calls}"),
                timeout_sec: size,
                ..Default::default()
            };
            let response = client.exec_sync_container(&request).unwrap();
            assert_eq!(response.stderr, request.id.as_bytes());
            assert_eq!(response.stdout.len() as u64, size);
            thread::sleep(Duration::from_micros(numbers.below(500)));
            calls += 1;
        }
        drop(client);
        let parked = server.join().unwrap();
        assert!(parked >= 1000, "parked {parked} times");
    });
}

/// A message may come in any number of pieces; none is parked half-read.
#[test]
fn a_message_in_pieces_survives_parking() {
    let (fake, _events) = Fake::new();
    let (ours, theirs) = pair();
    thread::scope(|scope| {
        let server = scope.spawn(|| serve_and_park(theirs, &fake));
        let mut peer = Peer::new(ours);
        let mut numbers = Numbers(123_456_789);
        for question in 0..300 {
            let bytes = exec(question, "some id", "true");
            let (first, rest) = bytes.split_at(numbers.below(bytes.len() as u64) as usize);
            peer.bytes(first);
            thread::sleep(Duration::from_micros(numbers.below(600)));
            peer.bytes(rest);
            assert_eq!(peer.came(), Some(Came::Results(question)));
        }
        drop(peer);
        server.join().unwrap();
    });
}

#[test]
fn a_connection_is_not_parked_while_a_call_is_in_flight() {
    let (fake, events) = Fake::new();
    let (served, _peer) = serving(&fake, Duration::from_millis(20), |stream| {
        let mut peer = Peer::new(stream);
        peer.bytes(&exec(1, "a", "wait"));
        events.recv().unwrap();
        peer.bytes(&version(2));
        assert_eq!(peer.came(), Some(Came::Results(2)));
        // Longer than it may be quiet.
        thread::sleep(Duration::from_millis(100));
        fake.let_go("a");
        assert_eq!(peer.came(), Some(Came::Results(1)));
        assert!(events.try_recv().is_err(), "the call was given up");
        peer
    });
    assert!(matches!(served, Served::Park(_)));
}

#[test]
fn a_quiet_connection_is_given_back_open() {
    let (fake, _events) = Fake::new();
    let (served, mut peer) = serving(&fake, Duration::ZERO, Peer::new);
    let Served::Park(connection) = served else { panic!("closed") };
    peer.bytes(&version(1));
    thread::scope(|scope| {
        scope.spawn(|| serve(connection, &fake, NEVER));
        assert_eq!(peer.came(), Some(Came::Results(1)));
        peer.end();
    });
}
