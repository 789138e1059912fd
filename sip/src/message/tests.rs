use super::*;
use crate::{Framing, ReasonProtocol, parse};

fn message(text: &str) -> Message<'_> {
    parse(text.as_bytes(), Framing::Datagram { truncated: false }).expect("a message")
}

fn request(method: &str, fields: &str, body: &str) -> String {
    format!(
        "{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: a\r\nTo: b\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n{fields}\r\n{body}"
    )
}

#[test]
fn vias_come_in_list_order_across_fields_and_commas() {
    let text = request("BYE", "v: SIP/2.0/TLS i , SIP/2.0/UDP j;x=\",\"\r\nX: y\r\nVIA: SIP/2.0/UDP k\r\n", "");
    let message = message(&text);
    let hosts: Vec<_> = message.vias().map(|via| (via.host, via.port)).collect();
    assert_eq!(hosts, [(&b"h"[..], 5060), (b"i", 5061), (b"j", 5060), (b"k", 5060)]);
    assert_eq!(message.via_count, 4);
}

#[test]
fn contacts_come_in_list_order_and_stray_separators_are_passed_over() {
    let text = request(
        "REGISTER",
        "Contact: ,\"A, B\" <sip:a@h;expires=1>;q=1;expires=60,, <sip:b@h>;Expires=x;;;\r\nm: sip:c@h;expires=\r\n 7,;x,*\r\n",
        "",
    );
    let address = |uri: &'static str, expires| Contact::Address { uri: uri.as_bytes(), expires };
    let contacts: Vec<_> = message(&text).contacts().collect();
    let expected =
        [address("sip:a@h;expires=1", Some(60)), address("sip:b@h", None), address("sip:c@h", Some(7)), Contact::Star];
    assert_eq!(contacts, expected);
}

#[test]
fn an_expires_beyond_range_is_clamped() {
    let text = request("REGISTER", "Contact: *;expires=99999999999\r\nExpires: 99999999999\r\n", "");
    assert_eq!(message(&text).expires(), Some(u32::MAX));
    let text = request("REGISTER", "Contact: <sip:a@h>;expires=99999999999\r\n", "");
    assert_eq!(
        message(&text).contacts().collect::<Vec<_>>(),
        [Contact::Address { uri: b"sip:a@h", expires: Some(u32::MAX) }]
    );
}

#[test]
fn reasons_come_from_lists_and_repeated_fields() {
    let text = request(
        "BYE",
        "Reason: q.850 ; cause = 16 ;text=\"a, b;cause=3\", SIP;cause=1000\r\nReason: X, ,Q.850;cause=x\r\n",
        "",
    );
    let reasons: Vec<_> = message(&text).reasons().map(|reason| (reason.protocol, reason.cause)).collect();
    use ReasonProtocol::{Other, Q850, Sip};
    assert_eq!(reasons, [(Q850, Some(16)), (Sip, None), (Other, None), (Q850, None)]);
}

#[test]
fn the_user_agent_of_a_request_is_unfolded() {
    let text = request("BYE", "User-Agent:  Phone  1\r\n\t(x)\r\n", "");
    assert_eq!(message(&text).user_agent().as_deref(), Some(&b"Phone  1 (x)"[..]));
    let text = request("BYE", "user-agent: Phone\r\n", "");
    assert!(matches!(message(&text).user_agent(), Some(Cow::Borrowed(b"Phone"))));
    assert_eq!(message(&request("BYE", "User-Agent:\r\n", "")).user_agent(), None);
    let response = text.replace("BYE sip:b@h SIP/2.0", "SIP/2.0 200 OK");
    assert_eq!(message(&response).user_agent(), None);
}

#[test]
fn numbers_are_read_up_to_what_follows_them() {
    let text = request(
        "INVITE",
        "Expires: 60\r\nx: 0090;refresher=uas\r\nRetry-After: 120 (soon);duration=3\r\nRSeq: 988789\r\n",
        "",
    );
    let message = message(&text);
    assert_eq!((message.expires(), message.session_expires()), (Some(60), Some(90)));
    assert_eq!((message.retry_after(), message.rseq()), (Some(120), Some(988_789)));
}

#[test]
fn what_is_absent_is_none() {
    let text = request("INVITE", "Expires: soon\r\n", "");
    let message = message(&text);
    assert_eq!(
        (message.expires(), message.session_expires(), message.rseq(), message.retry_after()),
        (None, None, None, None)
    );
    assert_eq!((message.p_asserted_identity(), message.session_id(), message.content_type()), (None, None, None));
    assert_eq!((message.contacts().count(), message.reasons().count()), (0, 0));
    assert!(!message.has_replaces() && !message.has_sdp() && message.body().is_empty());
}

#[test]
fn identities_are_given_without_what_surrounds_them() {
    let text = request(
        "INVITE",
        "P-Asserted-Identity: \"A\" <sip:+49@h>, <tel:+49>\r\nP-Asserted-Identity: <tel:+1>\r\nSession-ID: ab30;remote=00\r\nReplaces: x\r\n",
        "",
    );
    let message = message(&text);
    assert_eq!(message.p_asserted_identity(), Some(&b"sip:+49@h"[..]));
    assert_eq!(message.session_id(), Some(&b"ab30"[..]));
    assert!(message.has_replaces());
}

#[test]
fn a_session_description_is_known_by_its_type_also_inside_a_multipart_body() {
    for (content_type, body, expected) in [
        ("Application/SDP ; charset=x", "v=0", true),
        ("application/sdp", "", false),
        ("application/sdpx", "v=0", false),
        ("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/SDP\r\n\r\nv=0", true),
        ("multipart/mixed;boundary=b", "/--b\r\nContent-Type: text/plain\r\n\r\nv=0", false),
        ("text/plain", "application/sdp", false),
    ] {
        let text = request("INVITE", &format!("c: {content_type}\r\n"), body);
        assert_eq!(message(&text).has_sdp(), expected, "{content_type}");
    }
}

#[test]
fn a_response_has_a_status_and_the_method_of_its_cseq() {
    let text = request("PRACK", "", "").replace("PRACK sip:b@h SIP/2.0", "SIP/2.0 481 x");
    let message = message(&text);
    assert_eq!((message.is_request(), message.status(), message.method()), (false, Some(481), Method::Prack));
}

#[test]
fn a_session_id_marks_a_message_for_logging_by_a_parameter_alone() {
    for (value, marked) in
        [("ab30;remote=00;logme", true), ("ab30 ; LogMe", true), ("logme", false), ("ab30;x=logme", false)]
    {
        assert_eq!(
            message(&request("INVITE", &format!("Session-ID: {value}\r\n"), "")).is_marked_for_logging(),
            marked
        );
    }
    assert!(!message(&request("INVITE", "", "")).is_marked_for_logging());
}

#[test]
fn any_field_is_found_by_its_name() {
    let text = request("INVITE", "no field\r\nTraceParent :  00-a\r\n\tb \r\ntraceparent: 2\r\nEmpty:\r\n", "x: body");
    let message = message(&text);
    assert_eq!(message.field(b"traceparent"), Some(&b"00-a\r\n\tb"[..]));
    assert_eq!(message.field(b"CSeq").map(|value| value.ends_with(b" INVITE")), Some(true));
    assert_eq!((message.field(b"empty"), message.field(b"trace"), message.field(b"x")), (Some(&b""[..]), None, None));
}
