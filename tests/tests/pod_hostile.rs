//! What a client may send to a pod server, and what must not come of it.
//!
//! All of it by hand, in bytes, without the code that the server is made of.

use std::time::Duration;

use tests::pod::{Pod, Server};
use tests::process::{self, fds, proc_file};
use tests::raw_rpc::{
    Connection, INTERFACE, Reply, Target, Words, bootstrap, call, call_of, finish, kind,
    list_pointer, release, struct_pointer, version,
};
use tests::{Result, Scratch, ours_only, sys, wait};

/// Short, so that parking happens all the time, in milliseconds.
const PARK_MS: u32 = 20;

/// More than a worker needs for any message, in kB: requests are at most 4 MB.
const WORKER_KB: u64 = 20 * 1024;

const IMPORTED: Target = Target::Imported(0);

/// A server, and what it was like before it got into bad company.
struct Before<'a> {
    pod: Pod<'a>,
    scratch: &'a Scratch,
    fds: usize,
    dirty_kb: u64,
}

impl<'a> Before<'a> {
    fn new(scratch: &'a Scratch) -> Result<Before<'a>> {
        Before::parking(scratch, PARK_MS)
    }

    /// With workers that stay so long, in milliseconds.
    fn parking(scratch: &'a Scratch, park_ms: u32) -> Result<Before<'a>> {
        let pod = Server::new(scratch)?.env("CONMOTE_PARK_MS", park_ms).start()?;
        let mut first = Connection::new(&pod.socket())?;
        answers(&mut first, pod.pid)?;
        drop(first);
        let hub = scratch.idle()?;
        let (fds, dirty_kb) = (hub.fds().len(), hub.private_dirty_kb().unwrap());
        Ok(Before { pod, scratch, fds, dirty_kb })
    }

    fn connect(&self) -> Result<Connection> {
        Connection::new(&self.pod.socket())
    }

    /// Sends this and nothing more, and gives what comes back.
    fn say(&self, bytes: &[u8]) -> Result<Vec<Reply>> {
        let mut connection = self.connect()?;
        connection.send(bytes)?;
        connection.end();
        connection.replies()
    }

    /// The same process answers, has as many descriptors as before, and no more memory.
    fn unharmed(&self) -> Result {
        answers(&mut self.connect()?, self.pod.pid)?;
        wait::until("the descriptors to be closed", || {
            let hub = self.scratch.idle()?;
            Ok((fds(hub.pid).len() <= self.fds).then_some(()))
        })?;
        let hub = self.scratch.idle()?;
        assert_eq!(hub.pid, self.pod.pid);
        let dirty_kb = hub.private_dirty_kb().unwrap();
        assert!(dirty_kb <= self.dirty_kb + 4, "{} kB before, {dirty_kb} now", self.dirty_kb);
        Ok(())
    }
}

/// No process of the server has ever had more memory than a worker needs.
fn modest(scratch: &Scratch) {
    let peak = |pid| process::field(&proc_file(pid, "status"), "VmHWM:").unwrap_or(0);
    let highest = scratch.monitors().iter().map(|process| peak(process.pid)).max();
    assert!(highest < Some(WORKER_KB), "a process has {highest:?} kB");
}

fn answers(connection: &mut Connection, pid: i32) -> Result {
    connection.send(&version(77, IMPORTED).framed())?;
    assert_eq!(connection.reply()?, Some(Reply::Results(77, pid as u64)));
    Ok(())
}

/// A frame's head: how many segments, and the length of each in words.
fn head(segments: u32, lengths: &[u32]) -> Vec<u8> {
    let numbers = [&[segments.wrapping_sub(1)], lengths].concat();
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn calls_are_answered_before_and_after_the_object_is_asked_for() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut connection = before.connect()?;
    let mut sent = bootstrap(0).framed();
    for question in 1..=50 {
        sent.extend(version(question, Target::Promised(0)).framed());
    }
    connection.send(&sent)?;
    let pid = before.pod.pid as u64;
    let mut seen = Vec::new();
    while seen.len() < 51 {
        match connection.reply()? {
            Some(Reply::Results(0, _)) => seen.push(0),
            Some(Reply::Results(question, found)) if found == pid => seen.push(question),
            other => panic!("{other:?} after {seen:?}"),
        }
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..=50));
    // Its worker goes; the next one knows neither the question nor who has the object, and answers all the same.
    for target in [Target::Promised(0), IMPORTED, Target::Promised(0)] {
        connection.send(&[finish(1).framed(), release(0, 1).framed()].concat())?;
        scratch.idle()?;
        connection.send(&version(9, target).framed())?;
        assert_eq!(connection.reply()?, Some(Reply::Results(9, pid)));
    }
    drop(connection);
    before.unharmed()
}

#[test]
fn a_message_may_come_byte_by_byte_and_with_long_breaks() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut connection = before.connect()?;
    let message = version(5, IMPORTED).framed();
    for byte in &message {
        connection.send(&[*byte])?;
    }
    assert_eq!(connection.reply()?, Some(Reply::Results(5, before.pod.pid as u64)));
    // A break that is longer than an idle connection keeps its worker.
    for cut in [1, 4, 8, message.len() - 1] {
        connection.send(&message[..cut])?;
        std::thread::sleep(Duration::from_millis(u64::from(PARK_MS) * 3));
        connection.send(&message[cut..])?;
        assert_eq!(connection.reply()?, Some(Reply::Results(5, before.pod.pid as u64)));
    }
    drop(connection);
    before.unharmed()
}

