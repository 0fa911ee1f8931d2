use super::*;
use proptest::prelude::*;
use std::vec::Vec;

fn kept(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    let len = keep(&mut text);
    text.truncate(len);
    text
}

#[test]
fn the_lines_of_a_service_go_on() {
    for line in [
        "READY=1",
        "RELOADING=1",
        "STOPPING=1",
        "WATCHDOG=1",
        "WATCHDOG=trigger",
        "STATUS=",
        "STATUS=half of it = done \u{1f600}",
        "ERRNO=2",
        "BUSERROR=org.example.Failed",
        "MONOTONIC_USEC=123",
    ] {
        assert_eq!(kept(line.as_bytes()), line.as_bytes());
        assert_eq!(kept(format!("\r\n{line}\n").as_bytes()), line.as_bytes());
    }
}

#[test]
fn what_is_not_for_a_container_to_say_does_not() {
    for line in [
        "",
        "MAINPID=1",
        "MAINPIDFDID=1",
        "MAINPIDFD=1",
        "FDSTORE=1",
        "FDSTOREREMOVE=1",
        "FDNAME=x",
        "BARRIER=1",
        "EXTEND_TIMEOUT_USEC=1",
        "WATCHDOG_USEC=1",
        "NOTIFYACCESS=all",
        "INVOCATION_ID=x",
        "READY=10",
        "READY=",
        " READY=1",
        "READY=1 ",
        "ready=1",
        "READY=1\0",
        "STATUS",
        "XSTATUS=x",
    ] {
        assert_eq!(kept(line.as_bytes()), b"", "{line:?}");
    }
}

#[test]
fn lines_between_are_left_out_and_the_rest_is_joined() {
    assert_eq!(
        kept(b"MAINPID=1\nREADY=1\n\n\rX=1\rSTATUS=a\r\nSTATUS=b"),
        b"READY=1\nSTATUS=a\nSTATUS=b"
    );
    assert_eq!(kept(b"READY=1\nREADY=1"), b"READY=1\nREADY=1");
    assert_eq!(kept(b"\n\r\n\r"), b"");
}

/// Text with many line ends and words that matter.
fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        Just(b"READY=1".to_vec()),
        Just(b"STATUS=".to_vec()),
        Just(b"WATCHDOG=1".to_vec()),
        Just(b"MAINPID=1".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..6),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn whatever_comes_only_allowed_lines_go_on_in_their_order(text in any_text()) {
        let kept = kept(&text);
        prop_assert!(kept.len() <= text.len());
        let lines = |text: &[u8]| -> Vec<Vec<u8>> {
            text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::to_vec).collect()
        };
        let wanted: Vec<_> = lines(&text).into_iter().filter(|line| may_go_on(line)).collect();
        if wanted.is_empty() {
            prop_assert!(kept.is_empty());
        } else {
            prop_assert_eq!(lines(&kept), wanted);
        }
    }
}
