use proptest::prelude::*;

use super::*;
use crate::Glance;

fn call_id(headers: &str) -> Option<String> {
    let text = format!("BYE sip:b@c SIP/2.0\r\n{headers}\r\n\r\n");
    let scan = Scan::of(text.as_bytes()).expect("it is SIP");
    scan.call_id.map(|id| String::from_utf8(id.to_vec()).expect("text"))
}

fn to_tag(to: &str) -> bool {
    let text = format!("BYE sip:b@c SIP/2.0\r\n{to}\r\nCall-ID: a\r\n\r\n");
    Scan::of(text.as_bytes()).expect("it is SIP").to_tag
}

#[test]
fn a_call_id_is_found_in_every_form_and_the_first_counts() {
    assert_eq!(call_id("Call-ID: a@b").as_deref(), Some("a@b"));
    assert_eq!(call_id("i:a@b").as_deref(), Some("a@b"));
    assert_eq!(call_id("cALL-id \t :\t a@b  ").as_deref(), Some("a@b"));
    assert_eq!(call_id("I : a@b\r\nCall-ID: c@d").as_deref(), Some("a@b"));
    assert_eq!(call_id("Subject: x\r\n Call-ID: folded\r\nCall-ID: c@d").as_deref(), Some("c@d"));
    assert_eq!(call_id("Call-ID: a@b\nCSeq: 1 BYE").as_deref(), Some("a@b"), "a line may end with LF alone");
    assert_eq!(call_id("Call-ID: a\rb").as_deref(), Some("a"));
    assert_eq!(call_id(&format!("Call-ID{}: a", " ".repeat(8))), None, "too many blanks");
}

#[test]
fn the_expires_of_a_subscribe_is_read_and_of_no_other_message() {
    let expires = |start: &str, headers: &str| {
        let text = format!("{start}\r\nCall-ID: a\r\n{headers}\r\n\r\n");
        Scan::of(text.as_bytes()).expect("it is SIP").expires
    };
    let of = |headers: &str| expires("SUBSCRIBE sip:c SIP/2.0", headers);
    assert_eq!(of("Expires: 3600"), Some(3600));
    assert_eq!(of("EXPIRES\t:0\r\nExpires: 7"), Some(0), "the first counts");
    assert_eq!((of("Expires: 99999999999"), of("Expires: 4294967296")), (Some(LONGEST_EXPIRES), Some(LONGEST_EXPIRES)));
    assert_eq!((of("Expires: x"), of("Expires:"), of("Min-Expires: 7"), of("X: y")), (None, None, None, None));
    assert_eq!(expires("REGISTER sip:c SIP/2.0", "Expires: 60"), None);
    assert_eq!(expires("SIP/2.0 200 OK", "CSeq: 1 SUBSCRIBE\r\nExpires: 60"), None);
}

#[test]
fn a_call_id_that_is_folded_missing_cut_off_or_behind_the_empty_line_is_none() {
    let none = [
        "Call-ID:\r\n a@b",
        "Call-ID: a\r\n b",
        "Call-ID:",
        "Call-IDs: a",
        "X: y\r\n\r\nCall-ID: a",
        "ii: a",
        "Call\rID: a",
    ];
    for headers in none {
        assert_eq!(call_id(headers), None, "{headers:?}");
    }
    assert_eq!(Scan::of(b"BYE sip:b@c SIP/2.0\r\nCall-ID: cut").expect("it is SIP").call_id, None);
}

#[test]
fn of_a_call_id_its_first_bytes_count_and_of_a_datagram_its_window() {
    assert_eq!(call_id(&format!("Call-ID: {}", "a".repeat(300))).map(|id| id.len()), Some(CALL_ID));
    assert_eq!(call_id(&format!("X: {}\r\nCall-ID: a", "x".repeat(WINDOW))), None);
}

