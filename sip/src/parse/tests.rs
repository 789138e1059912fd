use proptest::prelude::*;

use super::*;
use crate::anomaly::Anomalies;
use crate::limits::{MAX_FIELDS, MAX_VIAS};
use crate::via::Via;

const DATAGRAM: Framing = Framing::Datagram { truncated: false };
const CUT: Framing = Framing::Datagram { truncated: true };

/// The five fields every message needs, each on its line.
const REQUIRED: &str =
    "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n";

/// An OPTIONS with the required fields, then `fields`, then an empty line and `body`.
fn request(fields: &str, body: &str) -> String {
    format!("OPTIONS sip:b@h SIP/2.0\r\n{REQUIRED}{fields}\r\n{body}")
}

/// The response to [`request`].
fn response(fields: &str, body: &str) -> String {
    format!("SIP/2.0 200 OK\r\n{REQUIRED}{fields}\r\n{body}")
}

fn error(message: &str, framing: Framing) -> Option<ParseError> {
    parse(message.as_bytes(), framing).err()
}

#[track_caller]
fn anomalies(message: &str, framing: Framing) -> Vec<AnomalyKind> {
    parse(message.as_bytes(), framing).expect("a message to track").anomalies.iter().collect()
}

#[track_caller]
fn body(message: &str, framing: Framing) -> &[u8] {
    parse(message.as_bytes(), framing).expect("a message to track").body()
}

#[test]
fn a_place_that_was_read_into_before_shows_nothing_of_it() {
    const RICH: &[u8] = b"INVITE sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP i;branch=z9hG4bK2\r\n\
        From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 7 INVITE\r\nContact: <sip:a@a>\r\nContact: <sip:c@c>\r\n\
        Expires: 60\r\nReason: SIP;cause=486\r\nUser-Agent: x\r\nMax-Forwards: 999\r\nContent-Length: 2\r\n\r\nhi";
    const POOR: &[u8] =
        b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h\r\nf: <sip:a@a>\r\nt: <sip:b@b>\r\ni: 2\r\nCSeq: 1 BYE\r\nl: 0\r\n\r\n";
    let datagram = Framing::Datagram { truncated: false };
    let mut place = Message::default();
    for bytes in [RICH, POOR, RICH, &RICH[..100], POOR] {
        let read = parse_into(bytes, datagram, &mut place);
        assert_eq!(read.map(|()| place.clone()), parse(bytes, datagram));
    }
}

#[test]
fn a_request_yields_what_tracking_needs() {
    let text = request("", "");
    let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
    assert_eq!(message.start, Start::Request { method: Method::Options, name: b"OPTIONS", uri: b"sip:b@h" });
    assert_eq!(message.via, Via { host: b"h", port: 5060, branch: b"z9hG4bK1" });
    assert_eq!((message.from.tag, message.to.tag), (&b"1"[..], &b""[..]));
    assert_eq!((message.call_id, message.cseq.number), (&b"c"[..], 1));
    assert!(message.anomalies.is_empty());
}

#[test]
fn lines_may_end_with_a_bare_line_feed() {
    let text = request("l: 2\n", "hi").replace("\r\n", "\n");
    let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
    assert_eq!((message.body(), message.anomalies), (&b"hi"[..], Anomalies::NONE));
}

#[test]
fn more_than_one_carriage_return_before_a_line_feed_is_no_anomaly() {
    let text = request("Subject: a\r\n b\r\nl: 2\r\n", "hi").replace("\r\n", "\r\r\n");
    let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
    assert_eq!((message.body(), message.anomalies), (&b"hi"[..], Anomalies::NONE));
    assert_eq!(message.start, Start::Request { method: Method::Options, name: b"OPTIONS", uri: b"sip:b@h" });
    assert_eq!((message.call_id, message.cseq.name), (&b"c"[..], &b"OPTIONS"[..]));
    let stream = parse(text.as_bytes(), Framing::Stream).expect("a message");
    assert_eq!(stream.body(), b"hi");
}

#[test]
fn line_ends_before_the_message_are_skipped() {
    assert_eq!(anomalies(&format!("\r\n\n{}", request("", "")), DATAGRAM), []);
}

#[test]
fn compact_forms_and_any_case_are_the_same_fields() {
    let text = "OPTIONS sip:b@h SIP/2.0\r\nV : SIP/2.0/UDP h\r\nF:sip:a@h;tag=1\r\nt\t: sip:b@h\r\nI:c\r\ncSEQ: 1 OPTIONS\r\nL:2\r\n\r\nhi!";
    let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
    assert_eq!((message.call_id, message.body()), (&b"c"[..], &b"hi"[..]));
}

