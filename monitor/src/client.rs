//! A client of the pod server: blocking, typed, one method per RPC method.
//!
//! ```no_run
//! use monitor::client::Client;
//! use monitor::pod::types::{CreateContainerRequest, VersionRequest};
//!
//! # fn main() -> Result<(), monitor::client::Error> {
//! let client = Client::connect("/run/pod/conmon.sock".as_ref())?;
//! let server = client.version(&VersionRequest::default())?;
//! println!("{} is process {}", server.version, server.process_id);
//!
//! let container = client.create_container(&CreateContainerRequest {
//!     id: "web".into(),
//!     bundle_path: "/run/web".into(),
//!     exit_paths: vec!["/run/web/exit".into()],
//!     ..Default::default()
//! })?;
//! println!("created, not started, as process {}", container.container_pid);
//! # Ok(())
//! # }
//! ```
//!
//! A client may be shared by threads: their calls run side by side.

use std::collections::HashMap;
use std::ffi::CString;
use std::fmt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capnp::any_pointer;
use capnp::message::{Builder, HeapAllocator};
use capnp::traits::HasTypeId;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsRawFd;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use wire::{AsFd, Errno, OwnedFd};

use crate::conmon::setup::c_path;
use crate::inherited::text;
use crate::pod::convert::Message;
use crate::pod::rpc::incoming::{Frame, Incoming, Progress};
use crate::pod::rpc::methods::methods;
use crate::pod::rpc::outgoing::Outgoing;
use crate::pod::schema::conmon_capnp::conmon;
use crate::pod::schema::rpc_capnp::{cap_descriptor, exception, message, payload, return_};
use crate::pod::types::*;

