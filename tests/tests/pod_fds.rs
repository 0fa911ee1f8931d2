//! The fd socket: descriptors that clients send beforehand, for the containers they create later.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use tests::pod::{Pod, Server};
use tests::{Container, Result, Scratch, ours_only, sys, wait};

/// The socket's path, as the server says it.
fn socket(pod: &Pod<'_>) -> PathBuf {
    pod.client.start_fd_socket(&Default::default()).unwrap().path.into()
}

/// A connection to the fd socket.
struct Sender(OwnedFd);

impl Sender {
    fn connect(path: &Path) -> Sender {
        Sender(sys::connect(libc::SOCK_SEQPACKET, path).unwrap())
    }

    /// Sends descriptors with a request that says how many they are, and gives the answer.
    fn ask(&self, request: u64, fds: &[BorrowedFd<'_>]) -> Vec<u8> {
        let request = request.to_le_bytes();
        match fds {
            [] => sys::send(&self.0, &request).map(drop).unwrap(),
            fds => sys::send_fds(&self.0, fds, &request).unwrap(),
        }
        assert!(sys::readable(&self.0, wait::deadline()).unwrap(), "no answer");
        let mut answer = vec![0; 4096];
        let count = sys::read(&self.0, &mut answer).unwrap();
        answer.truncate(count);
        answer
    }

    /// Sends descriptors and gives their slots.
    fn send(&self, fds: &[BorrowedFd<'_>]) -> Vec<u64> {
        let request = 77 << 32 | fds.len() as u64;
        let answer = self.ask(request, fds);
        let mut numbers: Vec<u64> =
            answer.chunks(8).map(|number| u64::from_le_bytes(number.try_into().unwrap())).collect();
        assert_eq!(numbers.remove(0), request, "{answer:?}");
        assert_eq!(numbers.len(), fds.len());
        numbers
    }
}

/// Waits for the end of everybody's copies of the other end, which nothing may come before.
fn wait_for_end(read: &OwnedFd) {
    assert!(sys::readable(read, wait::deadline()).unwrap(), "somebody has kept a copy");
    assert_eq!(sys::read(read, &mut [0; 1]).unwrap(), 0);
}

fn is_open(read: &OwnedFd) -> bool {
    !sys::readable(read, Instant::now()).unwrap()
}

#[test]
fn descriptors_reach_the_container_or_stay_open_until_its_end() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let sender = Sender::connect(&socket(&pod));
    let (read, write) = sys::pipe().unwrap();
    let (leaked, held) = sys::pipe().unwrap();
    let slots = sender.send(&[write.as_fd(), held.as_fd()]);
    assert_eq!(slots, [1, 2]);
    drop((write, held));
    let script = "echo hello >&3; exec 3>&-; exec sleep 1000";
    let mut container = pod.prepare(&Container::sh(script))?;
    container.request.additional_fds = slots[..1].to_vec();
    container.request.leak_fds = slots[1..].to_vec();
    container.request.command_args = vec!["--preserve-fds".into(), "1".into()];
    pod.client.create_container(&container.request).unwrap();
    container.start()?;
    assert!(sys::readable(&read, wait::deadline()).unwrap());
    let mut text = [0; 16];
    let count = sys::read(&read, &mut text).unwrap();
    assert_eq!(&text[..count], b"hello\n");
    // The container has closed its own; nobody else has one.
    wait_for_end(&read);
    // A slot is good for one container.
    for slot in [1, 2, 99] {
        let mut again = pod.prepare(&Container::sh("true"))?;
        again.request.additional_fds = vec![slot];
        let error = pod.client.create_container(&again.request).unwrap_err();
        assert_eq!(error.to_string(), format!("no file descriptor in slot {slot}"));
        assert!(!again.log.exists());
    }
    // Whoever sent it may go: the container has it.
    drop(sender);
    assert!(is_open(&leaked));
    container.kill("KILL")?;
    assert_eq!(container.exit()?, "137");
    // Closed by now, not some time later.
    assert!(!is_open(&leaked));
    wait_for_end(&leaked);
    Ok(())
}

#[test]
fn the_runtime_has_them_from_3_on_in_the_order_of_the_list_and_nothing_else() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let trace = scratch.join("trace");
    let server = Server::new(&scratch)?.env("SMALL_RUNTIME_TRACE", trace.display());
    let pod = server.start()?;
    let sender = Sender::connect(&socket(&pod));
    let files: Vec<fs::File> = (0..20)
        .map(|name| fs::File::create(scratch.join(format!("file{name}"))).unwrap())
        .collect();
    let fds: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
    let mut slots = sender.send(&fds);
    slots.reverse();
    let mut container = pod.prepare(&Container::sh("true"))?;
    container.request.leak_fds = slots.split_off(18);
    container.request.additional_fds = slots;
    pod.client.create_container(&container.request).unwrap();
    let note = tests::note::read(&trace)?.remove(0);
    assert_eq!(note.fds.keys().copied().collect::<Vec<_>>(), (0..21).collect::<Vec<_>>());
    for number in 3..21 {
        let name = scratch.join(format!("file{}", 22 - number));
        assert_eq!(note.fds[&number], name.to_string_lossy());
    }
    Ok(())
}

