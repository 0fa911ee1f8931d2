//! A pod's network: a namespace of a test's own, and servers in it.

use std::io::{Read, Result as IoResult, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::sys;

/// What a server does with a client, given the address that it listens at.
pub type Serve = fn(TcpStream, &str) -> IoResult<()>;

/// A network namespace with nothing but loopback, and servers in it.
#[derive(Debug)]
pub struct Network {
    /// The namespace's path.
    pub path: String,
    /// The servers' ports, in the order of their addresses.
    pub ports: Vec<u16>,
    end: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

/// Says where it is, and sends all that the client has sent when that has ended.
///
/// # Errors
/// The connection breaks.
pub fn answer(mut client: TcpStream, address: &str) -> IoResult<()> {
    client.write_all(format!("this is {address}\n").as_bytes())?;
    let mut sent = Vec::new();
    client.read_to_end(&mut sent)?;
    client.write_all(&sent)
}

impl Network {
    /// Listens at these addresses, and does [`answer`].
    ///
    /// # Errors
    /// There is no such namespace.
    pub fn new(addresses: &'static [&'static str]) -> Result<Network> {
        Network::serving(addresses, answer)
    }

    /// Listens at these addresses, and does something else.
    ///
    /// # Errors
    /// There is no such namespace.
    pub fn serving(addresses: &'static [&'static str], serve: Serve) -> Result<Network> {
        let (told, tell) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let path = sys::own_network().unwrap();
            let listeners: Vec<TcpListener> =
                addresses.iter().map(|address| TcpListener::bind((*address, 0)).unwrap()).collect();
            let ports = listeners.iter().map(|one| one.local_addr().unwrap().port()).collect();
            told.send((path, ports)).unwrap();
            for (listener, address) in listeners.into_iter().zip(addresses) {
                std::thread::spawn(move || {
                    for client in listener.incoming().flatten() {
                        std::thread::spawn(move || serve(client, address));
                    }
                });
            }
            let _ = ended.recv();
        });
        let (path, ports) = tell.recv().map_err(|_| Error::new("no network namespace"))?;
        Ok(Network { path, ports, end, thread: Some(thread) })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.end.send(());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
