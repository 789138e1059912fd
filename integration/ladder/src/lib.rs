//! Text ladders: a call flow written as text comes in, real SIP bytes with addresses and times go out.
//!
//! A test says what happened and not how Via, tags and CSeq are spelt; what is not said is inferred per Call-ID as a
//! user agent would do it (RFC 3261 §8, §12, §17). It never reads a clock or a random number: the same text gives
//! the same bytes. A ladder that cannot be read panics with the number of its line: it is a tool for tests.
//!
//! ```text
//!   0.000  alice -> bob  INVITE sdp          # comment
//!   0.040  alice <- bob  100
//!   4.000  alice <- bob  200 tag=b1
//!  64.000  alice -> bob  BYE
//! ```
//!
//! Every line: seconds since the start, an endpoint, `->` or `<-`, an endpoint, a method or a status, then words.
//! An endpoint is a name with a fixed address ([`endpoint`]) or `name@address:port`, which the name keeps from then on.
//! In place of the method: `crlf` (a keep-alive) or `raw="bytes"` with `\r \n \t \" \\ \xNN`.
//!
//! | word | meaning |
//! |---|---|
//! | `call=` | Call-ID; without it all lines are one call, `call-1` |
//! | `branch=` `cseq=` `ftag=` `ttag=` | override what is inferred; `-` as a branch or tag means none |
//! | `tag=` | To tag of a response; without it the sender's own from 101 on, or the tag a proxy relays |
//! | `of=` | method of the request that a response answers; without it the newest one between the two without a final |
//! | `via=proxy,alice` | the Via stack, top first; `name/branch` gives a Via its branch |
//! | `fwd` | what the sender last received of this method or status, one hop on: own Via pushed, or top Via popped |
//! | `again` | the same bytes between the same addresses once more: a retransmission |
//! | `copy` | the same bytes once more, whatever the addresses: a second observation point |
//! | `from=` `to=` | URI, or a whole name-addr |
//! | `contact=` `expires=` `se=` `reason=` `rseq=` `ua=` | Contact (`none`: no Contact), Expires, Session-Expires, Reason, RSeq, User-Agent |
//! | `hdr="Name: value"` | one more header field; may be repeated |
//! | `sdp` | with a session description |

pub mod endpoint;
mod flow;
pub mod format;
pub mod frame;
mod line;
mod message;
pub mod pcap;
pub mod traffic;

use std::net::SocketAddr;
use std::time::Duration;

use flow::Flows;
use line::Line;

/// One datagram of a ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Time since the start of the ladder.
    pub at: Duration,
    /// Sender.
    pub source: SocketAddr,
    /// Recipient.
    pub destination: SocketAddr,
    /// UDP payload.
    pub bytes: Vec<u8>,
}

/// Turns a ladder into datagrams, in the order of its lines.
///
/// # Panics
/// With the number of the line that cannot be read.
#[track_caller]
pub fn play(text: &str) -> Vec<Step> {
    let mut flows = Flows::default();
    let mut steps = Vec::new();
    for (index, source) in text.lines().enumerate() {
        let step = Line::parse(source).and_then(|line| line.map(|line| flows.step(&line)).transpose());
        match step {
            Ok(step) => steps.extend(step),
            Err(problem) => panic!("ladder line {}: {problem}: {source:?}", index + 1),
        }
    }
    steps
}

/// A call and a registration over two proxies.
pub const CHAIN: &str = "
     0.0 alice -> proxy INVITE
     0.1 proxy -> dave INVITE fwd
     0.2 dave -> bob INVITE fwd
     0.5 dave <- bob 180
     0.6 proxy <- dave 180 fwd
     0.7 alice <- proxy 180 fwd
     2.0 dave <- bob 200
     2.1 proxy <- dave 200 fwd
     2.2 alice <- proxy 200 fwd
     2.3 alice -> proxy ACK
     2.4 proxy -> dave ACK fwd
     2.5 dave -> bob ACK fwd
     5.0 alice -> proxy UPDATE
     5.1 proxy -> dave UPDATE fwd
     5.2 dave -> bob UPDATE fwd
     5.3 dave <- bob 200
     5.4 proxy <- dave 200 fwd
     5.5 alice <- proxy 200 fwd
     9.0 dave <- bob BYE
     9.1 proxy <- dave BYE fwd
     9.2 alice <- proxy BYE fwd
     9.3 alice -> proxy 200
     9.4 proxy -> dave 200 fwd
     9.5 dave -> bob 200 fwd
    20.0 alice -> proxy REGISTER call=r
    20.1 proxy -> dave REGISTER fwd call=r
    20.2 dave -> bob REGISTER fwd call=r
    20.3 dave <- bob 403 call=r
    20.4 proxy <- dave 403 fwd call=r
    20.5 alice <- proxy 403 fwd call=r";

#[cfg(test)]
mod tests;
