#![allow(clippy::unwrap_used)]

use super::*;
use std::ffi::CString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::{format, vec};

/// A name that nobody else has.
fn unique(what: &str) -> std::string::String {
    format!("conmote-notify-{what}-{}", std::process::id())
}

fn received(socket: &UnixDatagram) -> std::vec::Vec<u8> {
    let mut text = vec![0; 2 * MAX_NOTIFICATION];
    let len = socket.recv(&mut text).unwrap();
    text.truncate(len);
    text
}

#[test]
fn a_socket_is_found_by_its_path() {
    let path = std::env::temp_dir().join(unique("path"));
    let _ = std::fs::remove_file(&path);
    let host = UnixDatagram::bind(&path).unwrap();
    let name = CString::new(path.to_str().unwrap()).unwrap();
    let longest = vec![b'x'; MAX_NOTIFICATION];
    send(&name, b"READY=1\nSTATUS=a").unwrap();
    send(&name, &longest).unwrap();
    assert_eq!(received(&host), b"READY=1\nSTATUS=a");
    assert_eq!(received(&host), longest);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(send(&name, b"READY=1"), Err(Errno::NOENT));
}

#[test]
fn a_socket_is_found_by_its_abstract_name() {
    let name = unique("abstract");
    let host = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    send(&CString::new(format!("@{name}")).unwrap(), b"READY=1").unwrap();
    assert_eq!(received(&host), b"READY=1");
}

#[test]
fn a_socket_whose_owner_does_not_read_is_not_waited_for() {
    let name = unique("full");
    let host = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let name = CString::new(format!("@{name}")).unwrap();
    let refused = (0..100_000).find_map(|_| send(&name, b"STATUS=x").err());
    assert_eq!(refused, Some(Errno::AGAIN));
    drop(host);
}
