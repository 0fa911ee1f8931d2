//! Order, numbers and kinds of messages, sent by hand.

use super::super::super::schema::conmon_capnp::conmon;
use super::super::super::schema::rpc_capnp::cap_descriptor;
use super::*;
use exception::Type::{Failed, Unimplemented};
use std::sync::atomic::Ordering;

/// Runs `test` with a client of messages by hand.
fn with_peer(test: impl FnOnce(&mut Peer, &Fake, &Receiver<Event>)) {
    let (fake, events) = Fake::new();
    let (served, ()) = serving(&fake, NEVER, |stream| test(&mut Peer::new(stream), &fake, &events));
    assert!(matches!(served, Served::Closed));
}

#[test]
fn bootstrap_returns_one_object_with_the_number_0() {
    with_peer(|peer, _, _| {
        peer.send(|message| message.init_bootstrap().set_question_id(0x0102_0304));
        let frame = peer.frame().unwrap();
        let reader = frame.reader().unwrap();
        let message: message::Reader<'_> = reader.get_root().unwrap();
        let Ok(message::Return(Ok(answer))) = message.which() else { panic!("no return") };
        assert_eq!(answer.get_answer_id(), 0x0102_0304);
        assert!(answer.get_release_param_caps());
        let Ok(return_::Results(Ok(results))) = answer.which() else { panic!("no results") };
        let table = results.get_cap_table().unwrap();
        assert_eq!(table.len(), 1);
        let Ok(cap_descriptor::SenderHosted(0)) = table.get(0).which() else { panic!("no object") };
        assert_eq!(answer.total_size().unwrap().cap_count, 1);
    });
}

#[test]
fn the_first_call_may_be_sent_before_the_answer_to_bootstrap() {
    with_peer(|peer, _, _| {
        peer.send(|message| message.init_bootstrap().set_question_id(7));
        peer.send(|message| {
            let call = begin_call(message, 8, 0);
            call.get_target().unwrap().init_promised_answer().set_question_id(7);
        });
        assert_eq!(peer.came(), Some(Came::Results(7)));
        assert_eq!(peer.came(), Some(Came::Results(8)));
    });
}

/// After parking, nobody remembers the bootstrap question.
#[test]
fn a_call_may_be_for_an_answer_that_nobody_remembers() {
    with_peer(|peer, _, _| {
        peer.send(|message| {
            let call = begin_call(message, 8, 0);
            let mut answer = call.get_target().unwrap().init_promised_answer();
            answer.set_question_id(99);
            answer.init_transform(1).get(0).set_noop(());
        });
        assert_eq!(peer.came(), Some(Came::Results(8)));
    });
}

#[test]
fn a_call_without_a_request_has_the_defaults() {
    with_peer(|peer, fake, _| {
        for method in 0..=10 {
            peer.bytes(&plain(5, method));
            match peer.came() {
                Some(Came::Results(5)) => {}
                Some(Came::Exception(5, Failed, reason)) => assert_eq!(reason, "no container "),
                other => panic!("{other:?}"),
            }
        }
        peer.bytes(&plain(5, 1));
        assert_eq!(peer.came(), Some(Came::Results(5)));
        assert_eq!(fake.last(), format!("{:?}", CreateContainerRequest::default()));
    });
}

#[test]
fn answers_come_in_the_order_in_which_calls_end() {
    with_peer(|peer, fake, events| {
        for (question, id) in [(1, "a"), (2, "b"), (3, "c")] {
            peer.bytes(&exec(question, id, "wait"));
            assert_eq!(events.recv(), Ok(Event::Begun(id.into())));
        }
        for (question, id) in [(3, "c"), (1, "a"), (2, "b")] {
            fake.let_go(id);
            assert_eq!(peer.came(), Some(Came::Results(question)));
        }
    });
}