/// Bytes that an answer may have: twice the output of an exec.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// How long the server may read nothing while we send.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The server says that it failed, and why.
    Failed(String),
    /// The server does not know the method.
    Unimplemented(String),
    /// The connection is no more, or was never one.
    Connection(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Failed(text) | Error::Unimplemented(text) | Error::Connection(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for Error {}

/// A connection to a pod server.
#[derive(Debug)]
pub struct Client {
    stream: OwnedFd,
    sending: Mutex<()>,
    state: Mutex<State>,
    /// Something came, or the thread that read has got what it wanted.
    changed: Condvar,
    /// The server's object, by its number in calls.
    object: u32,
}

#[derive(Debug)]
struct State {
    /// The number of the next question.
    next: u32,
    /// `None` while a thread reads, on behalf of all.
    incoming: Option<Incoming>,
    /// What came for others than the thread that read it, by the question.
    answers: HashMap<u32, Frame>,
    /// Why nothing will come any more.
    broken: Option<String>,
}

impl Client {
    /// Connects to the server's socket, at a path of any length.
    ///
    /// # Errors
    /// [`Error::Connection`]: nobody listens there, or it is no pod server.
    pub fn connect(socket: &Path) -> Result<Client, Error> {
        let stream = connect(socket).map_err(|error| {
            Error::Connection(format!("cannot connect to {}: {}", socket.display(), text(error)))
        })?;
        Client::new(stream)
    }

    /// Begins on a stream that is connected already.
    ///
    /// # Errors
    /// [`Error::Connection`]: it is no pod server that answers.
    pub fn new(stream: OwnedFd) -> Result<Client, Error> {
        let state = State {
            next: 0,
            incoming: Some(Incoming::new(ANSWER_BYTES)),
            answers: HashMap::new(),
            broken: None,
        };
        let mut client = Client {
            stream,
            sending: Mutex::new(()),
            state: Mutex::new(state),
            changed: Condvar::new(),
            object: 0,
        };
        let answer = client.ask(|number, message| {
            message.init_bootstrap().set_question_id(number);
            Ok(())
        })?;
        client.object = read(&answer, |results| {
            let Some(object) = results.get_cap_table()?.iter().next() else {
                return Ok(Err("the server offers no object".to_string()));
            };
            Ok(match object.which() {
                Ok(cap_descriptor::SenderHosted(id)) => Ok(id),
                _ => Err("the server offers an object of an unknown kind".to_string()),
            })
        })?
        .map_err(Error::Connection)?;
        Ok(client)
    }

    /// Calls a method: `write` puts the request into the parameters, `take`
    /// takes the response from the results.
    fn call<T>(
        &self,
        method: u16,
        write: impl FnOnce(any_pointer::Builder<'_>),
        take: impl FnOnce(any_pointer::Reader<'_>) -> capnp::Result<Result<T, String>>,
    ) -> Result<T, Error> {
        let answer = self.ask(|number, message| {
            let mut call = message.init_call();
            call.set_question_id(number);
            call.set_interface_id(<conmon::Client as HasTypeId>::TYPE_ID);
            call.set_method_id(method);
            call.reborrow().get_target()?.set_imported_cap(self.object);
            write(call.init_params().get_content());
            Ok(())
        })?;
        read(&answer, |results| take(results.get_content()))?
            .map_err(|error| Error::Connection(format!("cannot read the response: {error}")))
    }

    /// Asks a question, waits for the answer, and says that it has come.
    fn ask(
        &self,
        write: impl FnOnce(u32, message::Builder<'_>) -> capnp::Result<()>,
    ) -> Result<Frame, Error> {
        let number = {
            let mut state = self.lock();
            let number = state.next;
            state.next = number.wrapping_add(1);
            number
        };
        let mut question = Builder::new_default();
        write(number, question.init_root()).map_err(no_message)?;
        self.send(&question);
        let answer = self.wait(number)?;
        let mut finish = Builder::new_default();
        finish.init_root::<message::Builder<'_>>().init_finish().set_question_id(number);
        self.send(&finish);
        Ok(answer)
    }

    /// Sends a message. When that fails, the stream is shut down, and the
    /// answer that somebody waits for is an error.
    fn send(&self, message: &Builder<HeapAllocator>) {
        let _sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        Outgoing::new(self.stream.as_fd(), PATIENCE).message(message);
    }

    /// Waits for the answer to a question. One of the threads that wait reads,
    /// for all of them.
    fn wait(&self, number: u32) -> Result<Frame, Error> {
        let mut state = self.lock();
        loop {
            if let Some(answer) = state.answers.remove(&number) {
                return Ok(answer);
            }
            if let Some(reason) = &state.broken {
                return Err(Error::Connection(reason.clone()));
            }
            let Some(mut incoming) = state.incoming.take() else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let outcome =
                self.receive(&mut incoming).and_then(|frame| Ok((question(&frame)?, frame)));
            state = self.lock();
            state.incoming = Some(incoming);
            match outcome {
                Ok((Some(question), frame)) => {
                    state.answers.insert(question, frame);
                }
                Ok((None, _)) => {}
                Err(reason) => state.broken = Some(reason),
            }
            self.changed.notify_all();
        }
    }

    /// Waits for a whole message.
    fn receive(&self, incoming: &mut Incoming) -> Result<Frame, String> {
        loop {
            match incoming.read(&self.stream)? {
                Progress::Frame(frame) => return Ok(frame),
                Progress::Part => {}
                Progress::End => return Err("the server has closed the connection".into()),
                Progress::Nothing => {
                    let mut watched = [PollFd::new(&self.stream, PollFlags::IN)];
                    match poll(&mut watched, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => {
                            return Err(format!("cannot wait for the server: {}", text(error)));
                        }
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

macro_rules! define {
    ($($number:literal $method:ident $request:ident $response:ident $params:ident $results:ident,)*) => {
        impl Client {
            $(
                #[doc = concat!("See [`", stringify!($request), "`].")]
                ///
                /// # Errors
                /// [`Error::Failed`] with the server's words; or [`Error::Connection`].
                pub fn $method(&self, request: &$request) -> Result<$response, Error> {
                    self.call(
                        $number,
                        |params| {
                            let params: conmon::$params::Builder<'_> = params.init_as();
                            request.write(params.init_request());
                        },
                        |results| {
                            let results: conmon::$results::Reader<'_> = results.get_as()?;
                            Ok($response::read(results.get_response()?))
                        },
                    )
                }
            )*
        }
    };
}
methods!(define);

/// The question that a message answers; `None` for one that is no answer.
///
/// # Errors
/// The server's reason for ending the connection, or what is wrong with the
/// message.
fn question(frame: &Frame) -> Result<Option<u32>, String> {
    let words = |error: capnp::Error| format!("cannot read what the server sent: {error}");
    let reader = frame.reader().map_err(words)?;
    let message: message::Reader<'_> = reader.get_root().map_err(words)?;
    match message.which() {
        Ok(message::Return(answer)) => Ok(Some(answer.map_err(words)?.get_answer_id())),
        Ok(message::Abort(exception)) => {
            let reason = exception.and_then(|exception| exception.get_reason()).map_err(words)?;
            Err(format!("the server has ended the connection: {}", lossy(reason)))
        }
        _ => Ok(None),
    }
}

/// Takes something from the results of an answer, or the reason why there are
/// none.
fn read<T>(
    answer: &Frame,
    take: impl FnOnce(payload::Reader<'_>) -> capnp::Result<T>,
) -> Result<T, Error> {
    let reader = answer.reader().map_err(no_message)?;
    let message: message::Reader<'_> = reader.get_root().map_err(no_message)?;
    let Ok(message::Return(answer)) = message.which() else {
        return Err(Error::Connection("the server sent something else than an answer".into()));
    };
    match answer.map_err(no_message)?.which() {
        Ok(return_::Results(results)) => results.and_then(take).map_err(no_message),
        Ok(return_::Exception(exception)) => {
            let exception = exception.map_err(no_message)?;
            let reason = lossy(exception.get_reason().map_err(no_message)?);
            Err(match exception.get_type() {
                Ok(exception::Type::Unimplemented) => Error::Unimplemented(reason),
                _ => Error::Failed(reason),
            })
        }
        _ => Err(Error::Connection("the server sent an answer of an unknown kind".into())),
    }
}

fn lossy(text: capnp::text::Reader<'_>) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

fn no_message(error: capnp::Error) -> Error {
    Error::Connection(format!("cannot read what the server sent: {error}"))
}

/// A stream to a socket, at a path of any length: through its entry in /proc,
/// which is short.
fn connect(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let socket = rustix::fs::open(c_path(path)?.as_c_str(), flags, Mode::empty())?;
    let short =
        CString::new(format!("/proc/self/fd/{}", socket.as_raw_fd())).map_err(|_| Errno::INVAL)?;
    let address = SocketAddrUnix::new(short.as_c_str())?;
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let stream = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::connect(&stream, &address)?;
    Ok(stream)
}
