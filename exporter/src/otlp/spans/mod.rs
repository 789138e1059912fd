//! Calls as traces: a record with its labels in, spans of the official types out, encoded and put together.
//!
//! [`attribute`] is the table of everything a span can say. `call` makes the spans of one record (its parts in
//! `encoder`, single values in `values`), `message` shows its ladder on them, `batch` puts the spans of many calls into requests that are never too large, `push` is the
//! task between the queue of calls and the sender. Privacy is none of its business: a record holds nothing that may
//! not leave.

pub mod attribute;
mod batch;
mod call;
mod encoder;
mod media;
mod message;
#[cfg(test)]
mod oracle;
mod push;
#[cfg(test)]
pub(super) mod sample;
mod values;

pub use batch::{Batcher, Limits};
pub use call::tell;
pub use encoder::{EncodedCall, Labels};
pub use push::{Pace, push};
