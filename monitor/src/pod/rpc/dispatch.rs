//! What each message of a client leads to.

use std::thread::{self, Scope};

use super::incoming::Frame;
use super::{Door, End, answers, methods};
use crate::pod::schema::conmon_capnp::conmon;
use crate::pod::schema::rpc_capnp::{call, disembargo, exception, message};
use crate::pod::service::Service;

impl<S: Service + ?Sized> Door<'_, S> {
    /// Does what a message says. An error is a message that no client sends.
    pub(super) fn message<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        frame: &Frame,
    ) -> Result<Option<End>, String> {
        let reader = frame.reader().map_err(text)?;
        let message: message::Reader<'_> = reader.get_root().map_err(text)?;
        match message.which() {
            Ok(message::Bootstrap(bootstrap)) => {
                let question = bootstrap.map_err(text)?.get_question_id();
                self.outgoing.words(&answers::bootstrap(question));
            }
            Ok(message::Call(call)) => self.call(scope, call.map_err(text)?, frame.size())?,
            Ok(message::Finish(finish)) => {
                self.calls.cancel(finish.map_err(text)?.get_question_id());
            }
            // Nothing of ours is counted, and nothing of ours can be missing there.
            Ok(message::Release(_) | message::Unimplemented(_)) => {}
            Ok(message::Abort(_)) => return Ok(Some(End::Closed)),
            Ok(message::Return(_)) => return Err("a return, and we have asked nothing".into()),
            Ok(message::Disembargo(disembargo)) => {
                let disembargo = disembargo.map_err(text)?;
                match disembargo.get_context().which() {
                    Ok(disembargo::context::SenderLoopback(id)) => {
                        self.outgoing.message(&answers::loopback(disembargo, id).map_err(text)?);
                    }
                    _ => self.unknown(message)?,
                }
            }
            _ => self.unknown(message)?,
        }
        Ok(None)
    }

    fn unknown(&self, message: message::Reader<'_>) -> Result<(), String> {
        self.outgoing.message(&answers::unimplemented(message).map_err(text)?);
        Ok(())
    }

    /// Starts a call, or answers at once that it cannot be.
    fn call<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        call: call::Reader<'_>,
        size: usize,
    ) -> Result<(), String> {
        use exception::Type::Failed;
        let question = call.get_question_id();
        if self.calls.has(question) {
            return Err(format!("question {question} is asked twice"));
        }
        let outcome = read_request(call).and_then(|request| {
            let task = self
                .calls
                .begin(question, size)
                .map_err(|error| (Failed, format!("cannot make an eventfd: {error}")))?;
            let run = move || {
                let outcome = request.answer(self.service, task.call());
                let answer = match outcome {
                    Ok(response) => answers::results(question, &response),
                    Err(reason) => answers::failure(question, Failed, &reason),
                };
                // From now on the client may use the number again.
                task.answered();
                self.outgoing.message(&answer);
                drop(task);
            };
            let started = thread::Builder::new().spawn_scoped(scope, run);
            started.map(drop).map_err(|error| (Failed, format!("cannot start a thread: {error}")))
        });
        if let Err((kind, reason)) = outcome {
            self.outgoing.message(&answers::failure(question, kind, &reason));
        }
        Ok(())
    }
}

/// What is asked of our object; or which exception answers it.
fn read_request(call: call::Reader<'_>) -> Result<methods::Request, (exception::Type, String)> {
    use exception::Type::{Failed, Unimplemented};
    answers::for_our_object(call).map_err(|reason| (Failed, reason))?;
    if !matches!(call.get_send_results_to().which(), Ok(call::send_results_to::Caller(()))) {
        return Err((Unimplemented, "results go to the caller only".into()));
    }
    let interface = call.get_interface_id();
    if interface != <conmon::Client as capnp::traits::HasTypeId>::TYPE_ID {
        return Err((Unimplemented, format!("no interface {interface:#018x}")));
    }
    let method = call.get_method_id();
    let content = call.get_params().map(|params| params.get_content());
    content
        .map_err(text)
        .and_then(|content| methods::Request::read(method, content))
        .map_err(|error| (Failed, format!("read request: {error}")))?
        .ok_or_else(|| (Unimplemented, format!("no method {method}")))
}

fn text(error: capnp::Error) -> String {
    error.to_string()
}
