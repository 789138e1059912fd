//! One message with all that is known of it before any rule.

use std::time::Duration;

use pipeline::SipFrame;
use sip::{Message, Method};
use wire::Timestamp;

use crate::hash::{Branch, Hashes, Hop, Key, Tag};

/// A message, its frame, and the hashes that stand for its values.
pub struct Observed<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// Its addresses and times.
    pub frame: &'a SipFrame,
    /// Its Call-ID.
    pub call: Key,
    /// Its From tag.
    pub from: Tag,
    /// Its To tag.
    pub to: Tag,
    /// Its transaction's branch.
    pub branch: Branch,
    /// The branch of its top Via.
    via_branch: u64,
    /// CSeq number; of a method without a name of its own mixed with that name, which tells requests apart as well.
    pub cseq: u32,
    /// Its five-tuple.
    pub tuple: u32,
}

impl<'a> Observed<'a> {
    /// Hashes what the rules look at.
    pub fn new(hashes: &Hashes, call: Key, message: &'a Message<'a>, frame: &'a SipFrame) -> Self {
        let from = hashes.tag(message.from.tag);
        let via_branch = hashes.via_branch(&message.via);
        let name = if message.method() == Method::Other { hashes.method(message.cseq.name) } else { 0 };
        Self {
            message,
            frame,
            call,
            from,
            to: hashes.tag(message.to.tag),
            branch: hashes.branch(message, via_branch, from),
            via_branch,
            cseq: message.cseq.number ^ name,
            tuple: hashes.tuple(frame),
        }
    }

    /// Its top Via.
    pub fn hop(&self, hashes: &Hashes) -> Hop {
        hashes.hop_of(self.via_branch, &self.message.via)
    }

    /// Method of the request, or of the request a response answers.
    pub fn method(&self) -> Method {
        self.message.method()
    }

    /// The time of the packet that completed it.
    pub fn now(&self) -> Timestamp {
        self.frame.at
    }

    /// The pair of its tags, whichever side sent it (3.1).
    pub fn tags(&self) -> [Tag; 2] {
        pair(self.from, self.to)
    }

    /// Its Session-Expires.
    pub fn session_expires(&self) -> Option<Duration> {
        self.message.session_expires().map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// Two tags, told the same from either side.
pub fn pair(from: Tag, to: Tag) -> [Tag; 2] {
    if from <= to { [from, to] } else { [to, from] }
}
