//! Who of the two parties sent a message: by its tag, and where both have the same tag (nothing forbids it: RFC 3261 §19.3
//! asks for tags to be unique, not for anybody to see to it) by where it came from.

use pipeline::call::Side;
use pipeline::media::{Address, MessageNote};
use sip::Method;

use crate::sessions::Session;

impl Session {
    /// Who sent a message of this session.
    pub fn sender(&mut self, message: &MessageNote) -> Side {
        let is_request = message.status.is_none();
        if message.from != message.to {
            let tag = if is_request { message.from } else { message.to };
            return if tag == self.caller { Side::Caller } else { Side::Callee };
        }
        let of_invite = message.cseq == self.invite;
        let known = match (message.method, is_request) {
            (Method::Invite, false) if of_invite => Some(Side::Callee),
            (Method::Invite | Method::Ack | Method::Prack, true) if of_invite => Some(Side::Caller),
            _ => self.sender_at(&message.source),
        };
        let side = known.unwrap_or(if is_request { Side::Caller } else { Side::Callee });
        // Of several hops that a message takes, the first is its sender's.
        self.signals[side.index()].get_or_insert(message.source);
        side
    }

    /// The party that signals from there: at that port, or alone at that host.
    fn sender_at(&self, source: &Address) -> Option<Side> {
        let only = |is: &dyn Fn(&Address) -> bool| {
            let [caller, callee] = self.signals.map(|signals| signals.is_some_and(|signals| is(&signals)));
            (caller != callee).then_some(if caller { Side::Caller } else { Side::Callee })
        };
        only(&|signals| signals == source).or_else(|| only(&|signals| signals.ip == source.ip))
    }
}
