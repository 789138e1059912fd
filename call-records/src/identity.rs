//! Ids of traces and spans: hashes of what they stand for, the same however often and by whomever they are made.
//!
//! Every part goes in with its length before it, as OpenSIPS does it, so that several observers agree on the trace
//! of a call without talking to each other. MD5 is no secret here: it spreads, it does not protect.

use md5::{Digest, Md5};
use pipeline::call::ladder::SpanId;
use sip::Message;

/// Over the length of each part and the part.
fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| feed(&mut md5, part));
    md5.finalize().into()
}

fn feed(md5: &mut Md5, part: &[u8]) {
    md5.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    md5.update(part);
}

/// The trace a call is.
pub fn trace_id(call_id: &[u8]) -> [u8; 16] {
    valid(hash(&[call_id]))
}

/// What stands for the Call-ID of a call that shares it with too many: `token` stands for that where it is not shown.
pub fn of_reused(invite: &Message<'_>, token: Option<&[u8; 16]>) -> [u8; 16] {
    hash(&[token.map_or(invite.call_id, |token| &token[..]), cseq(invite), invite.from.tag])
}

/// The trace a single request is: `cseq` is the value as sent, `branch` that of the lowest Via, so that it is the same on every
/// hop.
pub fn request_trace_id(call_id: &[u8], cseq: &[u8], branch: &[u8]) -> [u8; 16] {
    valid(hash(&[call_id, cseq, branch]))
}

/// The span of a transaction as OpenSIPS names it: the parent of what it tells of the same transaction.
pub fn opensips_span(call_id: &[u8], cseq: &[u8], branch: &[u8]) -> SpanId {
    span(hash(&[call_id, cseq, branch]))
}

/// The span of a transaction as everybody names it that knows the side it was seen from.
pub fn side_span(side: TransactionSide, call_id: &[u8], cseq: &[u8], branch: &[u8]) -> SpanId {
    span(hash(&[side.as_str().as_bytes(), call_id, cseq, branch]))
}

/// A side of a transaction (RFC 3261 §17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionSide {
    /// Who sent the request.
    Client,
    /// Who received it.
    Server,
}

impl TransactionSide {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// A dialog, whichever side its tags are told from.
pub fn dialog_id(call_id: &[u8], tag: &[u8], other: &[u8]) -> [u8; 16] {
    hash(&[call_id, tag.min(other), tag.max(other)])
}

/// Makes the ids of one call's spans.
pub struct Identity {
    /// What the instance and the Call-ID left behind in the hash.
    begun: Md5,
    /// What stands for the Call-ID, where that is not shown.
    token: Option<Box<[u8; 16]>>,
}

impl Identity {
    /// Of a call as this instance sees it. `token` stands for a Call-ID that is not shown: from hashes of the Call-ID itself
    /// whoever guesses it could tell that he did.
    pub fn new(instance: &str, call_id: &[u8], token: Option<Box<[u8; 16]>>) -> Self {
        let mut begun = Md5::new();
        feed(&mut begun, instance.as_bytes());
        feed(&mut begun, token.as_ref().map_or(call_id, |token| &token[..]));
        Self { begun, token }
    }

    /// What ids have of the Call-ID, which is that of `message`.
    pub fn call_id<'a>(&'a self, message: &Message<'a>) -> &'a [u8] {
        self.token.as_ref().map_or(message.call_id, |token| &token[..])
    }

    /// The span that plays `role`: `cseq` is the value as sent, `what` a branch or a To tag.
    pub fn span(&self, role: &str, cseq: &[u8], what: &[u8]) -> SpanId {
        let mut md5 = self.begun.clone();
        [role.as_bytes(), cseq, what].iter().for_each(|part| feed(&mut md5, part));
        span(md5.finalize().into())
    }
}

/// The value of CSeq as sent.
pub fn cseq<'a>(message: &Message<'a>) -> &'a [u8] {
    message.field(b"CSeq").unwrap_or_default()
}

/// The context of a W3C `traceparent`, or of the `x-traceparent` of those who keep the name for themselves: trace id
/// and parent. `None` when there is none, or it is not exactly of the form (Trace Context §3.2).
pub fn offered(message: &Message<'_>) -> Option<([u8; 16], SpanId)> {
    [&b"traceparent"[..], b"x-traceparent"].into_iter().find_map(|name| traceparent(message.field(name)?))
}

