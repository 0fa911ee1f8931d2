//! What the relay promises beyond conmon's: nothing that a container or the host does stops it, holds anybody up, or
//! leaves a process behind.

use std::fs;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use tests::notify::{self, Host};
use tests::{Call, Container, Result, Scratch, Session, ours_only, sys, wait};

/// A container that answers, whose notifications go to `host`.
fn relayed(scratch: &Scratch, host: impl AsRef<Path>) -> Result<Call> {
    let call = Call::create(scratch, &Container::new(["cat"]).stdin())?.flag("--leave-stdin-open");
    notify::directory(&call.paths().bundle)?;
    Ok(call.set("--sdnotify-socket", host.as_ref()))
}

/// That, running.
fn running(scratch: &Scratch) -> Result<(Host, Session, notify::Container)> {
    notify::running(scratch, |host| relayed(scratch, host))
}

fn answers(session: &Session, word: &str) -> Result {
    let mut client = session.attach()?;
    client.send(format!("{word}\n").as_bytes())?;
    client.expect(word)
}

#[test]
fn an_empty_notification_ends_nothing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, _session, container) = running(&scratch)?;
    for _ in 0..20 {
        container.say("")?;
    }
    container.say("READY=1")?;
    host.expect("READY=1")?;
    scratch.idle().map(drop)
}

#[test]
fn a_host_with_an_abstract_name_is_reached() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let name = format!("{}/notify", scratch.id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let host = Host::over(socket)?;
    let session = relayed(&scratch, format!("@{name}"))?.running()?;
    notify::Container::of(&session.paths.bundle)?.say("READY=1")?;
    assert_eq!(host.expect("READY=1")?.pid, session.monitor()?);
    Ok(())
}

#[test]
fn a_host_that_is_gone_loses_what_is_said_meanwhile_and_nothing_after() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, session, container) = running(&scratch)?;
    drop(host);
    for gone in ["nobody listens", "no socket"] {
        for _ in 0..50 {
            container.say(format!("STATUS={gone}"))?;
        }
        // All of it has been read when nobody is there to read it any more.
        scratch.idle()?;
        let _ = fs::remove_file(scratch.join("host"));
    }
    let host = Host::at(&scratch.join("host"))?;
    container.say("READY=1")?;
    host.expect("READY=1")?;
    answers(&session, "alive")
}

#[test]
fn a_host_that_does_not_read_holds_nobody_up() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, session, container) = running(&scratch)?;
    for number in 0..2000 {
        container.say(format!("STATUS={number}"))?;
    }
    answers(&session, "alive")?;
    // The first are in its queue.
    host.expect("STATUS=0")?;
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    session.monitor_gone()?;
    scratch.no_monitor_left()
}

#[test]
fn notifications_of_any_content_and_size_are_survived() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, session, container) = running(&scratch)?;
    for size in [1, 4096, 4097, 32_767, 32_768, 32_769, 150_000] {
        container.say(vec![b'\n'; size])?;
        container.say(vec![0xff; size])?;
        container.say(b"ERRNO\n=\r".repeat(size / 8))?;
    }
    container.say([b"STATUS=", &[b'x'; 150_000][..]].concat())?;
    assert_eq!(host.next()?.text.len(), 32_768);
    // As many lines as there can be.
    container.say(b"ERRNO=\n".repeat(4000))?;
    assert_eq!(host.next()?.text.len(), 27_999);
    container.say(b"STATUS=\xff\0\x1b[2J")?;
    host.expect("STATUS=\u{fffd}\0\u{1b}[2J")?;
    answers(&session, "alive")
}

#[test]
fn descriptors_that_come_along_are_closed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, _session, container) = running(&scratch)?;
    // `systemd-notify` waits in this way until everything before has been heard.
    let (read, write) = sys::pipe().unwrap();
    sys::send_fd(container.connect()?, &write, b"BARRIER=1").unwrap();
    drop(write);
    assert!(sys::readable(&read, wait::deadline()).unwrap(), "the barrier holds");
    assert_eq!(sys::read(&read, &mut [0; 1]).unwrap(), 0);
    let many = fs::File::open("/dev/null").unwrap();
    let before = scratch.idle()?.fds().len();
    for _ in 0..200 {
        sys::send_fd(container.connect()?, many.as_fd(), b"STATUS=x").unwrap();
        host.expect("STATUS=x")?;
    }
    assert_eq!(scratch.idle()?.fds().len(), before);
    Ok(())
}

#[test]
fn a_flood_starves_neither_clients_nor_the_exit_and_ends_in_silence() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, session, container) = running(&scratch)?;
    let stop = AtomicBool::new(false);
    let flood = |text: &[u8]| -> Result {
        let container = notify::Container::of(&session.paths.bundle)?;
        while !stop.load(Ordering::Relaxed) {
            container.say(text)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let mut senders = vec![scope.spawn(|| flood(&b"STATUS=x\n".repeat(3000)))];
        senders.extend((0..4).map(|_| scope.spawn(|| flood(b"X=1"))));
        let answered = (0..20).try_for_each(|n| answers(&session, &format!("question {n}")));
        stop.store(true, Ordering::Relaxed);
        senders.into_iter().try_for_each(|sender| sender.join().unwrap()).and(answered)
    })?;
    scratch.idle()?;
    // What the host's queue could not hold is lost, what comes now is not.
    drop(host);
    fs::remove_file(scratch.join("host")).unwrap();
    let host = Host::at(&scratch.join("host"))?;
    container.say("READY=1")?;
    host.expect("READY=1")?;
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    session.monitor_gone()
}

