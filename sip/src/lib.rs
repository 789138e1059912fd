//! SIP messages: the bytes of one message in, borrowed fields out (RFC 3261 §7).
//!
//! [`sort()`] tells what a datagram on a SIP port is, [`Framer`] where messages end in a stream, [`WebSocket`] where
//! they end in a WebSocket, [`parse()`] reads one message, [`Sdp`] and [`vq_report()`] read bodies. All are pure: no clock, no log, no allocation unless a folded
//! User-Agent is asked for. Lenient about what phones send, strict about what correlation needs: Via, From, To, Call-ID,
//! CSeq. Linear time, no recursion, never a panic.

mod anomaly;
mod body;
mod contact;
mod content_length;
mod cseq;
mod cursor;
mod error;
mod fields;
mod group;
mod header;
mod limits;
mod merged;
mod message;
mod method;
mod parse;
mod party;
mod phrase;
mod reason;
pub mod report;
mod scan;
pub mod sdp;
mod sort;
mod start;
mod stream;
pub mod uri;
mod value;
mod via;
pub mod websocket;

pub use anomaly::{Anomalies, AnomalyKind};
pub use contact::Contact;
pub use cseq::CSeq;
pub use error::ParseError;
pub use group::{Group, group};
pub use limits::{MAX_FIELDS, MAX_MESSAGE, MAX_STREAM_MESSAGE, MAX_VIAS};
pub use merged::merged_size;
pub use message::Message;
pub use method::Method;
pub use parse::{Framing, parse, parse_into};
pub use party::Party;
pub use phrase::registered_phrase;
pub use reason::{Reason, ReasonProtocol};
pub use report::{Quality, ReportKind, VqReport, vq_report};
pub use scan::places;
pub use sdp::Sdp;
pub use sort::{Payload, sort};
pub use start::Start;
pub use stream::{Framer, Step, begins_message, find_start_line};
pub use via::Via;
pub use websocket::{WebSocket, WebSocketStep};
