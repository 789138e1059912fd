//! Reading ahead: a few messages are parsed together, and what they will ask for is fetched, before the first is
//! followed.
//!
//! Of what is remembered of the calls of half a minute little is in the processor's caches, and a message asks for one
//! thing after the other: its group, from there its latest request, from there often its transaction. Following message after
//! message, each of these is waited for in turn. Fetched for sixteen messages at a time they are waited for together,
//! step by step: what was fetched for all in one step is looked at in the next. Nothing here changes anything, and what
//! it expects may turn out otherwise: then it is fetched when it is asked for.

use pipeline::{FrameBatch, SipFrame, Transport};
use sip::{Framing, Message, ParseError};

use crate::key::{Key, Mark};
use crate::state::State;

/// A message that was read, and what it is found by.
pub struct Read<'a> {
    /// Its addresses and times.
    pub frame: &'a SipFrame,
    /// The message.
    pub message: Result<Message<'a>, ParseError>,
    /// Its Call-ID.
    pub call: Key,
    /// Its transaction.
    pub transaction: Key,
    /// Its top Via.
    pub via: Mark,
}

impl State {
    /// Parses the next messages of a batch into `ahead`, and fetches what is known under their Call-IDs.
    pub(crate) fn read_ahead<'a>(&self, batch: &'a FrameBatch, frames: &'a [SipFrame], ahead: &mut [Option<Read<'a>>]) {
        for (place, frame) in ahead.iter_mut().zip(frames) {
            let read = place.insert(self.read(frame, batch.message(frame)));
            self.groups.fetch_index(read.call);
            // A response's is found in its call.
            if read.message.as_ref().is_ok_and(Message::is_request) {
                self.transactions.fetch_index(read.transaction);
            }
        }
        let mut groups = [None; AHEAD];
        for (group, read) in groups.iter_mut().zip(ahead.iter().flatten()) {
            *group = self.groups.fetch(read.call);
        }
        let mut latest = [None; AHEAD];
        for (latest, group) in latest.iter_mut().zip(groups) {
            let Some(group) = group.and_then(|place| self.groups.at(place)) else { continue };
            let dialog = self.dialogs.fetch_latest(group.dialogs);
            *latest = Some((self.requests.fetch_latest(group.requests), dialog));
            self.attempts.fetch_latest(group.attempts);
        }
        for (request, dialog) in latest.into_iter().flatten() {
            if let Some(lr) = self.requests.at(request) {
                self.transactions.fetch(lr.first);
                self.wheel.fetch(lr.timer);
            }
            if let Some(dialog) = self.dialogs.at(dialog) {
                self.wheel.fetch(dialog.timer);
            }
        }
    }

    fn read<'a>(&self, frame: &'a SipFrame, bytes: &'a [u8]) -> Read<'a> {
        let framing = match frame.transport {
            Transport::Udp => Framing::Datagram { truncated: frame.truncated },
            Transport::Tcp | Transport::Tls => Framing::Stream,
            Transport::Ws | Transport::Wss => Framing::WebSocket,
        };
        let message = sip::parse(bytes, framing);
        let Ok(known) = &message else {
            return Read { frame, message, call: Key::default(), transaction: Key::default(), via: 0 };
        };
        let (call, via) = (self.keys.call(known.call_id), self.keys.via(&known.via));
        let method = if known.is_request() { known.method() } else { known.cseq.method };
        let transaction = self.keys.transaction(call, via, known, method);
        Read { frame, message, call, transaction, via }
    }
}

/// Messages read together.
pub const AHEAD: usize = 16;
