//! The end of containers, and of the log-writer.

use super::Hub;
use super::hub::Options;
use super::io::{numbered, packet, pipe, print, print_some, read};
use super::scratch::printed;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wire::{FdSet, Key, Message, OwnedFd};

/// A container whose owner does not read, and whose pipe is full.
struct Stuck {
    container: Key,
    owner: OwnedFd,
    /// What the owner has to read before output.
    queued: usize,
    out: OwnedFd,
    text: Vec<u8>,
}

impl Stuck {
    fn new(hub: &Hub) -> Self {
        let container = hub.container(1);
        let (owner, queued) = hub.stuck_owner(container, 1);
        let out = hub.stdout(container);
        let mut stuck = Stuck { container, owner, queued, out, text: numbered(2 << 20) };
        let done = print_some(&stuck.out, &stuck.text);
        stuck.text.truncate(done);
        stuck
    }

    /// The owner reads at last.
    fn read(&self) {
        read(&self.owner, 0, self.queued);
        assert!(read(&self.owner, 2, self.text.len()) == self.text);
        assert_eq!(packet(&self.owner), b"", "the end is not seen");
    }
}

#[test]
fn a_stuck_owner_does_not_delay_the_end_and_still_gets_everything() {
    let mut hub = Hub::busy();
    let stuck = Stuck::new(&hub);
    hub.drain(stuck.container);
    assert!(printed(&hub.log(), "stdout") == stuck.text);

    // The hub goes; the log-writer stays for the owner, and only for it.
    hub.leave();
    stuck.read();
    hub.join();
}

#[test]
fn an_owner_that_goes_without_reading_is_not_waited_for() {
    let mut hub = Hub::busy();
    let stuck = Stuck::new(&hub);
    hub.drain(stuck.container);
    hub.leave();
    drop(stuck.owner);
    hub.join();
}

#[test]
fn names_of_a_drained_container_can_be_used_again_while_its_owner_reads() {
    let hub = Hub::busy();
    let stuck = Stuck::new(&hub);
    hub.drain(stuck.container);

    let again = hub.container_without_log(1);
    let other = hub.client(again, 1, true);
    let out = hub.stdout(again);
    print(&out, b"new");
    assert_eq!(packet(&other), b"\x02new");
    stuck.read();
}

#[test]
fn a_pipe_enlarged_behind_a_stuck_owner_is_logged_to_its_end() {
    let hub = Hub::busy();
    let mut stuck = Stuck::new(&hub);
    // More slots than the log-writer's own pipe has.
    rustix::pipe::fcntl_setpipe_size(&stuck.out, 1 << 20).unwrap();
    let text = numbered(2 << 20);
    let more = print_some(&stuck.out, &text[stuck.text.len()..]);
    assert!(more > 500_000);
    stuck.text = text[..stuck.text.len() + more].to_vec();
    hub.drain(stuck.container);
    assert!(printed(&hub.log(), "stdout") == stuck.text);
    stuck.read();
}

#[test]
fn background_processes_that_go_on_printing_do_not_delay_the_end() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let (read, write) = pipe();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let writer = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            let _ = rustix::io::write(&write, &[b'x'; 4096]);
        }
    });
    let fds = FdSet::STDOUT;
    hub.send(Message::Output { container, fds }, &[&read]);
    hub.drain(container);
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

#[test]
fn clients_that_have_everything_see_the_end() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let client = hub.client(container, 1, false);
    let out = hub.stdout(container);
    print(&out, b"last words");
    hub.drain(container);
    assert_eq!(packet(&client), b"\x02last words");
    assert_eq!(packet(&client), b"");
}

#[test]
fn clients_of_a_pod_are_told_that_no_more_comes_after_the_last_byte() {
    let hub = Hub::busy();
    let options = Options { attach_done: true, ..Options::default() };
    let container = hub.container_with(1, options);
    let clients = [hub.client(container, 1, true), hub.client(container, 2, false)];
    print(&hub.stdout(container), b"last words");
    hub.drain(container);
    for client in &clients {
        assert_eq!(packet(client), b"\x02last words");
        assert_eq!(packet(client), b"\0");
        assert_eq!(packet(client), b"");
    }
}

#[test]
fn a_container_nobody_knows_is_drained_at_once() {
    Hub::busy().drain(Key(5));
}

#[test]
fn a_forgotten_container_is_neither_logged_nor_delivered_any_more() {
    let hub = Hub::busy();
    let container = hub.container(1);
    let client = hub.client(container, 1, false);
    let (out, copy) = hub.output(container, FdSet::STDOUT);
    hub.send(Message::Forget { container }, &[]);
    assert_eq!(packet(&client), b"");
    print(&out, b"unheard");
    hub.drain(container);
    assert_eq!(rustix::io::ioctl_fionread(&copy).unwrap(), 7);
    assert_eq!(hub.log(), b"");
}

#[test]
fn when_the_hub_dies_what_is_there_is_logged() {
    let mut hub = Hub::busy();
    let container = hub.container(1);
    let (out, _) = hub.output(container, FdSet::STDOUT);
    let text = numbered(60_000);
    print(&out, &text);
    hub.leave();
    hub.join();
    assert!(printed(&hub.log(), "stdout") == text);
}
