//! The call object: what is said of a call as a whole, in JSON by `calls` and `replay --calls`.

use std::net::SocketAddr;
use std::time::Duration;

use pipeline::CallRecord;
use pipeline::call::Subject;
use pipeline::event::End;
use serde::{Serialize, Serializer};
use wire::Timestamp;

use crate::media::Media;
use crate::{View, clock};

/// A call as a whole. What is `None` is `null`: dropped for privacy, or it did not happen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Call-ID, or its hash.
    pub call_id: Box<str>,
    /// The method of what is no call; left out of calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'static str>,
    /// How often it came to the same, of what is no call and came more than once; left out else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// First byte of the first INVITE; RFC 3339, UTC, microseconds.
    #[serde(serialize_with = "time")]
    pub start: Timestamp,
    /// User part of From.
    pub caller: Option<Box<str>>,
    /// User part of To.
    pub callee: Option<Box<str>>,
    /// Sender of the first INVITE, address and port.
    pub source: SocketAddr,
    /// Recipient of the first INVITE, address and port.
    pub destination: SocketAddr,
    /// Transport of the first INVITE.
    pub transport: &'static str,
    /// The label `carrier`.
    pub carrier: Box<str>,
    /// The label `ua_type`.
    pub ua_type: Box<str>,
    /// Outcome of the last attempt, or `in_progress`.
    pub outcome: &'static str,
    /// Final status of the last attempt.
    pub status: Option<u16>,
    /// How an answered call ended.
    pub end: Option<&'static str>,
    /// First INVITE to the first 101 to 199, else to the deciding final.
    #[serde(rename = "setup_seconds", serialize_with = "seconds")]
    pub setup: Option<Duration>,
    /// First 180 to the answer or the deciding final.
    #[serde(rename = "ring_seconds", serialize_with = "seconds")]
    pub ring: Option<Duration>,
    /// Answer to the first BYE, or to the end without one.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Option<Duration>,
    /// The trunks it went over, one for each INVITE on each hop, in the order they began; left out where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunk: Vec<Trunk>,
    /// Which backend of a balanced service took it; left out where it went to none of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steer: Option<Steer>,
    /// 32 hex digits.
    #[serde(serialize_with = "hex")]
    pub trace_id: [u8; 16],
    /// Messages seen, retransmissions and hop copies included.
    pub messages: u32,
    /// What its callers heard; left out where nobody listened, or there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
    /// Its trace would be an error, or nobody heard it hang up ([`View::failed`]).
    #[serde(skip)]
    pub failed: bool,
    /// Its media have a fault, or an interval of it sounded poor.
    #[serde(skip)]
    pub poor: bool,
}

/// An INVITE over a trunk (`sip-metrics.md` 4.7).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trunk {
    /// The carrier.
    pub carrier: Box<str>,
    /// `in` from it, `out` to it.
    pub direction: &'static str,
    /// Its first final there; `null` without one.
    pub status: Option<u16>,
}

/// Which backend of a balanced service took a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Steer {
    /// The service its first INVITE was sent to.
    pub service: Box<str>,
    /// The backend that took it; `null` where that does not show.
    pub backend: Option<Box<str>>,
    /// Another backend took a later request of it.
    pub moved: bool,
}

impl View<'_> {
    /// What is said of the call as a whole.
    pub fn summary(&self) -> Summary {
        let CallRecord { outcome, status, end, setup, ring, duration, messages, .. } = *self.record;
        Summary {
            call_id: self.record.call_id.clone(),
            method: self.method(),
            times: None,
            start: self.record.start,
            caller: self.record.caller.clone(),
            callee: self.record.callee.clone(),
            source: self.record.endpoint(self.record.source).address,
            destination: self.record.endpoint(self.record.destination).address,
            transport: self.record.transport.as_str(),
            carrier: self.carrier.into(),
            ua_type: self.ua_type.into(),
            outcome,
            status,
            end,
            setup,
            ring,
            duration,
            trunk: self.trunks().collect(),
            steer: self.record.steer.as_deref().map(|steer| Steer {
                service: (&*steer.service).into(),
                backend: steer.backend.as_deref().map(Into::into),
                moved: steer.moved,
            }),
            trace_id: self.record.trace(self.carrier).id,
            messages,
            media: self.record.media.as_deref().map(|media| Media::new(media, &self.record.call_id)),
            failed: self.failed(),
            poor: self.record.media.as_ref().is_some_and(|media| media.is_poor()),
        }
    }

    /// The method of what is no call.
    pub(crate) fn method(&self) -> Option<&'static str> {
        let is_request = self.record.subject == Subject::Request;
        self.record.transactions.first().filter(|_| is_request).map(|transaction| transaction.method.as_str())
    }

    fn trunks(&self) -> impl Iterator<Item = Trunk> {
        self.record.transactions.iter().flat_map(|transaction| {
            let status = transaction.status;
            let carriers = transaction.carriers();
            carriers.map(move |(direction, carrier)| Trunk {
                carrier: (**carrier).into(),
                direction: direction.as_str(),
                status,
            })
        })
    }

    /// Its trace would be an error, or its BYE was not answered, or not by a 2xx or 481.
    pub fn failed(&self) -> bool {
        let unheard = [End::ByeTimeout, End::ByeError].map(|end| Some(end.as_str()));
        self.record.error().is_some() || unheard.contains(&self.record.end)
    }
}

/// Two hex digits for each byte.
pub fn hex_digits(id: &[u8]) -> String {
    hex::encode(id)
}

pub(crate) fn time<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&clock::rfc3339(*time))
}

fn seconds<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(to)
}

fn hex<S: Serializer>(id: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&hex_digits(id))
}
