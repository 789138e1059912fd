use proptest::prelude::*;

use super::*;

const INVITE: &str = "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\n\
                      To: <sip:b@example.com>\r\nCall-ID: one@a\r\nCSeq: 1 INVITE\r\n\r\n";

fn look(text: &str) -> Glance<'_> {
    Glance::at(text.as_bytes()).expect("it is SIP")
}

fn call_id(headers: &str) -> Option<String> {
    let text = format!("BYE sip:b@c SIP/2.0\r\n{headers}\r\n\r\n");
    look(&text).call_id.map(|id| String::from_utf8(id.to_vec()).expect("text"))
}

#[test]
fn an_ordinary_request_shows_everything() {
    let glance = look(INVITE);
    assert_eq!(glance.start, Start::Request(Method::Invite));
    assert_eq!(glance.call_id, Some(&b"one@a"[..]));
    assert_eq!((glance.to_tag, glance.cseq), (false, Some((1, Method::Invite))));
    assert_eq!(glance.via, Some(Via { branch: b"z9hG4bK1", rport: true }));
    assert!(glance.begins_dialog());
}

#[test]
fn a_response_shows_its_status() {
    let text = INVITE.replacen("INVITE sip:b@example.com SIP/2.0", "SIP/2.0 481 Gone", 1);
    assert_eq!(look(&text).start, Start::Response(481));
    for line in ["SIP/2.0 99 x", "SIP/2.0 700 x", "SIP/2.0 20", "SIP/3.0 200 OK"] {
        assert_eq!(Glance::at(format!("{line}\r\nCall-ID: a\r\n\r\n").as_bytes()), None, "{line}");
    }
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
}

#[test]
fn a_call_id_that_is_folded_missing_or_behind_the_empty_line_is_none() {
    for headers in [
        "Call-ID:\r\n a@b",
        "Call-ID: a\r\n b",
        "Call-ID:",
        "Call-IDs: a",
        "X: y\r\n\r\nCall-ID: a",
        "ii: a",
        "Call-ID a",
    ] {
        assert_eq!(call_id(headers), None, "{headers:?}");
    }
}

#[test]
fn of_a_call_id_its_first_bytes_count_and_of_a_datagram_its_window() {
    let long = "a".repeat(300);
    assert_eq!(call_id(&format!("Call-ID: {long}")).map(|id| id.len()), Some(CALL_ID));
    let far = format!("X: {}\r\nCall-ID: a", "x".repeat(WINDOW));
    assert_eq!(call_id(&far), None);
}

#[test]
fn a_tag_counts_behind_the_address_alone() {
    let tag = |to: &str| look(&INVITE.replace("To: <sip:b@example.com>", to)).to_tag;
    for to in
        ["To: <sip:b@c>;tag=1", "t:sip:b@c;x=y; TAG = 1", "TO: \"B\" <sip:b@c;x>;tag=1", "To: \"\\\"\" <sip:b@c>;tag=1"]
    {
        assert!(tag(to), "{to}");
    }
    for to in
        ["To: \"x;tag=1\" <sip:b@c>", "To: <sip:b@c;tag=1>", "To: <sip:b@c>;tagged=1", "To: <sip:b@c>;tag", "X: ;tag=1"]
    {
        assert!(!tag(to), "{to}");
    }
}

#[test]
fn of_several_vias_the_first_counts() {
    let via = |via: &str| {
        let text = INVITE.replace("Via: SIP/2.0/UDP a:5060;branch=z9hG4bK1;rport", via);
        look(&text).via.map(|via| (String::from_utf8(via.branch.to_vec()).expect("text"), via.rport))
    };
    assert_eq!(via("v: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;rport;branch=2"), Some(("1".to_owned(), false)));
    assert_eq!(via("Via: SIP/2.0/UDP a; rport=5060 ;Branch = 1\r\nVia: x;branch=2"), Some(("1".to_owned(), true)));
    assert_eq!(via("Via: nothing"), Some((String::new(), false)));
    assert_eq!(via("X: y"), None);
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
    ] {
        assert_eq!(Glance::at(text.as_bytes()), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn it_agrees_with_the_parser_on_messages_as_they_are_sent(
        lines in prop::collection::vec(prop::sample::select(vec![
            "From: <sip:a@b>;tag=1", "f: <sip:x@y>;tag=2", "To: <sip:b@c>", "t: \"B\" <sips:d@E:5061;x=y>;tag=9",
            "Call-ID: one", "i:two", "CALL-ID \t: three", "CSeq: 1 INVITE", "Subject: x", "Contact: <sip:c@d>",
            "Via: SIP/2.0/UDP a;branch=z9hG4bK1;rport", "v: SIP/2.0/UDP b ;branch=z9hG4bK2",
        ]), 4..12),
    ) {
        let text = format!("INVITE sip:b@c SIP/2.0\r\n{}\r\n\r\n", lines.join("\r\n"));
        if let Ok(message) = sip::parse(text.as_bytes(), sip::Framing::Datagram { truncated: false }) {
            let glance = Glance::at(text.as_bytes()).expect("it is SIP");
            prop_assert_eq!(glance.call_id, Some(message.call_id));
            prop_assert_eq!(glance.to_tag, !message.to.tag.is_empty());
            prop_assert_eq!(glance.cseq, Some((message.cseq.number, message.cseq.method)));
            let via = message.vias().next().expect("it has one");
            prop_assert_eq!(glance.via.map(|via| via.branch), Some(via.branch));
        }
    }

    #[test]
    fn any_bytes_may_come(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
        let _ = Glance::at(&bytes);
        let _ = Glance::at(&INVITE.as_bytes()[..cut.min(INVITE.len())]);
        let mut mutated = INVITE.as_bytes().to_vec();
        for (at, byte) in bytes.iter().enumerate().step_by(7) {
            let len = mutated.len();
            mutated[(at * 31 + cut) % len] = *byte;
        }
        let _ = Glance::at(&mutated);
    }
}
