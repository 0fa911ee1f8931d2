//! The messages that a server sends.

use capnp::Word;
use capnp::message::{Builder, HeapAllocator};

use super::super::schema::rpc_capnp::{call, disembargo, exception, message};
use super::methods::Response;

type Answer = Builder<HeapAllocator>;

/// The one object there is: as exported by us, imported by the client.
pub(crate) const OBJECT: u32 = 0;

/// The answer to `Bootstrap`: our object, as the only entry of the table of
/// capabilities.
///
/// The `capnp` crate writes a pointer to a capability only for objects of an
/// RPC system that we don't have, so here are the words themselves.
pub(crate) fn bootstrap(question: u32) -> [Word; 11] {
    let [a, b, c, d] = question.to_le_bytes();
    [
        // Pointer to the message: 1 word of data, 1 pointer.
        capnp::word(0, 0, 0, 0, 1, 0, 1, 0),
        // Message: `return`.
        capnp::word(3, 0, 0, 0, 0, 0, 0, 0),
        // Pointer to the return: 2 words of data, 1 pointer.
        capnp::word(0, 0, 0, 0, 2, 0, 1, 0),
        // Return: the question, and `results`.
        capnp::word(a, b, c, d, 0, 0, 0, 0),
        capnp::word(0, 0, 0, 0, 0, 0, 0, 0),
        // Pointer to the payload: 2 pointers.
        capnp::word(0, 0, 0, 0, 0, 0, 2, 0),
        // Payload: capability 0 of the table, and the table: 2 words.
        capnp::word(3, 0, 0, 0, 0, 0, 0, 0),
        capnp::word(1, 0, 0, 0, (2 << 3) | 7, 0, 0, 0),
        // Table: 1 element of 1 word of data and 1 pointer.
        capnp::word(1 << 2, 0, 0, 0, 1, 0, 1, 0),
        // Entry: `senderHosted`, OBJECT.
        capnp::word(1, 0, 0, 0, 0, 0, 0, 0),
        capnp::word(0, 0, 0, 0, 0, 0, 0, 0),
    ]
}

/// What a method returned.
pub(crate) fn results(question: u32, response: &Response) -> Answer {
    let mut answer = Answer::default();
    let mut to = answer.init_root::<message::Builder<'_>>().init_return();
    to.set_answer_id(question);
    response.write(to.init_results().get_content());
    answer
}

/// Why there is nothing to return: `failed`, or `unimplemented`.
pub(crate) fn failure(question: u32, kind: exception::Type, reason: &str) -> Answer {
    let mut answer = Answer::default();
    let mut to = answer.init_root::<message::Builder<'_>>().init_return();
    to.set_answer_id(question);
    let mut exception = to.init_exception();
    exception.set_type(kind);
    exception.set_reason(reason);
    answer
}

/// Why the connection ends.
pub(crate) fn abort(reason: &str) -> Answer {
    let mut answer = Answer::default();
    let mut exception = answer.init_root::<message::Builder<'_>>().init_abort();
    exception.set_type(exception::Type::Failed);
    exception.set_reason(reason);
    answer
}

/// A message of a kind that we don't know, sent back as the protocol wants.
///
/// # Errors
/// When it cannot be copied.
pub(crate) fn unimplemented(original: message::Reader<'_>) -> capnp::Result<Answer> {
    let mut answer = Answer::default();
    answer.init_root::<message::Builder<'_>>().set_unimplemented(original)?;
    Ok(answer)
}

/// Sends a loopback back: all that was sent to our object before has been
/// read by now.
///
/// # Errors
/// When the target cannot be copied.
pub(crate) fn loopback(from: disembargo::Reader<'_>, id: u32) -> capnp::Result<Answer> {
    let mut answer = Answer::default();
    let mut to = answer.init_root::<message::Builder<'_>>().init_disembargo();
    to.set_target(from.get_target()?)?;
    to.get_context().set_receiver_loopback(id);
    Ok(answer)
}

/// Whether a call is for our object: addressed to it, or to the answer of a
/// `Bootstrap`, which may be one from before the connection was parked.
///
/// # Errors
/// Says why it is not.
pub(crate) fn for_our_object(call: call::Reader<'_>) -> Result<(), String> {
    use super::super::schema::rpc_capnp::{message_target, promised_answer::op};
    let text = |error: capnp::Error| error.to_string();
    let unknown = |error: capnp::NotInSchema| error.to_string();
    match call.get_target().map_err(text)?.which().map_err(unknown)? {
        message_target::ImportedCap(OBJECT) => Ok(()),
        message_target::ImportedCap(id) => Err(format!("no object has the id {id}")),
        message_target::PromisedAnswer(answer) => {
            let answer = answer.map_err(text)?;
            for step in answer.get_transform().map_err(text)?.iter() {
                if !matches!(step.which().map_err(unknown)?, op::Noop(())) {
                    return Err("no answer of ours contains an object".into());
                }
            }
            Ok(())
        }
    }
}
