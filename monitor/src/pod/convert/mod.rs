//! Between our plain values and Cap'n Proto's messages: [`requests`] about
//! containers, those about the [`pod`] and its streams, and [`responses`];
//! what all are made of is here.
//!
//! Reading is total: whatever the bytes, the outcome is a value or one line
//! of text, and the memory taken is bounded by the message's size.

mod enums;
mod pod;
mod requests;
mod responses;

use std::fmt::Display;

use capnp::traits::OwnedStruct;
use capnp::{enum_list, primitive_list, struct_list, text, text_list};

use super::schema::conmon_capnp::conmon;
use super::types::{Map, Namespace};

/// The most elements that a list may have. A list of structs can be so small
/// on the wire that each of its bytes becomes an entry in memory.
const LIST_ELEMENTS: u32 = 128 * 1024;

/// A value that can travel.
pub(crate) trait Message: Sized {
    /// Its struct in the schema.
    type Schema: OwnedStruct;

    /// Takes it from a message.
    ///
    /// # Errors
    /// One line: the field, and what is wrong with it.
    fn read(from: <Self::Schema as OwnedStruct>::Reader<'_>) -> Result<Self, String>;

    /// Puts it into a message.
    fn write(&self, to: <Self::Schema as OwnedStruct>::Builder<'_>);
}

/// `field: error`.
fn named<T>(field: &str, outcome: Result<T, impl Display>) -> Result<T, String> {
    outcome.map_err(|error| format!("{field}: {error}"))
}

fn read_text(field: &str, value: capnp::Result<text::Reader<'_>>) -> Result<String, String> {
    named(field, named_text(value))
}

fn named_text(value: capnp::Result<text::Reader<'_>>) -> Result<String, String> {
    let text = value.map_err(|error| error.to_string())?;
    text.to_string().map_err(|error| error.to_string())
}

fn bounded(field: &str, elements: u32) -> Result<(), String> {
    if elements > LIST_ELEMENTS {
        return Err(format!("{field}: {elements} elements, {LIST_ELEMENTS} are allowed"));
    }
    Ok(())
}

fn read_texts(
    field: &str,
    list: capnp::Result<text_list::Reader<'_>>,
) -> Result<Vec<String>, String> {
    let list = named(field, list)?;
    bounded(field, list.len())?;
    list.iter().map(|value| read_text(field, value)).collect()
}

fn write_texts(values: &[String], mut list: text_list::Builder<'_>) {
    for (index, value) in (0..).zip(values) {
        list.set(index, value);
    }
}

fn read_numbers(
    field: &str,
    list: capnp::Result<primitive_list::Reader<'_, u64>>,
) -> Result<Vec<u64>, String> {
    let list = named(field, list)?;
    bounded(field, list.len())?;
    Ok(list.iter().collect())
}

fn write_numbers(values: &[u64], mut list: primitive_list::Builder<'_, u64>) {
    for (index, value) in (0..).zip(values) {
        list.set(index, *value);
    }
}

type Entries = conmon::text_text_map_entry::Owned;

fn read_map(
    field: &str,
    list: capnp::Result<struct_list::Reader<'_, Entries>>,
) -> Result<Map, String> {
    let list = named(field, list)?;
    bounded(field, list.len())?;
    list.iter()
        .map(|entry| Ok((read_text(field, entry.get_key())?, read_text(field, entry.get_value())?)))
        .collect()
}

fn write_map(map: &Map, mut list: struct_list::Builder<'_, Entries>) {
    for (index, (key, value)) in (0..).zip(map) {
        let mut entry = list.reborrow().get(index);
        entry.set_key(key);
        entry.set_value(value);
    }
}

/// The length of a list that is to be written. What does not fit is far more
/// than any message may hold.
fn length<T>(values: &[T]) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

fn read_namespaces(
    field: &str,
    list: capnp::Result<enum_list::Reader<'_, conmon::Namespace>>,
) -> Result<Vec<Namespace>, String> {
    let list = named(field, list)?;
    bounded(field, list.len())?;
    list.iter().map(|kind| named(field, kind).map(Namespace::from)).collect()
}

fn write_namespaces(values: &[Namespace], mut list: enum_list::Builder<'_, conmon::Namespace>) {
    for (index, value) in (0..).zip(values) {
        list.set(index, (*value).into());
    }
}