#[test]
fn a_required_field_that_is_missing_or_empty_is_missing_header() {
    for field in REQUIRED.lines() {
        let name = field.split(':').next().expect("a name");
        let without = request("", "").replace(&format!("{field}\r\n"), "");
        let empty = request("", "").replace(field, &format!("{name}: \r\n "));
        assert_eq!(error(&without, DATAGRAM), Some(ParseError::MissingHeader), "{name} missing");
        assert_eq!(error(&empty, DATAGRAM), Some(ParseError::MissingHeader), "{name} empty");
    }
}

#[test]
fn a_request_whose_cseq_names_another_method_is_refused_and_a_response_is_not() {
    let text = request("", "").replace("1 OPTIONS", "1 options");
    assert_eq!(error(&text, DATAGRAM), Some(ParseError::CseqMismatch));
    assert_eq!(error(&response("", "").replace("1 OPTIONS", "1 INVITE"), DATAGRAM), None);
}

#[test]
fn a_cseq_that_cannot_be_read_is_an_error() {
    let text = response("", "").replace("1 OPTIONS", "4294967296 OPTIONS");
    assert_eq!(error(&text, DATAGRAM), Some(ParseError::Cseq));
}

#[test]
fn an_unreadable_or_empty_element_anywhere_in_the_via_list_is_an_error() {
    for fields in ["Via: x\r\n", "Via: SIP/2.0/UDP a,\r\n", "v: ,SIP/2.0/UDP a\r\n", "Via:\r\n"] {
        assert_eq!(error(&request(fields, ""), DATAGRAM), Some(ParseError::Via), "{fields}");
    }
}

#[test]
fn the_reason_that_stands_first_in_the_list_is_given() {
    let broken = |start: &str, via: &str, cseq: &str| {
        format!("{start}\r\nVia: {via}\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\nCSeq: {cseq}\r\nContent-Length: 9\r\n\r\n")
    };
    for (message, reason) in [
        (broken("x", "x", "x"), ParseError::StartLine),
        (broken("SIP/3.0 99 x", "x", "x"), ParseError::Version),
        (broken("SIP/2.0 99 x", "x", "x"), ParseError::Status),
        (broken("SIP/2.0 200 x", "", "x"), ParseError::MissingHeader),
        (broken("SIP/2.0 200 x", "x", "x"), ParseError::Cseq),
        (broken("BYE a SIP/2.0", "x", "1 ACK"), ParseError::CseqMismatch),
        (broken("SIP/2.0 200 x", "x", "1 ACK"), ParseError::Via),
        (broken("SIP/2.0 200 x", "SIP/2.0/UDP h", "1 ACK"), ParseError::ContentLength),
    ] {
        assert_eq!(error(&message, DATAGRAM), Some(reason), "{message}");
    }
}

#[test]
fn the_index_of_a_reason_is_its_place_in_the_list() {
    for (index, reason) in ParseError::ALL.into_iter().enumerate() {
        assert_eq!(reason.index(), index);
    }
}

#[test]
fn lines_that_are_no_field_are_skipped_with_what_continues_them() {
    for line in ["no colon\r\n", ": no name\r\n", "na(me: x\r\n", "\u{1}\r\n", "no colon\r\n Call-ID: z\r\n"] {
        let text = request(line, "");
        assert_eq!(anomalies(&text, DATAGRAM), [AnomalyKind::HeaderLine], "{line:?}");
        assert_eq!(parse(text.as_bytes(), DATAGRAM).expect("a message").call_id, b"c");
    }
    let text = request("", "").replace("SIP/2.0\r\nVia", "SIP/2.0\r\n continues nothing\r\nVia");
    assert_eq!(anomalies(&text, DATAGRAM), [AnomalyKind::HeaderLine]);
}

#[test]
fn the_first_of_a_single_value_field_counts() {
    let text = request("Call-ID: d\r\nf: <sip:x@y>;tag=9\r\nCSeq: x\r\n", "");
    let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
    assert_eq!((message.call_id, message.from.tag, message.cseq.number), (&b"c"[..], &b"1"[..], 1));
    assert_eq!(message.anomalies.iter().collect::<Vec<_>>(), [AnomalyKind::DupHeader]);
    let lists = "Contact: a\r\nm: b\r\nReason: SIP\r\nReason: SIP\r\nX-Any: 1\r\nX-Any: 2\r\nVia: SIP/2.0/UDP i\r\n";
    assert_eq!(anomalies(&request(lists, ""), DATAGRAM), []);
}

