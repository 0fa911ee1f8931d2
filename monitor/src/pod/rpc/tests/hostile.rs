//! What no client sends: an answer, or an end, and never a panic.

use super::*;
use proptest::prelude::*;

/// Serves what `bytes` say and returns what came back. The stream holds a few
/// hundred kB, so nobody has to read meanwhile.
fn after(bytes: &[u8]) -> Vec<Came> {
    let (fake, _events) = Fake::new();
    let (ours, theirs) = pair();
    let mut peer = Peer::new(ours);
    peer.bytes(bytes);
    peer.end();
    assert!(matches!(serve(theirs, &fake, NEVER), Served::Closed));
    std::iter::from_fn(|| peer.came()).collect()
}

/// As [`after`], for answers that no reader may understand.
fn survives(bytes: &[u8]) {
    let (fake, _events) = Fake::new();
    let (ours, theirs) = pair();
    let mut peer = Peer::new(ours);
    peer.bytes(bytes);
    peer.end();
    assert!(matches!(serve(theirs, &fake, NEVER), Served::Closed));
    while peer.frame().is_some() {}
}

fn aborted_with(bytes: &[u8]) -> String {
    match after(bytes).pop() {
        Some(Came::Abort(reason)) => reason,
        other => panic!("no abort: {other:?}"),
    }
}

#[test]
fn too_many_segments_end_the_connection() {
    let reason = aborted_with(&511u32.to_le_bytes().repeat(2));
    assert_eq!(reason, "a message of 512 segments, 511 are allowed");
    assert!(aborted_with(&[0xff; 8]).contains("segments"));
}

#[test]
fn a_message_of_gigabytes_ends_the_connection() {
    let mut head = 0u32.to_le_bytes().to_vec();
    head.extend(0x1000_0000u32.to_le_bytes());
    assert_eq!(aborted_with(&head), "a message of 2147483656 bytes, 4194304 are allowed");
    // 511 segments, each the largest there is.
    let mut head = 510u32.to_le_bytes().to_vec();
    head.extend([0xff; 511 * 4]);
    assert!(aborted_with(&head).ends_with("bytes, 4194304 are allowed"));
}

#[test]
fn an_empty_message_is_none_of_ours() {
    survives(&[0; 8]);
    survives(&[0; 4096]);
}

#[test]
fn every_truncated_conversation_ends() {
    let mut whole = bytes_of(|message| message.init_bootstrap().set_question_id(0));
    whole.extend(exec(1, "id", "true"));
    for length in 0..whole.len() {
        let came = after(&whole[..length]);
        assert!(came.len() < 2 && came.iter().all(|came| *came == Came::Results(0)), "{came:?}");
    }
    assert_eq!(after(&whole).first(), Some(&Came::Results(0)));
}

#[test]
fn half_a_message_does_not_keep_a_worker() {
    let (fake, _events) = Fake::new();
    let (ours, theirs) = pair();
    let mut peer = Peer::new(ours);
    let whole = version(1);
    peer.bytes(&whole[..whole.len() - 1]);
    let rest = Duration::from_millis(30);
    let limits = Limits { quiet: NEVER, rest, patience: NEVER };
    assert!(matches!(serve_within(theirs, &fake, limits), Served::Closed));
    let reason = "the rest of a message did not come within 30ms";
    assert_eq!(peer.came(), Some(Came::Abort(reason.into())));
}

/// The answer is more than a socket holds.
#[test]
fn a_client_that_does_not_read_does_not_keep_a_worker() {
    let (fake, _events) = Fake::new();
    let (ours, theirs) = pair();
    let peer = Peer::new(ours);
    peer.bytes(&bytes_of(|message| {
        use super::super::super::schema::conmon_capnp::conmon::exec_sync_container_params;
        let params = begin_call(message, 1, 2).init_params().get_content();
        let mut request =
            params.init_as::<exec_sync_container_params::Builder<'_>>().init_request();
        request.set_timeout_sec(4 << 20);
    }));
    let limits = Limits { quiet: NEVER, rest: NEVER, patience: Duration::from_millis(30) };
    assert!(matches!(serve_within(theirs, &fake, limits), Served::Closed));
    drop(peer);
}

/// The message's words, past the head of its one segment.
fn words(bytes: &mut [u8]) -> &mut [[u8; 8]] {
    assert_eq!(bytes[..4], [0; 4], "one segment");
    bytes.as_chunks_mut().0.get_mut(1..).unwrap()
}