#[test]
fn what_is_no_message_ends_the_connection() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("text", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("ones", vec![0xff; 4096]),
        ("an empty segment", head(1, &[0])),
        ("512 segments", head(512, &[1; 513])),
        ("no end of segments", head(0, &[0xffff_ffff; 16])),
        ("2 GiB", head(1, &[0x1000_0000])),
        ("32 GiB", head(1, &[0xffff_ffff])),
        ("many gigabytes", head(511, &[0xffff_ffff; 511])),
        ("half a head", head(1, &[100])[..7].to_vec()),
        ("half a message", version(1, IMPORTED).framed()[..60].to_vec()),
    ];
    for (name, bytes) in cases {
        let replies = before.say(&bytes)?;
        let fine = replies.iter().all(|reply| matches!(reply, Reply::Abort(_)));
        assert!(fine && replies.len() <= 1, "{name}: {replies:?}");
    }
    before.unharmed()
}

#[test]
fn pointers_that_lead_astray_are_errors() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let (base, request) = call(3, IMPORTED, 1, &[0], 12);
    let id = request + 1;
    let strange = [
        ("out of bounds", struct_pointer(1000, 1, 1)),
        ("far out of bounds", struct_pointer(0x1fff_ffff, 0xffff, 0xffff)),
        ("before the message", struct_pointer(0x3fff_ff00, 1, 1)),
        ("to itself", struct_pointer(0x3fff_ffff, 0, 1)),
        ("to another segment", 2 | 1 << 32),
        ("to another segment by two steps", 6 | 7 << 32),
        ("a capability", 3 | 5 << 32),
        ("a huge text", list_pointer(0, 2, 0x1fff_ffff)),
        ("a huge list of nothing", list_pointer(0, 0, 0x1fff_ffff)),
        ("a list of structures without a tag", list_pointer(1000, 7, 10)),
        ("a structure where a text belongs", struct_pointer(0, 1, 0)),
    ];
    for (name, pointer) in strange {
        for at in [0, 2, base.0.len() - 1, request - 1, id, id + 2, id + 4] {
            let mut words = base.clone();
            words.0[at] = pointer;
            words.0.extend([0; 4]);
            for reply in before.say(&words.framed())? {
                let fine =
                    matches!(reply, Reply::Abort(_) | Reply::Exception(..) | Reply::Unimplemented);
                assert!(fine, "{name} at word {at}: {reply:?}");
            }
        }
    }
    before.unharmed()
}