#[test]
fn a_message_without_empty_line_is_read_as_far_as_it_goes() {
    for end in ["\r\n", "\n", "\r", ""] {
        let text = format!("OPTIONS sip:b@h SIP/2.0\r\n{}{end}", REQUIRED.trim_end());
        assert_eq!(anomalies(&text, DATAGRAM), [AnomalyKind::NoBlankLine], "{end:?}");
    }
    assert_eq!(error("OPTIONS sip:b@h SIP/2.0", DATAGRAM), Some(ParseError::MissingHeader));
}

#[test]
fn surplus_behind_the_body_is_ignored() {
    let text = request("Content-Length: 2\r\n", "hi\r\nBYE sip:x SIP/2.0\r\n\r\n");
    for framing in [DATAGRAM, CUT, Framing::WebSocket, Framing::Stream] {
        assert_eq!(body(&text, framing), b"hi");
        assert!(anomalies(&text, framing).contains(&AnomalyKind::TrailingBytes), "{framing:?}");
    }
}

#[test]
fn without_content_length_the_body_runs_to_the_end_except_on_a_stream() {
    let text = request("", "hello");
    for framing in [DATAGRAM, CUT, Framing::WebSocket] {
        assert_eq!(body(&text, framing), b"hello");
    }
    assert_eq!(anomalies(&text, DATAGRAM), []);
    assert_eq!(anomalies(&text, Framing::WebSocket), []);
    assert_eq!(body(&text, Framing::Stream), b"");
    assert_eq!(anomalies(&request("", ""), Framing::Stream), [AnomalyKind::NoContentLength]);
}

#[test]
fn a_content_length_larger_than_what_came_drops_a_response_and_marks_a_request() {
    for length in ["6", "99999999999999999999", "-1", "5 x", "x", ""] {
        let field = format!("Content-Length: {length}\r\n");
        for framing in [DATAGRAM, Framing::WebSocket] {
            assert_eq!(anomalies(&request(&field, "hello"), framing), [AnomalyKind::ContentLength], "{length}");
            assert_eq!(body(&request(&field, "hello"), framing), b"hello");
            assert_eq!(error(&response(&field, "hello"), framing), Some(ParseError::ContentLength), "{length}");
        }
        assert_eq!(error(&request(&field, "hello"), Framing::Stream), Some(ParseError::ContentLength), "{length}");
    }
}

#[test]
fn a_packet_cut_by_the_capture_is_tracked_by_its_header() {
    for text in [request("Content-Length: 900\r\n", "hel"), response("Content-Length: 900\r\n", "hel")] {
        assert_eq!(anomalies(&text, CUT), [AnomalyKind::Snaplen]);
        assert_eq!(body(&text, CUT), b"hel");
    }
}

#[test]
fn half_a_line_at_the_cut_is_not_read() {
    let text = request("", "");
    let cut = text.find("OPTIONS\r\n\r\n").expect("CSeq stands last");
    assert_eq!(error(&text[..cut + 3], CUT), Some(ParseError::MissingHeader));
    let text = format!("OPTIONS sip:b@h SIP/2.0\r\n{REQUIRED}User-Agent: Pho");
    assert_eq!(anomalies(&text, CUT), [AnomalyKind::Snaplen]);
    assert_eq!(parse(text.as_bytes(), CUT).expect("a message").user_agent(), None);
}

#[test]
fn several_different_content_lengths_are_an_error_on_a_stream_only() {
    let text = request("Content-Length: 2\r\nl: 3\r\n", "hi");
    assert_eq!(anomalies(&text, DATAGRAM), [AnomalyKind::DupHeader]);
    assert_eq!(error(&text, Framing::Stream), Some(ParseError::ContentLength));
    let same = request("Content-Length: 2\r\nl: 02\r\n", "hi");
    assert_eq!(anomalies(&same, Framing::Stream), [AnomalyKind::DupHeader]);
}

#[test]
fn numbers_beyond_their_range_are_clamped_and_noticed() {
    for field in [
        "Expires: 4294967296",
        "Min-Expires: 99999999999999999999999999",
        "Session-Expires: 4294967296;refresher=uac",
        "Min-SE: 4294967296",
        "Retry-After: 949302838503028349304023988",
        "RSeq: 4294967296",
        "Max-Forwards: 256",
    ] {
        assert_eq!(anomalies(&request(&format!("{field}\r\n"), ""), DATAGRAM), [AnomalyKind::Number], "{field}");
    }
    assert_eq!(anomalies(&request("Expires: 4294967295\r\nMax-Forwards: 0255\r\nMin-SE: x\r\n", ""), DATAGRAM), []);
}

