//! Any bytes, and valid messages with a few bytes changed: never a panic, and what must hold does.

use proptest::collection::vec;
use proptest::prelude::*;

#[path = "invariants/bodies.rs"]
mod bodies;
#[path = "invariants/parsed.rs"]
mod parsed;
#[path = "invariants/sorted.rs"]
mod sorted;

const INVITE: &str = "INVITE sip:b@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP a.example.com;branch=z9hG4bK1, SIP/2.0/TLS [2001:db8::1]:5070;branch=z9hG4bK2\r\n\
    v: SIP / 2.0 / TCP\r\n c.example.com ; rport ; branch = z9hG4bK3\r\n\
    From: \"A \\\"B\\\", C\" <sip:a@example.com;x=y>;tag=1\r\n\
    To: sip:b@example.com;tag=2\r\n\
    Call-ID: 1@a\r\n\
    CSeq: 7\r\n\tINVITE\r\n\
    Contact: <sip:a@192.0.2.1>;expires=60, \"D\" <sip:d@e>, *\r\n\
    Reason: Q.850;cause=16;text=\"x, y\", SIP;cause=200\r\n\
    Session-Expires: 90;refresher=uac\r\n\
    Max-Forwards: 70\r\n\
    User-Agent: Phone\r\n 2.0\r\n\
    P-Asserted-Identity: <sip:+1@h>, <tel:+1>\r\n\
    Session-ID: abc;remote=def\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\r\nv=0\r\n";

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4 192.0.2.1\r\na=group:BUNDLE a\r\n\
    m=audio 40010/2 RTP/SAVPF 111 0\r\na=mid:a\r\na=rtpmap:111 OPUS/48000/2\r\na=fmtp:111 a=1; usedtx=1\r\n\
    a=ptime:20\r\na=rtcp:53020 IN IP4 192.0.2.1\r\na=candidate:1 1 UDP 1 192.0.2.2 40010 typ host\r\na=sendonly\r\n\
    m=video 0 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\na=bundle-only\r\n";

const REPORT: &str = "VQSessionReport: CallTerm\r\nCallID: 1@h\r\nLocalMetrics:\r\nPacketLoss:NLR=5.0 JDR=2.0\r\n\
    BurstGapLoss:BLD=0 BD=0 GLD=2.0 GD=500 GMIN=16\r\nDelay:RTD=200 ESD=140 IAJ=2 MAJ=10\r\n\
    QualityEst:RLQ=90 RCQ=85 MOSLQ=4.2 MOSCQ=127\r\nRemoteMetrics:\r\nPacketLoss:NLR=0 JDR=NaN\r\n";

/// Bytes that mean something to the parser, more often than others.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![any::<u8>(), proptest::sample::select(b" \t\r\n:;,\"\\<>=/@?*[]0".as_slice())]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let response = INVITE.replacen("INVITE sip:b@example.com SIP/2.0", "SIP/2.0 302 Moved", 1);
    let register = INVITE.replace("INVITE", "REGISTER");
    let text = proptest::sample::select(vec![INVITE.to_owned(), response, register]);
    edited(text)
}

/// A text with a few bytes changed.
fn edited(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let edits = vec((any::<proptest::sample::Index>(), byte(), 0..3_u8), 0..8);
    (text, edits).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (place, byte, edit) in edits {
            let place = place.index(bytes.len());
            match edit {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => _ = bytes.remove(place),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_sorted_and_parsed_without_harm(bytes in vec(byte(), 0..600)) {
        sorted::check(&bytes);
        parsed::check(&bytes);
    }

    #[test]
    fn any_body_is_read_or_refused(
        bytes in edited(proptest::sample::select(vec![OFFER.to_owned(), REPORT.to_owned()])),
        end in 0..700_usize,
    ) {
        bodies::check(&bytes);
        bodies::check(&bytes[..end.min(bytes.len())]);
    }

    #[test]
    fn repeated_messages_are_sorted_without_harm(message in message(), times in 2..5_usize) {
        sorted::check(&message.repeat(times));
    }

    #[test]
    fn any_header_block_is_parsed_without_harm(bytes in vec(byte(), 0..300)) {
        parsed::check(&[b"BYE sip:a SIP/2.0\r\n".as_slice(), &bytes].concat());
    }

    #[test]
    fn a_message_with_a_few_bytes_changed_is_parsed_without_harm(bytes in message()) {
        sorted::check(&bytes);
        parsed::check(&bytes);
    }

    #[test]
    fn one_value_of_any_bytes_leaves_the_others_alone(value in vec(byte().prop_filter("no line", |b| *b != b'\n'), 1..60)) {
        let prefix = "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nTo: x";
        let bytes = [prefix.as_bytes(), &value, b"\r\nContact: <sip:z@h>\r\n\r\n"].concat();
        let message = sip::parse(&bytes, sip::Framing::Datagram { truncated: false }).expect("To is not empty");
        prop_assert_eq!(message.from.tag, b"1");
        prop_assert_eq!(message.contacts().count(), 1);
    }
}