#[test]
fn a_small_message_does_not_become_a_large_one() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::parking(&scratch, 2000)?;
    // Half a billion structures of no size; and a list whose elements all share one long text.
    let (mut none, request) = call(1, IMPORTED, 2, &[0, 0], 4);
    let first = none.0.len();
    none.0[request + 3] = list_pointer(first - request - 4, 7, 0);
    none.0.push(struct_pointer(0x1fff_ffff, 0, 0));
    let (mut shared, request) = call(2, IMPORTED, 2, &[0, 0], 4);
    let at = request + 3;
    let list = shared.0.len();
    let (count, text) = (50_000, vec![b'x'; 40_000]);
    shared.0[at] = list_pointer(list - at - 1, 6, count as u64);
    let from = list + count;
    for element in 0..count {
        shared.0.push(list_pointer(from - (list + element) - 1, 2, text.len() as u64 + 1));
    }
    shared.0.extend(vec![u64::from_le_bytes([b'x'; 8]); text.len() / 8]);
    shared.0.push(0);
    for words in [none, shared] {
        let mut connection = before.connect()?;
        connection.send(&words.framed())?;
        let reply = connection.reply()?;
        let refused = matches!(reply, Some(Reply::Abort(_) | Reply::Exception(..)));
        assert!(refused || matches!(reply, Some(Reply::Results(..))), "{reply:?}");
        // Who ends a connection is gone; others are there to be looked at.
        let gone = matches!(reply, Some(Reply::Abort(_)));
        assert!(gone || scratch.monitors().len() > 1);
        modest(&scratch);
    }
    before.unharmed()
}

#[test]
fn workers_have_little_memory_whatever_is_claimed() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut connections = Vec::new();
    for claim in [head(1, &[0x0100_0000]), head(100, &[0x0010_0000; 101]), head(1, &[500_000])] {
        let mut connection = before.connect()?;
        connection.send(&claim)?;
        // Really sent, unless the server hangs up.
        for _ in 0..400 {
            connection.send(&[0; 100_000])?;
        }
        connections.push(connection);
    }
    modest(&scratch);
    drop(connections);
    before.unharmed()
}

#[test]
fn what_is_not_there_is_said_to_be_missing() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut connection = before.connect()?;
    for (interface, method) in [(INTERFACE, 11), (INTERFACE, 0xffff), (1, 0), (!0, 3)] {
        connection.send(&call_of(4, IMPORTED, interface, method).0.framed())?;
        match connection.reply()? {
            Some(Reply::Exception(4, 3, _)) => {}
            other => panic!("method {method} of interface {interface:x}: {other:?}"),
        }
    }
    for strange in [kind::RESOLVE, kind::PROVIDE, 11, 12, 14, 15, 0xffff] {
        let mut words = Words::message(strange);
        words.add(2, &[3], 2);
        connection.send(&words.framed())?;
        assert_eq!(connection.reply()?, Some(Reply::Unimplemented), "a message of kind {strange}");
    }
    answers(&mut connection, before.pod.pid)?;
    drop(connection);
    before.unharmed()
}

#[test]
fn what_needs_no_answer_gets_none() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut connection = before.connect()?;
    let mut unimplemented = Words::message(kind::UNIMPLEMENTED);
    unimplemented.add(2, &[0], 1);
    let silent = [finish(1), finish(1), finish(!0), release(0, !0), release(99, 1), unimplemented];
    connection.send(&silent.iter().flat_map(Words::framed).collect::<Vec<u8>>())?;
    // The next answer is for the next question.
    answers(&mut connection, before.pod.pid)?;
    drop(connection);
    before.unharmed()
}

#[test]
fn an_answer_to_what_nobody_asked_ends_the_connection() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut answer = Words::message(kind::RETURN);
    answer.add(2, &[12345, 0], 1);
    let replies = before.say(&[answer.framed(), version(1, IMPORTED).framed()].concat())?;
    assert!(matches!(replies[..], [Reply::Abort(_)]), "{replies:?}");
    before.unharmed()
}

#[test]
fn nothing_is_done_after_an_abort() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut abort = Words::message(kind::ABORT);
    let exception = abort.add(2, &[0], 2);
    abort.add_text(exception + 1, "I have had enough");
    let replies = before.say(&[abort.framed(), version(1, IMPORTED).framed()].concat())?;
    assert!(replies.iter().all(|reply| matches!(reply, Reply::Abort(_))), "{replies:?}");
    before.unharmed()
}

#[test]
fn texts_are_text_and_numbers_are_known() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let mut connection = before.connect()?;
    let mut expect = |words: Words, text: &str| -> Result {
        connection.send(&words.framed())?;
        match connection.reply()? {
            Some(Reply::Exception(6, 0, reason)) if reason.contains(text) => Ok(()),
            other => panic!("{other:?} instead of {text:?}"),
        }
    };
    let reopen = |id: &[u8]| {
        let (mut words, request) = call(6, IMPORTED, 4, &[], 2);
        words.add_bytes(request, id);
        words
    };
    expect(reopen(b"nobody\0"), "child not available")?;
    expect(reopen(b"\xff\xfe\0"), "")?;
    expect(reopen(b"no end"), "")?;
    expect(reopen(b""), "")?;
    // No request at all is one with nothing in it.
    let (mut words, payload) = call_of(6, IMPORTED, INTERFACE, 4);
    words.add(payload, &[], 1);
    expect(words, "child not available")?;
    // A control group manager from the future.
    expect(call(6, IMPORTED, 1, &[9 << 16], 12).0, "was not present in the schema")?;
    answers(&mut connection, before.pod.pid)?;
    drop(connection);
    before.unharmed()
}