#[test]
fn a_contact_that_expires_beyond_range_is_noticed_where_it_matters() {
    let contact = "Contact: sip:a@b, <sip:c@d>;expires=4294967296\r\n";
    let register = request(contact, "").replace("OPTIONS", "REGISTER");
    assert_eq!(anomalies(&register, DATAGRAM), [AnomalyKind::Number]);
    assert_eq!(anomalies(&response(contact, "").replace("200 OK", "302 Moved"), DATAGRAM), [AnomalyKind::Number]);
    assert_eq!(anomalies(&request(contact, ""), DATAGRAM), []);
}

#[test]
fn a_message_beyond_a_bound_is_too_large() {
    let long = request("", &"x".repeat(MAX_MESSAGE));
    let exact = &long[..MAX_MESSAGE];
    for framing in [DATAGRAM, Framing::WebSocket] {
        assert_eq!(error(exact, framing), None);
        assert_eq!(error(&long, framing), Some(ParseError::TooLarge));
    }
    let longest = request("", &"x".repeat(MAX_STREAM_MESSAGE));
    assert_eq!(error(&longest, Framing::Stream), Some(ParseError::TooLarge));
}

#[test]
fn header_fields_are_bounded() {
    assert_eq!(error(&request(&"X: y\r\n".repeat(MAX_FIELDS - 5), ""), DATAGRAM), None);
    assert_eq!(error(&request(&"X: y\r\n".repeat(MAX_FIELDS - 4), ""), DATAGRAM), Some(ParseError::TooLarge));
}

#[test]
fn vias_are_bounded_across_fields_and_commas() {
    let more = usize::from(MAX_VIAS) - 1;
    let commas = format!("Via: SIP/2.0/UDP h{}\r\n", ", SIP/2.0/UDP h".repeat(more - 1));
    let fields = "Via: SIP/2.0/UDP h\r\n".repeat(more);
    for vias in [commas, fields] {
        let text = request(&vias, "");
        let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
        assert_eq!((message.via_count, message.vias().count()), (MAX_VIAS, usize::from(MAX_VIAS)));
        let text = request(&format!("{vias}v: SIP/2.0/UDP h\r\n"), "");
        assert_eq!(error(&text, DATAGRAM), Some(ParseError::TooLarge));
    }
}

proptest! {
    #[test]
    fn white_space_around_a_value_changes_nothing(
        before in prop::collection::vec(prop::sample::select(vec!["", " ", "  ", "\t", "\r\n "]), 6),
        behind in prop::collection::vec(prop::sample::select(vec!["", " ", "\t ", "\r", "\r\n ", "\n\t"]), 6),
        end in prop::sample::select(vec!["\r\n", "\n"]),
        from in prop::sample::select(vec!["<sip:a@h>;tag=1", "\"A\" <sip:a@h>", "A B <sip:a@h>;x;tag=1", "sip:a@h;tag=1", "<sip:a@h"]),
    ) {
        let fields = [
            ("Via", "SIP/2.0/UDP h:5061;rport;branch=z9hG4bK1"), ("From", from), ("To", "<sip:b@h>"), ("Call-ID", "c"),
            ("CSeq", "1 OPTIONS"), ("Content-Length", "4"),
        ];
        let text = |before: &[&str], behind: &[&str], end: &str| {
            let mut text = "OPTIONS sip:b@h SIP/2.0\r\n".to_owned();
            for (((name, value), before), behind) in fields.iter().zip(before).zip(behind) {
                text += &format!("{name}:{before}{value}{behind}{end}");
            }
            text + "\r\nbody"
        };
        let (plain, spaced) = (text(&[" "; 6], &[""; 6], "\r\n"), text(&before, &behind, end));
        let plain = parse(plain.as_bytes(), DATAGRAM).expect("a message");
        let spaced = parse(spaced.as_bytes(), DATAGRAM).expect("a message");
        let shown = |message: &Message<'_>| {
            let Message { start, via, from, to, call_id, cseq, anomalies, .. } = message;
            format!("{start:?} {via:?} {from:?} {to:?} {call_id:?} {cseq:?} {anomalies:?} {:?}", message.body())
        };
        prop_assert_eq!(shown(&spaced), shown(&plain));
    }
}
