//! What a message has to be followed together with: those of one Call-ID, or all registrations.
//!
//! For who divides messages among several that follow them. A look at the first lines of the header block, no more;
//! it finds what [`crate::parse()`] finds in a message that can be used.

use crate::cseq;
use crate::header::{Header, Lines};
use crate::method::Method;
use crate::start::{self, Start, skip_line_ends};

/// Messages of one group may mean something to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group<'a> {
    /// All under one Call-ID but registrations.
    Call(&'a [u8]),
    /// REGISTER and its responses, all of them: neither the Call-ID nor the address-of-record tells who belongs together.
    /// Bindings outlive a Call-ID (RFC 3261 §10.3), phones register several lines under one (§10.2), proxies rewrite To.
    Registrations,
}

/// The group of one message; `None` only where [`crate::parse()`] errs. `truncated`: the capture cut the message.
pub fn group(bytes: &[u8], truncated: bool) -> Option<Group<'_>> {
    let bytes = skip_line_ends(bytes);
    let first = start::parse(bytes).ok()?;
    let mut method = match first.start {
        Start::Request { method, .. } => Some(method),
        Start::Response { .. } => None,
    };
    let mut call_id = None;
    let mut lines = Lines::new(bytes, first.next, truncated);
    loop {
        match (method, call_id) {
            (Some(Method::Register), _) => return Some(Group::Registrations),
            (Some(_), Some(call_id)) => return Some(Group::Call(call_id)),
            _ => {}
        }
        let field = lines.next_field()?;
        match field.header {
            // Of two the first counts.
            Header::CallId => _ = call_id.get_or_insert_with(|| field.value(bytes).bytes()),
            Header::CSeq if method.is_none() => method = Some(cseq::parse(field.value(bytes).bytes())?.method),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Framing, parse};

    const INVITE: &str = "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=1\r\n\
                          To: <sip:b@example.com>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\r\n";

    fn of(text: &str) -> Option<Group<'_>> {
        group(text.as_bytes(), false)
    }

    #[test]
    fn a_request_belongs_to_its_call_id() {
        assert_eq!(of(INVITE), Some(Group::Call(b"one")));
        assert_eq!(of(&INVITE.replace("Call-ID: one", "i :\r\n two")), Some(Group::Call(b"two")));
        assert_eq!(of(&INVITE.replace("CSeq", "Call-ID: late\r\nCSeq")), Some(Group::Call(b"one")));
        assert_eq!(of(&INVITE.replace("Call-ID: one\r\n", "")), None);
    }

    #[test]
    fn registrations_are_one_group_and_so_are_their_responses() {
        let register = INVITE.replace("INVITE", "REGISTER");
        assert_eq!(of(&register), Some(Group::Registrations));
        let response = register.replace("REGISTER sip:b@example.com SIP/2.0", "SIP/2.0 200 OK");
        assert_eq!(of(&response), Some(Group::Registrations));
    }

    #[test]
    fn a_response_belongs_to_the_call_id_wherever_its_cseq_stands() {
        let response = INVITE.replace("INVITE sip:b@example.com SIP/2.0", "SIP/2.0 200 OK");
        assert_eq!(of(&response), Some(Group::Call(b"one")));
        let early = response.replace("CSeq: 1 INVITE\r\n", "").replace("Via", "CSeq: 1 INVITE\r\nVia");
        assert_eq!(of(&early), Some(Group::Call(b"one")));
    }

    proptest! {
        #[test]
        fn a_message_that_can_be_used_has_the_group_its_fields_name(
            lines in prop::collection::vec(prop::sample::select(vec![
                "Via: SIP/2.0/UDP a;branch=z9hG4bK1", "v: SIP/2.0/UDP b", "From: <sip:a@b>;tag=1", "f: x", "To: <sip:b@c>",
                "t: \"B\" <sips:d@E:5061;x=y>;tag=9", "To:", "Call-ID: one", "i:two", "CALL-ID \t: three", "Call-ID:",
                "CSeq: 1 INVITE", "CSeq: 2 REGISTER", "cseq: 3\r\n REGISTER", "no field", "Subject: x", " folded", "", "\n",
            ]), 0..16),
            start in prop::sample::select(vec![
                "INVITE sip:b@c SIP/2.0", "REGISTER sip:c SIP/2.0", "SIP/2.0 200 OK", "\r\nsip/2.0 401 ", "REGISTER  sip:c  SIP/2.0",
            ]),
            cut in 0usize..400,
            truncated: bool,
        ) {
            let mut text = format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes();
            text.truncate(cut.max(20));
            if let Ok(message) = parse(&text, Framing::Datagram { truncated }) {
                let expected = match message.cseq.method {
                    Method::Register => Group::Registrations,
                    _ => Group::Call(message.call_id),
                };
                prop_assert_eq!(group(&text, truncated), Some(expected));
            }
        }
    }
}