#[test]
fn a_proxy_that_is_killed_at_any_moment_loses_no_notification() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, _session, container) = running(&scratch)?;
    let heard = AtomicUsize::new(0);
    // Takes a moment to read, in which it can be killed.
    let much = "X\n".repeat(16_000);
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| -> Result {
            for round in 0..60 {
                let proxy =
                    wait::until("a proxy", || Ok(scratch.monitors_named("attach-proxy").pop()))?;
                // In the middle of its work, not when it begins.
                let then = heard.load(Ordering::Relaxed) + 1 + round % 7;
                let deadline = wait::deadline();
                while heard.load(Ordering::Relaxed) < then && Instant::now() < deadline {
                    std::hint::spin_loop();
                }
                let _ = sys::kill(proxy.pid, libc::SIGKILL);
            }
            Ok(())
        });
        let mut said = 0;
        loop {
            let over = killer.is_finished();
            let next = heard.load(Ordering::Relaxed);
            // No more than the host's queue holds: half of the kernel's 10.
            while !over && said < next + 5 {
                container.say(format!("STATUS={said}\n{much}"))?;
                said += 1;
            }
            if next == said {
                return killer.join().unwrap();
            }
            match host.next()?.text {
                text if text == format!("STATUS={next}") => {
                    heard.fetch_add(1, Ordering::Relaxed);
                }
                // Once more is fine, left out is not.
                text => assert_eq!(text, format!("STATUS={}", next - 1)),
            }
        }
    })
}

#[test]
fn the_last_words_of_a_container_are_heard() -> Result {
    ours_only!();
    for _ in 0..5 {
        let scratch = Scratch::new()?;
        let (host, session, container) = running(&scratch)?;
        // With an attach-proxy that runs already it would be easier.
        scratch.idle()?;
        container.say("READY=1")?;
        container.say("STOPPING=1\nSTATUS=bye")?;
        session.kill("KILL")?;
        host.expect("READY=1")?;
        assert_eq!(host.expect("STOPPING=1\nSTATUS=bye")?.pid, session.monitor()?);
        assert_eq!(session.exit_code()?, 137);
        session.monitor_gone()?;
        scratch.no_monitor_left()?;
    }
    Ok(())
}

#[test]
fn a_stopped_proxy_delays_the_exit_for_a_bounded_time() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let (host, session, container) = running(&scratch)?;
    container.say("READY=1")?;
    host.expect("READY=1")?;
    let proxy = scratch.monitors_named("attach-proxy").pop();
    sys::kill(proxy.unwrap().pid, libc::SIGSTOP).unwrap();
    session.kill("KILL")?;
    assert_eq!(session.exit_code()?, 137);
    session.monitor_gone()
}

#[test]
fn a_missing_directory_is_told_to_the_engine() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = relayed(&scratch, "/run/nowhere")?;
    let bundle = call.paths().bundle.clone();
    fs::remove_dir(bundle.join("notify")).unwrap();
    let mut session = call.spawn()?;
    session.release()?;
    let message = session.message()?.unwrap();
    assert_eq!(message.value, -1);
    let socket = bundle.join("notify/notify.sock");
    let text =
        format!("Failed to bind to notify socket: {}: No such file or directory", socket.display());
    assert_eq!(message.text.as_deref(), Some(&*text));
    assert!(!bundle.join("attach").exists());
    Ok(())
}

#[test]
fn a_container_that_cannot_be_created_leaves_no_socket() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let call = relayed(&scratch, "/run/nowhere")?.set("-r", "/bin/false");
    let bundle = call.paths().bundle.clone();
    let mut session = call.spawn()?;
    session.release()?;
    assert_eq!(session.message()?.unwrap().value, -1);
    session.exit_note()?;
    assert!(!bundle.join("notify/notify.sock").exists());
    Ok(())
}

#[test]
fn an_exec_session_has_a_relay_if_its_bundle_has_the_place_and_is_refused_without_bundle() -> Result
{
    ours_only!();
    let scratch = Scratch::new()?;
    let container = Call::create(&scratch, &Container::new(["sleep", "1000"]))?.running()?;
    let host = Host::at(&scratch.join("host"))?;
    let exec = || -> Result<Call> {
        let call = Call::exec(&scratch, &container, &Container::new(["sleep", "1000"]))?;
        Ok(call.set("--sdnotify-socket", scratch.join("host")))
    };
    let call = exec()?;
    notify::directory(&call.paths().bundle)?;
    let mut session = call.spawn()?;
    session.release()?;
    session.release()?;
    session.pid()?;
    notify::Container::of(&session.paths.bundle)?.say("READY=1")?;
    host.expect("READY=1")?;

    let call = exec()?.without("-b").without("--exec-attach").without("-u").api_0();
    let finished = call.finish()?;
    assert_eq!(finished.status, 1);
    assert!(finished.stderr.contains("--sdnotify-socket needs the bundle"), "{finished:?}");
    Ok(())
}

#[test]
fn a_name_that_no_socket_can_have_is_refused() -> Result {
    ours_only!();
    for (name, words) in [("", "is empty"), ("@", "is empty"), (&"x".repeat(108), "107 bytes")] {
        let scratch = Scratch::new()?;
        let finished = relayed(&scratch, name)?.finish()?;
        assert_eq!((finished.status, finished.stderr.lines().count()), (1, 1), "{finished:?}");
        assert!(finished.stderr.contains("--sdnotify-socket"), "{finished:?}");
        assert!(finished.stderr.contains(words), "{finished:?}");
    }
    Ok(())
}