#[test]
fn a_tag_counts_behind_the_last_bracket() {
    for to in [
        "To: <sip:b@c>;tag=1",
        "t:sip:b@c;x=y; TAG = 1",
        "TO: \"B\" <sip:b@c;x>;tag=1",
        "To: \"\\\"\" <sip:b@c>;x;tag=1",
    ] {
        assert!(to_tag(to), "{to}");
    }
    for to in
        ["To: \"x;tag=1\" <sip:b@c>", "To: <sip:b@c;tag=1>", "To: <sip:b@c>;tagged=1", "To: <sip:b@c>;tag", "X: ;tag=1"]
    {
        assert!(!to_tag(to), "{to}");
    }
}

#[test]
fn a_response_is_about_the_method_in_its_cseq() {
    let method = |cseq: &str| {
        let text = format!("SIP/2.0 200 OK\r\n{cseq}\r\ni: a\r\n\r\n");
        Scan::of(text.as_bytes()).expect("it is SIP").cseq
    };
    assert_eq!(method("CSeq: 1 INVITE"), Some(Method::Invite));
    assert_eq!(method("cseq\t:\t4294967295\tSUBSCRIBE "), Some(Method::Subscribe));
    assert_eq!(method("CSeq: 1 INVITED"), Some(Method::Other));
    for none in ["CSeq: INVITE", "CSeq: 1", "CSeq: 1INVITE", "CSeq: 12345678901 INVITE", "X: 1 INVITE"] {
        assert_eq!(method(none), None, "{none}");
    }
}

#[test]
fn what_is_no_sip_is_none() {
    for text in [
        "",
        "\r\n\r\n",
        "\0\x01\0\0\x21\x12",
        "INVITE sip:b@c SIP/2.0",
        "GET / HTTP/1.1\r\n\r\n",
        "invite x SIP/2.0\r\n",
        "SIP/2.0 99 x\r\n",
    ] {
        assert_eq!(Scan::of(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn help_is_called_by_urn_or_user() {
    let called = |uri: &str| match Called::by(format!("INVITE {uri} SIP/2.0\r\n").as_bytes()) {
        None => "nobody".to_owned(),
        Some(Called::Sos) => "sos".to_owned(),
        Some(Called::User(user)) => String::from_utf8(user.to_vec()).expect("text"),
    };
    assert_eq!(called("urn:service:sos"), "sos");
    assert_eq!(called("URN:Service:sos.police"), "sos");
    assert_eq!(called("urn:service:sosx"), "nobody");
    assert_eq!(called("sip:911@example.com"), "911");
    assert_eq!(called("SIPS:112;phone-context=x@c"), "112");
    assert_eq!(called("tel:911"), "911");
    assert_eq!(called("sip:fifteen-letters@c"), "fifteen-letters");
    assert_eq!(called("sip:sixteen-letters!@c"), "nobody");
    assert_eq!(called("sip:@c"), "nobody");
}

proptest! {
    #[test]
    fn it_agrees_with_a_glance_on_messages_as_they_are_sent(
        lines in prop::collection::vec(prop::sample::select(vec![
            "From: <sip:a@b>;tag=1", "f: <sip:x@y>;tag=2", "To: <sip:b@c>", "t: \"B\" <sips:d@E:5061;x=y>;tag=9",
            "Call-ID: one", "i:two", "CALL-ID \t: three", "CSeq: 1 INVITE", "Subject: x", "Contact: <sip:c@d>",
            "Via: SIP/2.0/UDP a;branch=z9hG4bK1;rport", "Call-ID: four\r\n folded", "To: sip:a@b;tag=x", "X: y\r\n\tz",
        ]), 1..12),
        start in prop::sample::select(vec!["INVITE sip:b@c SIP/2.0", "SIP/2.0 180 Ringing"]),
    ) {
        let text = format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n"));
        let (scan, glance) = (Scan::of(text.as_bytes()).expect("it is SIP"), Glance::at(text.as_bytes()).expect("it is SIP"));
        prop_assert_eq!(scan.start, glance.start);
        prop_assert_eq!(scan.call_id, glance.call_id);
        prop_assert_eq!(scan.to_tag, glance.to_tag);
        if matches!(scan.start, Start::Response(_)) {
            prop_assert_eq!(scan.cseq, glance.cseq.map(|(_, method)| method));
        }
    }

    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Scan::of(&bytes);
        let _ = Called::by(&bytes);
    }
}
