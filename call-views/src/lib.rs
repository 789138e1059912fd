//! Calls for people: records in; a table, ladders as text and as Mermaid, and JSON out.
//!
//! Pure: no terminal, no file, no clock. What came from the wire (numbers, Call-IDs, reason phrases) is escaped
//! before it is laid out, so that no record can move a cursor, forge a line or break a diagram. Privacy was applied
//! when the record was made; what it does not hold cannot be shown.

pub mod affinity;
pub mod clock;
mod exchanges;
mod label;
pub mod ladder;
pub mod media;
pub mod message;
pub mod packets;
mod style;
mod summary;
mod table;
mod text;
pub mod unread;
mod zone;

use pipeline::CallRecord;

pub use clock::rfc3339;
pub use exchanges::{Exchange, Exchanges};
pub use style::{Colour, Style};
pub use summary::{Summary, hex_digits};
pub use table::{appended, columns, table, verdict};
pub use text::printable;
pub use zone::Zone;

/// A call, with the labels it had when its record was made (a record knows its slot alone).
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What is known of it.
    pub record: &'a CallRecord,
    /// The label `carrier`.
    pub carrier: &'a str,
    /// The label `ua_type`.
    pub ua_type: &'a str,
}
