//! What stands in a ladder, in order of time: messages, and of each stream of media its start and its end.
//!
//! A stream goes between the columns of its two hosts: SIP and media of a party share an address and not a port. A host
//! that sends or receives media alone, such as a relay, has a column of its own behind the others.

use std::net::{IpAddr, SocketAddr};

use pipeline::CallRecord;
use pipeline::call::Side;
use pipeline::call::media::StreamRecord;
use wire::Timestamp;

use crate::label::Label;
use crate::style::Colour;

/// The columns of a ladder, and its lines in order.
pub struct Lines {
    /// Addresses: with the port of those that speak SIP, without of those that only have media.
    pub columns: Vec<String>,
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    pub at: Timestamp,
    /// Indexes into the columns.
    pub source: usize,
    pub destination: usize,
    pub label: Label,
    pub colour: Colour,
    pub kind: Kind,
    /// Its place in the ladder; `None` for a stream.
    pub message: Option<usize>,
}

/// How an arrow is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Request,
    Response,
    Stream,
}

impl Lines {
    /// The lines of a call.
    pub fn new(record: &CallRecord, unicode: bool) -> Self {
        let mut columns: Vec<SocketAddr> = record.endpoints.iter().map(|end| end.address).collect();
        let signalling = columns.len();
        let mut lines: Vec<Line> = Vec::with_capacity(record.ladder.len());
        for (place, message) in record.ladder.iter().enumerate() {
            lines.push(Line {
                at: message.at,
                source: message.source.into(),
                destination: message.destination.into(),
                label: Label::new(record, message, unicode),
                colour: Label::colour(message),
                kind: if message.status.is_some() { Kind::Response } else { Kind::Request },
                message: Some(place),
            });
        }
        for stream in record.media.iter().flat_map(|media| &media.streams) {
            let (source, destination) = ends(stream, &mut columns);
            let line =
                |at, label, colour| Line { at, source, destination, label, colour, kind: Kind::Stream, message: None };
            lines.push(line(stream.first, Label::stream_begins(stream), Colour::Plain));
            lines.push(line(stream.last, Label::stream_ends(stream), Label::colour_of_stream(stream)));
        }
        // Messages stand before what they bring about.
        lines.sort_by_key(|line| line.at);
        let name = |(at, address): (usize, &SocketAddr)| match at < signalling {
            true => address.to_string(),
            false => address.ip().to_string(),
        };
        Self { columns: columns.iter().enumerate().map(name).collect(), lines }
    }
}

/// The columns a stream goes between. Of several that share an address the caller's is the first and the callee's the
/// last: who began is seen first.
fn ends(stream: &StreamRecord, columns: &mut Vec<SocketAddr>) -> (usize, usize) {
    let mut column = |ip: IpAddr, side: Side| {
        let known = match side {
            Side::Caller => columns.iter().position(|column| column.ip() == ip),
            Side::Callee => columns.iter().rposition(|column| column.ip() == ip),
        };
        known.unwrap_or_else(|| {
            columns.push(SocketAddr::new(ip, 0));
            columns.len() - 1
        })
    };
    (column(stream.source.ip(), stream.side), column(stream.destination.ip(), stream.side.other()))
}