#[test]
fn calls_beyond_the_limit_wait_for_one_to_end() {
    with_peer(|peer, fake, events| {
        let ids: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        for (question, id) in (0..).zip(&ids) {
            peer.bytes(&exec(question, id, "wait"));
        }
        let begun: Vec<Event> = (0..64).map(|_| events.recv().unwrap()).collect();
        assert!(!begun.contains(&Event::Begun("64".into())));
        // Each that ends makes room for one.
        for (question, id) in (0..).zip(&ids) {
            fake.let_go(id);
            assert_eq!(peer.came(), Some(Came::Results(question)));
            if question < 36 {
                assert_eq!(events.recv(), Ok(Event::Begun((question + 64).to_string())));
            }
        }
        assert_eq!(fake.most.load(Ordering::Relaxed), 64);
    });
}

#[test]
fn a_client_that_goes_cancels_its_calls() {
    let (fake, events) = Fake::new();
    let (served, ()) = serving(&fake, NEVER, |stream| {
        let peer = Peer::new(stream);
        peer.bytes(&exec(1, "a", "wait"));
        assert_eq!(events.recv(), Ok(Event::Begun("a".into())));
    });
    assert!(matches!(served, Served::Closed));
    assert_eq!(events.try_recv(), Ok(Event::Gone("a".into())));
}

#[test]
fn a_client_that_goes_is_noticed_when_nothing_is_read_any_more() {
    let (fake, events) = Fake::new();
    serving(&fake, NEVER, |stream| {
        let peer = Peer::new(stream);
        (0..65).for_each(|question| peer.bytes(&exec(question, "a", "wait")));
        (0..64).for_each(|_| assert_eq!(events.recv(), Ok(Event::Begun("a".into()))));
    });
    (0..64).for_each(|_| assert_eq!(events.try_recv(), Ok(Event::Gone("a".into()))));
    assert!(events.try_recv().is_err(), "the call that was not read is not begun");
}

/// How a server that ends takes no more calls: those in flight are answered.
#[test]
fn calls_are_answered_after_reading_has_been_shut_down() {
    let (fake, events) = Fake::new();
    let (ours, theirs) = pair();
    let mut peer = Peer::new(ours);
    let door = rustix::io::dup(&theirs).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(theirs, &fake, NEVER));
        peer.bytes(&exec(1, "a", "wait"));
        assert_eq!(events.recv(), Ok(Event::Begun("a".into())));
        shutdown(&door, Shutdown::Read).unwrap();
        assert_eq!(events.recv(), Ok(Event::Gone("a".into())));
        assert_eq!(peer.came(), Some(Came::Results(1)));
        assert!(matches!(server.join(), Ok(Served::Closed)));
    });
}

#[test]
fn finish_before_the_answer_cancels_that_call_and_no_other() {
    with_peer(|peer, fake, events| {
        peer.bytes(&exec(1, "a", "wait"));
        peer.bytes(&exec(2, "b", "wait"));
        events.recv().unwrap();
        events.recv().unwrap();
        peer.send(|message| message.init_finish().set_question_id(2));
        assert_eq!(events.recv(), Ok(Event::Gone("b".into())));
        assert_eq!(
            peer.came(),
            Some(Came::Results(2)),
            "the protocol wants an answer all the same"
        );
        fake.let_go("a");
        assert_eq!(peer.came(), Some(Came::Results(1)));
        assert!(events.try_recv().is_err());
    });
}

#[test]
fn a_number_may_be_used_again_after_its_answer() {
    with_peer(|peer, _, _| {
        for _ in 0..200 {
            peer.bytes(&version(3));
            assert_eq!(peer.came(), Some(Came::Results(3)));
        }
    });
}

#[test]
fn a_number_that_is_in_use_ends_the_connection() {
    with_peer(|peer, _, events| {
        peer.bytes(&exec(1, "a", "wait"));
        events.recv().unwrap();
        peer.bytes(&version(1));
        assert_eq!(peer.came(), Some(Came::Abort("question 1 is asked twice".into())));
        assert_eq!(peer.came(), None);
    });
}

