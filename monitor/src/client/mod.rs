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

mod connection;

use std::fmt;
use std::path::Path;

use capnp::any_pointer;
use capnp::traits::HasTypeId;
use rustix::net::{SocketFlags, SocketType};
use wire::OwnedFd;

use self::connection::Connection;
use crate::inherited::text;
use crate::pod::convert::Message;
use crate::pod::rpc::incoming::Frame;
use crate::pod::rpc::methods::methods;
use crate::pod::schema::conmon_capnp::conmon;
use crate::pod::schema::rpc_capnp::{cap_descriptor, exception, message, payload, return_};
use crate::pod::types::*;
use crate::socket;

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
    connection: Connection,
    /// The server's object, by its number in calls.
    object: u32,
}

impl Client {
    /// Connects to the server's socket, at a path of any length.
    ///
    /// # Errors
    /// [`Error::Connection`]: nobody listens there, or it is no pod server.
    pub fn connect(path: &Path) -> Result<Client, Error> {
        let stream = socket::connect(path, SocketType::STREAM, SocketFlags::empty(), None);
        Client::new(stream.map_err(|error| {
            Error::Connection(format!("cannot connect to {}: {}", path.display(), text(error)))
        })?)
    }

    /// Ends the connection: calls in flight have no answer any more.
    pub fn disconnect(&self) {
        self.connection.disconnect();
    }

    /// Begins on a stream that is connected already.
    ///
    /// # Errors
    /// [`Error::Connection`]: it is no pod server that answers.
    pub fn new(stream: OwnedFd) -> Result<Client, Error> {
        let connection = Connection::new(stream);
        let answer = connection.ask(|number, message| {
            message.init_bootstrap().set_question_id(number);
            Ok(())
        })?;
        let object = read(&answer, |results| {
            let Some(object) = results.get_cap_table()?.iter().next() else {
                return Ok(Err("the server offers no object".to_string()));
            };
            Ok(match object.which() {
                Ok(cap_descriptor::SenderHosted(id)) => Ok(id),
                _ => Err("the server offers an object of an unknown kind".to_string()),
            })
        })?
        .map_err(Error::Connection)?;
        Ok(Client { connection, object })
    }

    /// Calls a method: `write` puts the request into the parameters, `take`
    /// takes the response from the results.
    fn call<T>(
        &self,
        method: u16,
        write: impl FnOnce(any_pointer::Builder<'_>),
        take: impl FnOnce(any_pointer::Reader<'_>) -> capnp::Result<Result<T, String>>,
    ) -> Result<T, Error> {
        let answer = self.connection.ask(|number, message| {
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
