//! The RPC door between a service that the tests control and a client that
//! sends what they want.

mod hostile;
mod parking;
mod protocol;
mod round_trip;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use capnp::message::{Builder, HeapAllocator};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, send, shutdown, socketpair,
};
use wire::OwnedFd;

use super::super::schema::rpc_capnp::{call, exception, message, return_};
use super::super::service::{Call, Served, Service};
use super::super::types::*;
use super::incoming::{Frame, Incoming, Progress};
use super::outgoing::timespec;
use super::{Limits, serve, serve_within};

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(600);

/// Long enough on the busiest machine.
const LONG: Duration = Duration::from_secs(20);

/// What the calls of an [`execSyncContainer`](ExecSyncContainerRequest) with
/// the command `wait` do, one message each.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// It has begun.
    Begun(String),
    /// Nobody waits for its answer any more.
    Gone(String),
}

/// A service that remembers what it was asked, and answers from the request.
/// `execSyncContainer` with the command `wait` returns when it is let go, or
/// when its client has gone.
struct Fake {
    /// The last request, as `{:?}`.
    last: Mutex<String>,
    events: Sender<Event>,
    /// Ids of the calls that may return.
    go: Mutex<Vec<String>>,
    /// Calls that wait now, and the most that ever did.
    waiting: AtomicUsize,
    most: AtomicUsize,
}

impl Fake {
    fn new() -> (Fake, Receiver<Event>) {
        let (events, seen) = channel();
        let (last, go) = Default::default();
        let (waiting, most) = Default::default();
        (Fake { last, events, go, waiting, most }, seen)
    }

    fn last(&self) -> String {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn let_go(&self, id: &str) {
        self.go.lock().unwrap().push(id.into());
    }

    fn asked(&self, request: impl std::fmt::Debug) {
        *self.last.lock().unwrap() = format!("{request:?}");
    }

    fn wait(&self, call: &Call, id: &str) {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(waiting, Ordering::Relaxed);
        self.wait_until_let_go(call, id);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    fn wait_until_let_go(&self, call: &Call, id: &str) {
        self.events.send(Event::Begun(id.into())).unwrap();
        while !self.go.lock().unwrap().iter().any(|go| go == id) {
            let gone_fd = call.gone_fd();
            let mut watched = [PollFd::new(&gone_fd, PollFlags::IN)];
            poll(&mut watched, Some(&timespec(Duration::from_millis(5)))).unwrap();
            if call.gone() {
                // It may have become so since.
                poll(&mut watched, Some(&timespec(Duration::ZERO))).unwrap();
                assert!(watched[0].revents().contains(PollFlags::IN));
                self.events.send(Event::Gone(id.into())).unwrap();
                return;
            }
        }
    }
}

/// Methods that fail with the id they are given, and those that remember.
macro_rules! remember {
    ($($method:ident($request:ident) -> $response:ident = $answer:expr;)*) => {
        $(
            fn $method(&self, _: &Call, request: $request) -> Result<$response, String> {
                self.asked(&request);
                let answer: fn($request) -> Result<$response, String> = $answer;
                answer(request)
            }
        )*
    };
}

impl Service for Fake {
    remember! {
        version(VersionRequest) -> VersionResponse = |request| Ok(VersionResponse {
            process_id: u32::MAX,
            version: "1.2.3".into(),
            tag: "tag".into(),
            commit: "commit".into(),
            build_date: "date".into(),
            target: "target".into(),
            rust_version: "rustc".into(),
            cargo_version: "cargo".into(),
            cargo_tree: if request.verbose { "tree\nof it".into() } else { String::new() },
        });
        create_container(CreateContainerRequest) -> CreateContainerResponse =
            |_| Ok(CreateContainerResponse { container_pid: 4242 });
        attach_container(AttachRequest) -> AttachResponse =
            |request| Err(format!("no container {}", request.id));
        reopen_log_container(ReopenLogRequest) -> ReopenLogResponse =
            |_| Ok(ReopenLogResponse {});
        set_window_size_container(SetWindowSizeRequest) -> SetWindowSizeResponse =
            |_| Ok(SetWindowSizeResponse {});
        create_namespaces(CreateNamespacesRequest) -> CreateNamespacesResponse = |request| {
            let path = |kind: &Namespace| format!("{}/{kind:?}", request.base_path);
            Ok(CreateNamespacesResponse {
                namespaces: request
                    .namespaces
                    .iter()
                    .map(|kind| NamespaceResponse { kind: *kind, path: path(kind) })
                    .collect(),
            })
        };
        start_fd_socket(StartFdSocketRequest) -> StartFdSocketResponse =
            |_| Ok(StartFdSocketResponse { path: "/fd".into() });
        serve_exec_container(ServeExecContainerRequest) -> ServeExecContainerResponse =
            |_| Ok(ServeExecContainerResponse { url: "exec".into() });
        serve_attach_container(ServeAttachContainerRequest) -> ServeAttachContainerResponse =
            |_| Ok(ServeAttachContainerResponse { url: "attach".into() });
        serve_port_forward_container(ServePortForwardContainerRequest)
            -> ServePortForwardContainerResponse =
            |_| Ok(ServePortForwardContainerResponse { url: "forward".into() });
    }

    /// The standard output is as long as the timeout says, within reason:
    /// hostile clients ask, too.
    fn exec_sync_container(
        &self,
        call: &Call,
        request: ExecSyncContainerRequest,
    ) -> Result<ExecSyncContainerResponse, String> {
        self.asked(&request);
        if request.command == ["wait"] {
            self.wait(call, &request.id);
        }
        Ok(ExecSyncContainerResponse {
            exit_code: -3,
            stdout: (0..request.timeout_sec.min(32 << 20)).map(|at| (at % 251) as u8).collect(),
            stderr: request.id.into_bytes(),
            timed_out: request.terminal,
        })
    }
}

/// A stream, the server's end and ours.
fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap()
}

/// Runs `test` against a server; it ends when the test has dropped its end.
fn serving<T>(service: &Fake, quiet: Duration, test: impl FnOnce(OwnedFd) -> T) -> (Served, T) {
    let (ours, theirs) = pair();
    thread::scope(|scope| {
        let server = scope.spawn(move || serve(theirs, service, quiet));
        let result = test(ours);
        (server.join().unwrap(), result)
    })
}

/// A client that sends messages of its own making.
struct Peer {
    stream: OwnedFd,
    incoming: Incoming,
}

/// What came back, as far as the tests look.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// An answer to this question.
    Results(u32),
    /// An exception for this question.
    Exception(u32, exception::Type, String),
    /// Our message, not understood.
    Unimplemented,
    /// The server gives up.
    Abort(String),
    /// A loopback with this id.
    Loopback(u32),
    /// Something else.
    Other,
}