#[test]
fn any_change_to_a_request_is_survived() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let (mut exec, request) = call(1, IMPORTED, 2, &[1, 1 << 16], 4);
    exec.add_text(request + 2, "nobody");
    let list = exec.0.len();
    exec.0[request + 3] = list_pointer(list - request - 4, 6, 2);
    exec.0.extend([0, 0]);
    exec.add_text(list, "echo");
    exec.add_text(list + 1, "hello");
    let good = exec.framed();
    // Numbers that look random and are the same every time (xorshift).
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    for _ in 0..300 {
        let mut bytes = good.clone();
        for _ in 0..=random(4) {
            let at = random(bytes.len());
            bytes[at] = match random(3) {
                0 => 0,
                1 => 0xff,
                _ => random(256) as u8,
            };
        }
        bytes.truncate(bytes.len() - random(2) * random(bytes.len()));
        // Whatever comes back is a message, and then the end.
        before.say(&bytes)?;
    }
    before.unharmed()
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let calls: Vec<u8> =
        (0..100).flat_map(|question| version(question, IMPORTED).framed()).collect();
    let mut deaf: Vec<Connection> = (0..5).map(|_| before.connect()).collect::<Result<_>>()?;
    for connection in &mut deaf {
        // Until the server takes no more, or a lot is on its way.
        for _ in 0..100 {
            if connection.send_some(&calls) < calls.len() {
                break;
            }
        }
    }
    answers(&mut before.connect()?, before.pod.pid)?;
    modest(&scratch);
    drop(deaf);
    before.unharmed()
}

#[test]
fn half_a_message_and_then_silence_does_not_last() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let message = version(1, IMPORTED).framed();
    let mut connections = Vec::new();
    for cut in [1, 7, 8, 9, message.len() - 1] {
        let mut connection = before.connect()?;
        connection.send(&message[..cut])?;
        connections.push(connection);
    }
    answers(&mut before.connect()?, before.pod.pid)?;
    for mut connection in connections {
        // Ended by the server: we do not hang up.
        let replies = connection.replies()?;
        assert!(replies.iter().all(|reply| matches!(reply, Reply::Abort(_))), "{replies:?}");
    }
    before.unharmed()
}

#[test]
fn a_crowd_of_half_messages_leaves_room_in_the_end() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let half = &version(1, IMPORTED).framed()[..20];
    let mut crowd = Vec::new();
    for _ in 0..2000 {
        // Refused is fine; stuck is not.
        let mut connection = before.connect()?;
        connection.send(half)?;
        crowd.push(connection);
    }
    let held = fds(before.pod.pid).len();
    assert!(held < before.fds + 400, "{held} descriptors, {} before", before.fds);
    let workers = scratch.monitors().len();
    assert!(workers < 100, "{workers} processes");
    drop(crowd);
    // As soon as the server has seen them go.
    wait::until("room for one more", || {
        let mut connection = before.connect()?;
        connection.send(&version(8, IMPORTED).framed())?;
        Ok((connection.reply()? == Some(Reply::Results(8, before.pod.pid as u64))).then_some(()))
    })?;
    before.unharmed()
}

#[test]
fn descriptors_sent_along_with_a_call_are_not_kept() -> Result {
    ours_only!();
    let scratch = Scratch::new()?;
    let before = Before::new(&scratch)?;
    let socket = sys::connect(libc::SOCK_STREAM, &before.pod.socket()).unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    for question in 0..50 {
        sys::send_fd(&socket, &null, &version(question, IMPORTED).framed()).unwrap();
    }
    let open = || {
        let monitors = scratch.monitors();
        monitors.iter().map(|process| process.fds().len()).sum::<usize>()
    };
    assert!(open() < before.fds + 60, "{} descriptors", open());
    drop(socket);
    before.unharmed()
}
