//! The ladder of a call as JSON: the call object, then its endpoints and messages. For programs; fields and units
//! are in docs/calls.md.

use serde::Serialize;
use wire::Timestamp;

use crate::label::reason;
use crate::message::{Medium, Repeats, Told, again};
use crate::summary::time;
use crate::{Summary, View};

/// A call and everything seen of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ladder {
    /// What is said of the call as a whole.
    #[serde(flatten)]
    pub summary: Summary,
    /// Retransmissions among its messages.
    pub retransmissions: u32,
    /// Address and port of everybody who sent or received, in the order they were first seen.
    pub endpoints: Vec<String>,
    /// The messages, in order.
    pub ladder: Vec<Step>,
    /// Messages beyond the bound of the record: counted, not listed.
    pub ladder_cut: u32,
    /// Messages that came after the call was over and its record had left; left out where that is not counted, or none did.
    #[serde(skip_serializing_if = "is_none")]
    pub later_messages: u32,
}

const fn is_none(number: &u32) -> bool {
    *number == 0
}

/// One message on one hop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// When it was seen first; RFC 3339, UTC, microseconds.
    #[serde(serialize_with = "time")]
    pub time: Timestamp,
    /// Seconds since the first message.
    pub offset_seconds: f64,
    /// Sender: an index into the endpoints.
    pub source: u16,
    /// Recipient: an index into the endpoints.
    pub destination: u16,
    /// Method of a request, or the one a response answers.
    pub method: &'static str,
    /// Status of a response; `null` for a request.
    pub status: Option<u16>,
    /// Reason phrase: of a final other than 2xx as it was sent, else the registered one; `null` for a request.
    pub reason: Option<String>,
    /// CSeq number.
    pub cseq: u32,
    /// It has a session description.
    pub sdp: bool,
    /// Its length.
    pub bytes: u32,
    /// How often it was sent again.
    pub retransmissions: u16,
    /// It was seen before between other addresses, as a balancer rewrites them; left out where it was not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub copy: bool,
    /// Its header fields as far as they may be shown, a line each; left out where none are on record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Box<str>>,
    /// When it was sent again, in seconds since the first message; left out where that is not on record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<f64>,
    /// What its session description says of each medium; left out where messages are not on record.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Medium>,
    /// The message it repeats, and what is new in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
    /// Itself, without credentials, printable; left out where it is not on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// The ladder as JSON.
pub fn json(view: &View<'_>) -> Ladder {
    let record = view.record;
    let start = record.ladder.first().map_or(record.start, |message| message.at);
    let headers =
        |index: usize| record.headers.get(index).map_or_else(Vec::new, |lines| lines.lines().map(Box::from).collect());
    let steps = record.ladder.iter().enumerate().map(|(index, message)| {
        let (media, repeats, raw) = match Told::of(record, index, true) {
            Some(told) => {
                let text = told.text();
                (told.media, told.repeats, Some(text))
            }
            None => (Vec::new(), None, None),
        };
        Step {
            time: message.at,
            offset_seconds: (message.at - start).as_secs_f64(),
            source: message.source,
            destination: message.destination,
            method: message.method.as_str(),
            status: message.status,
            reason: reason(record, message).map(|reason| reason.into_owned()),
            cseq: message.cseq,
            sdp: message.sdp,
            bytes: message.bytes,
            retransmissions: message.retransmissions,
            copy: message.copy,
            headers: headers(index),
            again: again(record, index).map(|(at, _)| (at - start).as_secs_f64()).collect(),
            media,
            repeats,
            raw,
        }
    });
    Ladder {
        summary: view.summary(),
        retransmissions: record.retransmissions,
        endpoints: record.endpoints.iter().map(|end| end.address.to_string()).collect(),
        ladder: steps.collect(),
        ladder_cut: record.ladder_cut,
        later_messages: 0,
    }
}
