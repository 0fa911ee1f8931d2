//! Orders of events that are rare with a log-writer that runs by itself: here
//! the test decides when it looks at what.

use super::Hub;
use super::io::{packet, print, read};
use super::scratch::printed;
use crate::role::Role;
use crate::stream::{BUSY, CHUNK, USUAL};
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
use wire::Message;
use wire::event::{BATCH, Ready};

/// What the role would find to do.
pub(crate) fn ready(role: &Role) -> heapless::Vec<Ready, BATCH> {
    let mut ready = heapless::Vec::new();
    role.events.wait(Some(0), &mut ready).unwrap();
    ready
}

#[test]
fn an_owner_with_room_gets_what_it_has_missed_before_anything_newer() {
    let (hub, mut role) = Hub::with_role();
    let container = hub.container(1);
    let (owner, queued) = hub.stuck_owner(container, 1);
    let out = hub.stdout(container);
    print(&out, b"missed, ");
    assert!(role.obey());
    role.work(&ready(&role));

    print(&out, b"newer");
    read(&owner, 0, queued);
    hub.send(Message::Drain { container }, &[]);
    assert!(role.obey());
    hub.expect(Message::Drained { container });
    role.work(&ready(&role));
    assert_eq!(read(&owner, 2, 13), b"missed, newer");
    assert_eq!(packet(&owner), b"");
    assert_eq!(printed(&hub.log(), "stdout"), b"missed, newer");
}

#[test]
fn what_crosses_idle_is_done_even_if_the_link_is_closed_behind_it() {
    let (hub, mut role) = Hub::with_role();
    let container = hub.container(1);
    let out = hub.stdout(container);
    print(&out, b"last\n");
    hub.close_behind();
    assert!(!role.rest());
    hub.expect(Message::Idle { seen: 0 });
    assert_eq!(printed(&hub.log(), "stdout"), b"last\n");
}

#[test]
fn a_container_that_fills_its_pipe_gets_a_larger_one_until_it_is_quiet() {
    // The second is as good as full: what is over in its last page is too little for another write of that size.
    for (len, enlarged) in [(USUAL, true), (USUAL - 36, true), (USUAL / 2, false)] {
        let (hub, mut role) = Hub::with_role();
        let container = hub.container(1);
        let out = hub.stdout(container);
        print(&out, &vec![b'x'; len]);
        assert!(role.obey());
        role.work(&ready(&role));
        let size = if enlarged { BUSY } else { USUAL };
        assert_eq!(fcntl_getpipe_size(&out), Ok(size), "{len}");
        if enlarged {
            // What is in it is logged in larger pieces, too.
            print(&out, &vec![b'x'; BUSY]);
            for logged in [CHUNK, BUSY] {
                role.work(&ready(&role));
                assert_eq!(printed(&hub.log(), "stdout").len(), len + logged);
            }
        }
        hub.close_behind();
        assert!(!role.rest());
        assert_eq!(fcntl_getpipe_size(&out), Ok(USUAL));
    }
}

#[test]
fn a_pipe_that_the_container_has_enlarged_keeps_its_size() {
    let (hub, mut role) = Hub::with_role();
    let container = hub.container(1);
    let out = hub.stdout(container);
    fcntl_setpipe_size(&out, 16 * USUAL).unwrap();
    print(&out, &[b'x'; USUAL]);
    assert!(role.obey());
    role.work(&ready(&role));
    hub.close_behind();
    assert!(!role.rest());
    assert_eq!(fcntl_getpipe_size(&out), Ok(16 * USUAL));
}