#[test]
fn the_socket_answers_as_the_go_client_expects() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let path = socket(&pod);
    assert_eq!(path, pod.server.directory.join("conmon-fd.sock"));
    assert_eq!(socket(&pod), path);
    let file = fs::metadata(&path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o700);
    let sender = Sender::connect(&path);
    let (read, write) = sys::pipe().unwrap();
    let write = write.as_fd();
    // Nothing to send is echoed; what is no request is ignored.
    assert_eq!(sender.ask(5 << 32, &[]), (5u64 << 32).to_le_bytes());
    for len in [1, 7, 9, 12, 15, 16, 17, 300] {
        sys::send_fds(&sender.0, &[write], &vec![0xa5; len]).unwrap();
    }
    // Too few, too many, none at all.
    for (count, came) in [(2, 1), (1, 2), (254, 3), (1, 0)] {
        let answer = sender.ask(9 << 32 | count, &vec![write; came]);
        let text = format!("received {came} fds, but expected {count} fds");
        let (number, words) = answer.split_at(8);
        assert_eq!(number, (9u64 << 32 | 0xffff_ffff).to_le_bytes());
        assert_eq!(String::from_utf8_lossy(words), text);
    }
    // As many as one packet can carry; slots count up.
    assert_eq!(sender.send(&vec![write; 253]), (1..=253).collect::<Vec<_>>());
    let other = Sender::connect(&path);
    assert_eq!(other.send(&[write]), [254]);
    // The first one's are closed on request, the other's with its connection.
    let (first, end) = sys::pipe().unwrap();
    sender.send(&[end.as_fd()]);
    drop(end);
    sys::send(&sender.0, &[0; 8]).unwrap();
    wait_for_end(&first);
    assert_eq!(sender.ask(6 << 32, &[]), (6u64 << 32).to_le_bytes());
    drop(sender);
    drop(other);
    // Whatever was sent in vain is gone, too: `write` is the only one left.
    let (another, end) = sys::pipe().unwrap();
    let last = Sender::connect(&path);
    last.send(&[end.as_fd()]);
    drop((end, last));
    wait_for_end(&another);
    assert!(is_open(&read));
    Ok(())
}

#[test]
fn nobody_serves_the_socket_while_nobody_is_connected_and_no_slot_is_used_twice() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.env("CONMOTE_PARK_MS", 30).start()?;
    let path = socket(&pod);
    scratch.idle()?;
    let (_read, write) = sys::pipe().unwrap();
    let mut slots = Vec::new();
    for turn in 0..5 {
        let sender = Sender::connect(&path);
        slots.extend(sender.send(&[write.as_fd()]));
        if turn == 2 {
            // Lost with all it has: what is sent next is sent to another.
            assert_eq!(scratch.kill_role("monitor"), 1);
            wait_for_end(&sender.0);
        }
        drop(sender);
        scratch.idle()?;
    }
    let mut sorted = slots.clone();
    sorted.dedup();
    assert!(sorted.is_sorted() && sorted.len() == 5, "{slots:?}");
    let mut container = pod.prepare(&Container::sh("true"))?;
    container.request.leak_fds = vec![slots[4]];
    let error = pod.client.create_container(&container.request).unwrap_err();
    assert_eq!(error.to_string(), format!("no file descriptor in slot {}", slots[4]));
    Ok(())
}

#[test]
fn without_the_socket_there_are_no_descriptors_and_its_end_is_the_servers() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let mut container = pod.prepare(&Container::sh("true"))?;
    container.request.additional_fds = vec![1];
    let error = pod.client.create_container(&container.request).unwrap_err();
    assert_eq!(error.to_string(), "no file descriptor in slot 1");
    // Left by a server that was killed.
    let path = pod.server.directory.join("conmon-fd.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(socket(&pod), path);
    let (read, write) = sys::pipe().unwrap();
    let sender = Sender::connect(&path);
    sender.send(&[write.as_fd()]);
    drop(write);
    assert!(is_open(&read));
    pod.stop()?;
    wait_for_end(&read);
    assert!(!path.exists());
    scratch.no_monitor_left()
}

#[test]
fn a_client_that_reads_no_answers_delays_nobody() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let path = socket(&pod);
    let (read, write) = sys::pipe().unwrap();
    let deaf = Sender::connect(&path);
    deaf.send(&[write.as_fd()]);
    drop(write);
    // Until it is cut off.
    while sys::send(&deaf.0, &(1u64 << 32).to_le_bytes()).is_ok() {}
    wait_for_end(&read);
    assert_eq!(Sender::connect(&path).ask(1 << 32, &[]), (1u64 << 32).to_le_bytes());
    Ok(())
}

#[test]
fn descriptors_of_containers_made_side_by_side_do_not_mix() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let pod = Server::new(&scratch)?.start()?;
    let path = socket(&pod);
    thread::scope(|scope| {
        for lane in 0..6 {
            let (pod, path) = (&pod, &path);
            scope.spawn(move || {
                let sender = Sender::connect(path);
                for round in 0..6 {
                    let (read, write) = sys::pipe().unwrap();
                    let slots = sender.send(&[write.as_fd()]);
                    drop(write);
                    let script = format!("echo {lane} {round} >&3; exit 5");
                    let mut container = pod.prepare(&Container::sh(script)).unwrap();
                    container.request.additional_fds = slots;
                    container.request.command_args = vec!["--preserve-fds".into(), "1".into()];
                    // All on one connection: one worker has the descriptors of all of them.
                    pod.client.create_container(&container.request).unwrap();
                    container.start().unwrap();
                    assert_eq!(container.exit().unwrap(), "5");
                    let mut text = [0; 16];
                    assert!(sys::readable(&read, wait::deadline()).unwrap());
                    let count = sys::read(&read, &mut text).unwrap();
                    assert_eq!(text[..count], *format!("{lane} {round}\n").as_bytes());
                    wait_for_end(&read);
                }
            });
        }
    });
    Ok(())
}