/// Many pointers to one text: 200 kB that would become 2 GB.
#[test]
fn pointers_to_one_place_do_not_fill_the_memory() {
    use super::super::super::schema::conmon_capnp::conmon::exec_sync_container_params;
    const POINTERS: u32 = 10_000;
    let text = "x".repeat(200_000);
    let mut bytes = bytes_of(|message| {
        let params = begin_call(message, 1, 2).init_params().get_content();
        let request = params.init_as::<exec_sync_container_params::Builder<'_>>().init_request();
        request.init_command(1).set(0, &text);
    });
    // Build the same by hand at the end: a list of pointers, each to the text.
    let all = words(&mut bytes);
    let pointer_to_text = all
        .iter()
        .position(|word| word[4..] == ((200_001 << 3) | 2u32).to_le_bytes())
        .expect("the pointer to the text");
    let offset = u32::from_le_bytes(*all[pointer_to_text].first_chunk().unwrap()) >> 2;
    let place = pointer_to_text as i32 + 1 + offset as i32;
    // The list pointer is the one whose list begins at the text's pointer.
    let list_pointer = all
        .iter()
        .position(|word| word[4..] == ((1 << 3) | 6u32).to_le_bytes())
        .expect("the pointer to the list");
    let list = all.len() as i32;
    let to_list = ((list - list_pointer as i32 - 1) << 2) | 1;
    all[list_pointer][..4].copy_from_slice(&to_list.to_le_bytes());
    all[list_pointer][4..].copy_from_slice(&((POINTERS << 3) | 6).to_le_bytes());
    for at in 0..POINTERS as i32 {
        let to_text = ((place - (list + at) - 1) << 2) | 1;
        bytes.extend(to_text.to_le_bytes());
        bytes.extend(((200_001u32 << 3) | 2).to_le_bytes());
    }
    let length = (bytes.len() / 8 - 1) as u32;
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    match after_large(&bytes) {
        Came::Exception(1, exception::Type::Failed, reason) => {
            assert!(reason.contains("command: "), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

/// The first answer to more than a socket holds.
fn after_large(bytes: &[u8]) -> Came {
    let (fake, _events) = Fake::new();
    serving(&fake, NEVER, |stream| {
        let mut peer = Peer::new(stream);
        peer.bytes(bytes);
        peer.came().unwrap()
    })
    .1
}

/// A list that contains itself a hundred times has more elements, at a depth
/// of 60, than there are atoms.
#[test]
fn a_list_that_contains_itself_is_not_followed_for_ever() {
    let mut bytes = bytes_of(|message| {
        let mut join = message.init_join();
        join.set_question_id(1);
        // Room for the pointers.
        let mut room: capnp::data_list::Builder<'_> = join.init_key_part().initn_as(100);
        room.set(0, b"");
    });
    let all = words(&mut bytes);
    let pointer = all
        .iter()
        .position(|word| word[4..] == ((100 << 3) | 6u32).to_le_bytes())
        .expect("the pointer to the list");
    let offset = u32::from_le_bytes(*all[pointer].first_chunk().unwrap()) >> 2;
    let list = pointer + 1 + offset as usize;
    for (at, element) in (0i32..).zip(&mut all[list..list + 100]) {
        let back = ((-at - 1) << 2) | 1;
        element[..4].copy_from_slice(&back.to_le_bytes());
        element[4..].copy_from_slice(&((100 << 3) | 6u32).to_le_bytes());
    }
    let came = after(&bytes);
    assert!(matches!(came.as_slice(), [Came::Abort(_)]), "{came:?}");
}

/// A list of a million entries of no size at all.
#[test]
fn a_list_of_nothing_does_not_become_a_list_of_something() {
    use super::super::super::schema::conmon_capnp::conmon::exec_sync_container_params;
    let mut bytes = bytes_of(|message| {
        let params = begin_call(message, 1, 2).init_params().get_content();
        let request = params.init_as::<exec_sync_container_params::Builder<'_>>().init_request();
        request.init_env_vars(1);
    });
    let all = words(&mut bytes);
    // A list of one entry of two pointers.
    let pointer = all
        .iter()
        .position(|word| word[4..] == ((2 << 3) | 7u32).to_le_bytes())
        .expect("the pointer to the list");
    for void_list in [(u32::MAX << 3), (100_000 << 3), ((1 << 28) << 3)] {
        words(&mut bytes)[pointer][4..].copy_from_slice(&void_list.to_le_bytes());
        let came = after(&bytes);
        assert!(matches!(came.as_slice(), [Came::Exception(1, ..)]), "{came:?}");
    }
}

/// A list that is small on the wire, in memory it is not.
#[test]
fn a_list_of_too_many_elements_is_refused() {
    use super::super::super::schema::conmon_capnp::conmon::exec_sync_container_params;
    let call = |elements| {
        bytes_of(|message| {
            let params = begin_call(message, 1, 2).init_params().get_content();
            let params = params.init_as::<exec_sync_container_params::Builder<'_>>();
            params.init_request().init_command(elements);
        })
    };
    let reason = "read request: command: 131073 elements, 131072 are allowed".into();
    let refused = Came::Exception(1, exception::Type::Failed, reason);
    assert_eq!(after_large(&call(131_073)), refused);
    assert_eq!(after_large(&call(131_072)), Came::Results(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        survives(&bytes);
    }

    /// Framed, so that they get past the first look.
    #[test]
    fn any_words_are_survived(
        words in proptest::collection::vec(prop_oneof![
            any::<u64>(),
            // What looks like pointers and small numbers more often than chance would have it.
            (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(a, b, c)| {
                u64::from(a) | (u64::from(b & 7) << 32) | (u64::from(c & 15) << 48)
            }),
        ], 1..200),
    ) {
        let mut bytes = 0u32.to_le_bytes().to_vec();
        bytes.extend((words.len() as u32).to_le_bytes());
        words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        survives(&bytes);
    }

    /// Real calls with some bytes changed.
    #[test]
    fn damaged_calls_are_survived(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        method in 0u16..12,
    ) {
        use super::super::super::schema::conmon_capnp::conmon::create_container_params;
        let mut bytes = bytes_of(|message| {
            let params = begin_call(message, 1, method).init_params().get_content();
            let mut request =
                params.init_as::<create_container_params::Builder<'_>>().init_request();
            request.set_id("container");
            request.set_bundle_path("/bundle");
            request.reborrow().init_exit_paths(2).set(1, "/exit");
            request.reborrow().init_log_drivers(2).get(0).set_path("/log");
            request.reborrow().init_env_vars(2).get(1).set_key("PATH");
            request.reborrow().init_leak_fds(3).set(2, 7);
        });
        let body = bytes.len() - 8;
        for (at, value) in damage {
            bytes[8 + at.index(body)] = value;
        }
        bytes.extend(version(2));
        survives(&bytes);
    }
}