fn traceparent(value: &[u8]) -> Option<([u8; 16], SpanId)> {
    let (known, rest) = value.split_at_checked(55)?;
    let fields = (known[2], known[35], known[52]);
    let version: [u8; 1] = lower_hex(&known[..2])?;
    let _flags: [u8; 1] = lower_hex(&known[53..])?;
    // Later versions may add fields behind these (§3.2.4).
    let whole = rest.is_empty() || version != [0] && rest[0] == b'-';
    if fields != (b'-', b'-', b'-') || version == [0xff] || !whole {
        return None;
    }
    let (trace_id, parent): ([u8; 16], [u8; 8]) = (lower_hex(&known[3..35])?, lower_hex(&known[36..52])?);
    (trace_id != [0; 16] && parent != [0; 8]).then_some((trace_id, SpanId(parent)))
}

/// The local UUID of Session-ID (RFC 7989 §5); `None` for the nil UUID too.
pub fn session_uuid(message: &Message<'_>) -> Option<[u8; 16]> {
    lower_hex(message.session_id()?).filter(|uuid| *uuid != [0; 16])
}

/// Exactly `N` bytes as hex digits, which have to be lower case (W3C Trace Context §2.2, RFC 7989 §5).
fn lower_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !text.iter().any(u8::is_ascii_uppercase);
    (is_lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// Ids of zeros alone mean that there is none.
fn valid(mut id: [u8; 16]) -> [u8; 16] {
    id[15] |= u8::from(id == [0; 16]);
    id
}

fn span(hash: [u8; 16]) -> SpanId {
    let mut id = *hash.first_chunk().expect("a hash is longer than a span id");
    id[7] |= u8::from(id == [0; 8]);
    SpanId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL_ID: &[u8] = b"a84b4c76e66710@pc33.atlanta.com";

    fn text(id: &[u8]) -> String {
        id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn ids_are_those_opensips_makes() {
        let (cseq, branch) = (b"314159 INVITE", b"z9hG4bK776asdhds");
        assert_eq!(text(&trace_id(CALL_ID)), "8edcf78929868eaab3b3ca1a95c2415e");
        assert_eq!(text(&request_trace_id(CALL_ID, cseq, branch)), "f2a1aab1fcb89a8670b40a8a61d1b364");
        assert_eq!(text(&opensips_span(CALL_ID, cseq, branch).0), "f2a1aab1fcb89a86");
        for (a, b) in [("1928301774", "a6c85cf"), ("a6c85cf", "1928301774")] {
            assert_eq!(text(&dialog_id(CALL_ID, a.as_bytes(), b.as_bytes())), "a0fc53c9036aa5a1e12e57749169b969");
        }
    }

    #[test]
    fn own_ids_are_the_hash_of_instance_call_role_and_what_the_span_is_of() {
        let whole = hash(&[b"instance", CALL_ID, b"txn", b"1 BYE", b"z9hG4bKx"]);
        let own = Identity::new("instance", CALL_ID, None).span("txn", b"1 BYE", b"z9hG4bKx");
        assert_eq!(own, span(whole));
        assert_ne!(own, Identity::new("other", CALL_ID, None).span("txn", b"1 BYE", b"z9hG4bKx"));
    }

    #[test]
    fn no_id_is_all_zeros() {
        assert_eq!(valid([0; 16])[15], 1);
        assert_eq!(span([0; 16]), SpanId([0, 0, 0, 0, 0, 0, 0, 1]));
        let mut late = [0; 16];
        late[9] = 7;
        assert_eq!(span(late), SpanId([0, 0, 0, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn a_traceparent_is_taken_only_in_its_exact_form() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let parent = "00f067aa0ba902b7";
        let taken = |value: String| traceparent(value.as_bytes()).map(|(id, span)| (text(&id), text(&span.0)));
        let expected = Some((trace.to_owned(), parent.to_owned()));
        assert_eq!(taken(format!("00-{trace}-{parent}-01")), expected);
        assert_eq!(taken(format!("cc-{trace}-{parent}-00-more")), expected);
        for wrong in [
            String::new(),
            format!("00-{trace}-{parent}"),
            format!("00-{trace}-{parent}-1"),
            format!("00-{trace}-{parent}-01-more"),
            format!("00-{trace}-{parent}-01 "),
            format!("cc-{trace}-{parent}-01more"),
            format!("ff-{trace}-{parent}-01"),
            format!("0x-{trace}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{}-{parent}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00_{trace}-{parent}-01"),
            format!("00-{trace}-{parent}-0g"),
        ] {
            assert_eq!(taken(wrong.clone()), None, "{wrong}");
        }
    }
}