impl Peer {
    fn new(stream: OwnedFd) -> Peer {
        Peer { stream, incoming: Incoming::new(usize::MAX) }
    }

    fn send(&self, write: impl FnOnce(message::Builder<'_>)) {
        self.bytes(&bytes_of(write));
    }

    fn bytes(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let sent = send(&self.stream, bytes, SendFlags::NOSIGNAL).unwrap();
            bytes = &bytes[sent..];
        }
    }

    /// Sends no more.
    fn end(&self) {
        shutdown(&self.stream, Shutdown::Write).unwrap();
    }

    /// The next message; `None` at the end.
    fn frame(&mut self) -> Option<Frame> {
        loop {
            match self.incoming.read(&self.stream).unwrap() {
                Progress::Frame(frame) => return Some(frame),
                Progress::Part => {}
                Progress::End => return None,
                Progress::Nothing => {
                    let mut watched = [PollFd::new(&self.stream, PollFlags::IN)];
                    assert_ne!(poll(&mut watched, Some(&timespec(LONG))), Ok(0), "no answer");
                }
            }
        }
    }

    fn came(&mut self) -> Option<Came> {
        let frame = self.frame()?;
        let reader = frame.reader().unwrap();
        let message: message::Reader<'_> = reader.get_root().unwrap();
        let reason =
            |exception: exception::Reader<'_>| exception.get_reason().unwrap().to_string().unwrap();
        Some(match message.which().unwrap() {
            message::Return(answer) => {
                let answer = answer.unwrap();
                let question = answer.get_answer_id();
                match answer.which().unwrap() {
                    return_::Results(_) => Came::Results(question),
                    return_::Exception(exception) => {
                        let exception = exception.unwrap();
                        let kind = exception.get_type().unwrap();
                        Came::Exception(question, kind, reason(exception))
                    }
                    _ => Came::Other,
                }
            }
            message::Unimplemented(_) => Came::Unimplemented,
            message::Abort(exception) => Came::Abort(reason(exception.unwrap())),
            message::Disembargo(disembargo) => {
                use super::super::schema::rpc_capnp::disembargo::context::ReceiverLoopback;
                match disembargo.unwrap().get_context().which().unwrap() {
                    ReceiverLoopback(id) => Came::Loopback(id),
                    _ => Came::Other,
                }
            }
            _ => Came::Other,
        })
    }
}

/// A message as it is on the wire, in one segment.
fn bytes_of(write: impl FnOnce(message::Builder<'_>)) -> Vec<u8> {
    let mut message = Builder::new(HeapAllocator::new().first_segment_words(1 << 16));
    write(message.init_root());
    capnp::serialize::write_message_to_words(&message)
}

/// Id of the interface, as the clients know it.
const INTERFACE: u64 = 0xb737_e899_dd66_33f1;

/// Begins a call of our object; parameters are up to the caller.
fn begin_call(message: message::Builder<'_>, question: u32, method: u16) -> call::Builder<'_> {
    let mut call = message.init_call();
    call.set_question_id(question);
    call.set_interface_id(INTERFACE);
    call.set_method_id(method);
    call.reborrow().get_target().unwrap().set_imported_cap(0);
    call
}

/// A call of `execSyncContainer`.
fn exec(question: u32, id: &str, command: &str) -> Vec<u8> {
    use super::super::schema::conmon_capnp::conmon::exec_sync_container_params;
    bytes_of(|message| {
        let call = begin_call(message, question, 2);
        let params = call.init_params().get_content();
        let mut request =
            params.init_as::<exec_sync_container_params::Builder<'_>>().init_request();
        request.set_id(id);
        request.init_command(1).set(0, command);
    })
}

/// A call without a request.
fn plain(question: u32, method: u16) -> Vec<u8> {
    bytes_of(|message| {
        begin_call(message, question, method);
    })
}

/// A call of `version`.
fn version(question: u32) -> Vec<u8> {
    plain(question, 0)
}