#[test]
fn unknown_methods_interfaces_and_targets_are_answered() {
    with_peer(|peer, _, _| {
        peer.bytes(&plain(1, 11));
        peer.send(|message| begin_call(message, 2, 0).set_interface_id(5));
        peer.send(|message| begin_call(message, 3, 0).get_target().unwrap().set_imported_cap(1));
        peer.send(|message| {
            let call = begin_call(message, 4, 0);
            let transform = call.get_target().unwrap().init_promised_answer().init_transform(1);
            transform.get(0).set_get_pointer_field(0);
        });
        peer.send(|message| begin_call(message, 5, 0).get_send_results_to().set_yourself(()));
        let mut exception = |question, kind, text: &str| {
            assert_eq!(peer.came(), Some(Came::Exception(question, kind, text.into())));
        };
        exception(1, Unimplemented, "no method 11");
        exception(2, Unimplemented, "no interface 0x0000000000000005");
        exception(3, Failed, "no object has the id 1");
        exception(4, Failed, "no answer of ours contains an object");
        exception(5, Unimplemented, "results go to the caller only");
        peer.bytes(&version(6));
        assert_eq!(peer.came(), Some(Came::Results(6)), "the connection goes on");
    });
}

#[test]
fn a_value_that_is_not_in_the_schema_is_named() {
    with_peer(|peer, _, _| {
        let mut bytes = bytes_of(|message| {
            let params = begin_call(message, 1, 1).init_params().get_content();
            let params = params.init_as::<conmon::create_container_params::Builder<'_>>();
            params.init_request().set_cgroup_manager(conmon::CgroupManager::Cgroupfs);
        });
        // The request is the last of the message: 1 word of data, 12 pointers.
        let at = bytes.len() - 13 * 8 + 2;
        assert_eq!(bytes[at], 1);
        bytes[at] = 2;
        peer.bytes(&bytes);
        let Some(Came::Exception(1, Failed, reason)) = peer.came() else { panic!("no exception") };
        assert!(reason.starts_with("read request: cgroupManager: "), "{reason}");
        assert!(reason.contains(" 2 was not present in the schema"), "{reason}");
    });
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    with_peer(|peer, fake, _| {
        let mut bytes = exec(1, "text", "true");
        let at = bytes.windows(4).position(|bytes| bytes == b"text").unwrap();
        bytes[at] = 0xff;
        peer.bytes(&bytes);
        let Some(Came::Exception(1, Failed, reason)) = peer.came() else { panic!("no exception") };
        assert!(reason.starts_with("read request: id: "), "{reason}");
        assert_eq!(fake.last(), "", "it was not called");
    });
}

#[test]
fn what_we_do_not_know_comes_back() {
    with_peer(|peer, _, _| {
        peer.send(|message| message.init_resolve().set_promise_id(5));
        peer.send(|message| message.init_provide().set_question_id(5));
        peer.send(|message| message.init_accept().set_question_id(5));
        peer.send(|message| message.init_join().set_question_id(5));
        for _ in 0..4 {
            assert_eq!(peer.came(), Some(Came::Unimplemented));
        }
        peer.send(|message| message.init_disembargo().get_context().set_sender_loopback(9));
        assert_eq!(peer.came(), Some(Came::Loopback(9)));
    });
}

#[test]
fn what_needs_no_answer_gets_none() {
    with_peer(|peer, _, _| {
        peer.send(|message| message.init_release().set_reference_count(1));
        peer.send(|message| message.init_finish().set_question_id(12));
        peer.send(|message| {
            message.init_unimplemented().init_bootstrap();
        });
        peer.bytes(&version(1));
        assert_eq!(peer.came(), Some(Came::Results(1)));
    });
}

#[test]
fn an_answer_that_was_not_asked_for_ends_the_connection() {
    with_peer(|peer, _, _| {
        peer.send(|message| message.init_return().set_answer_id(1));
        assert_eq!(peer.came(), Some(Came::Abort("a return, and we have asked nothing".into())));
        assert_eq!(peer.came(), None);
    });
}

#[test]
fn calls_after_an_abort_are_not_made() {
    with_peer(|peer, fake, _| {
        let mut bytes = bytes_of(|message| message.init_abort().set_reason("enough"));
        bytes.extend(version(1));
        peer.bytes(&bytes);
        assert_eq!(peer.came(), None);
        assert_eq!(fake.last(), "");
    });
}
