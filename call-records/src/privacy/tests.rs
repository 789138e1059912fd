use super::*;

fn privacy(numbers: Numbers) -> Privacy {
    Privacy { numbers, key: "secret".to_owned(), ..Privacy::default() }
}

fn own(names: &[&str]) -> Own {
    let mut own = Own::default();
    names.iter().for_each(|name| own.add(name));
    own
}

fn cleared(text: &str, names: &[&str]) -> String {
    privacy(Numbers::Drop).cleared(text.as_bytes(), 256, &own(names)).into()
}

#[test]
fn numbers_are_shown_as_configured() {
    let shown = |numbers, user: &str| privacy(numbers).number(user.as_bytes()).map(String::from);
    assert_eq!(shown(Numbers::Drop, "+49123456"), None);
    assert_eq!(shown(Numbers::Plain, "+49123456"), Some("+49123456".to_owned()));
    assert_eq!(shown(Numbers::Mask, "+49123456"), Some("+4912****".to_owned()));
    assert_eq!(shown(Numbers::Mask, "98"), Some("98".to_owned()));
    // echo -n 49123456 | openssl dgst -sha256 -hmac secret
    assert_eq!(shown(Numbers::Hmac, "+49123456"), Some("d96281a1bd656b90".to_owned()));
}

#[test]
fn of_a_message_that_could_not_be_read_the_first_word_is_shown() {
    let address = "192.0.2.77:5060".parse().expect("an address");
    let frame = pipeline::SipFrame::datagram(address, address, wire::Timestamp::ZERO);
    let shown = |privacy: Privacy, line: &str| {
        let refused = Refused::new(line.as_bytes(), &frame, sip::ParseError::MissingHeader);
        let shown = privacy.refused(&refused);
        (String::from_utf8_lossy(&shown.line).into_owned(), shown.source.to_string())
    };
    let plain = Privacy { ip: Addresses::Prefix, ..privacy(Numbers::Plain) };
    let line = "INVITE sip:+4930:secret@h SIP/2.0";
    assert_eq!(shown(plain, line), ("INVITE sip:+4930:***@h SIP/2.0".to_owned(), "192.0.2.0:5060".to_owned()));
    for (line, expected) in [(line, "INVITE"), ("SIP/2.0 999 +4930", "SIP/2.0"), ("+4930123456 x", ""), ("alice x", "")]
    {
        assert_eq!(shown(privacy(Numbers::Drop), line).0, expected);
    }
}

#[test]
fn text_keeps_no_number_of_the_call() {
    let names = ["+4915112345", "4711", "bob", "Alice.Smith"];
    for (text, expected) in [
        ("Busy Here", "Busy Here"),
        ("+4915112345 is busy", "*** is busy"),
        ("User 004915112345 busy", "User *** busy"),
        ("2345 busy", "*** busy"),
        ("x4711y", "x***y"),
        ("Bob left, bobcat stays", "*** left, bobcat stays"),
        ("ALICE.SMITH@home", "***@home"),
        ("+49 (0) 30-123 45", "+***"),
        ("call 030123", "call ***"),
        ("+49.151.123.45 is busy", "+*** is busy"),
        ("0151.12345 gone", "0*** gone"),
        ("v1.5 49.151.123.45", "v1.5 ***"),
        ("Error 488 at 12:30", "Error 488 at 12:30"),
        ("Yealink SIP-T46S 66.84.0.15", "Yealink SIP-T46S 66.84.0.15"),
        ("AVM FRITZ!Box 7590 154.07.29 (Nov 2021)", "AVM FRITZ!Box 7590 154.07.29 (Nov 2021)"),
        ("", ""),
    ] {
        assert_eq!(cleared(text, &names), expected, "{text}");
    }
    assert_eq!(&*privacy(Numbers::Plain).cleared(b"call 030123456", 256, &own(&[])), "call 030123456");
}

#[test]
fn text_is_bounded_and_text_whatever_it_holds() {
    assert_eq!(cleared("\u{e4}\u{f6}4711\u{fc}", &["4711"]), "\u{e4}\u{f6}***\u{fc}");
    assert_eq!(&*privacy(Numbers::Drop).cleared(b"\xff\xfeBusy \xe4", 5, &own(&[])), "\u{fffd}\u{fffd}Bus");
}

#[test]
fn addresses_are_cut_to_their_network_also_within_text() {
    let privacy = Privacy { ip: Addresses::Prefix, numbers: Numbers::Plain, ..Privacy::default() };
    let shown = |text: &str| privacy.address(text.parse().expect("an address")).to_string();
    assert_eq!(shown("192.0.2.77:5070"), "192.0.2.0:5070");
    assert_eq!(shown("[2001:db8:a:b::1]:5060"), "[2001:db8:a::]:5060");
    assert_eq!(shown("[::ffff:192.0.2.77]:5060"), "192.0.2.0:5060");
    let cleared = |text: &str| String::from(privacy.cleared(text.as_bytes(), 256, &own(&[])));
    assert_eq!(cleared("gone to 192.0.2.77."), "gone to 192.0.2.0.");
    assert_eq!(cleared("at 2001:db8:a:b::1 now"), "at 2001:db8:a:: now");
    assert_eq!(cleared("version 1.2.3 at 12:30"), "version 1.2.3 at 12:30");
    let host = |text: &str| privacy.host(text.as_bytes(), &own(&[])).map(String::from);
    assert_eq!(host("192.0.2.77"), Some("192.0.2.0".to_owned()));
    assert_eq!(host("[2001:db8:a:b::1]"), Some("2001:db8:a::".to_owned()));
    assert_eq!(host("example.com"), Some("example.com".to_owned()));
}

#[test]
fn a_call_id_is_hashed_when_told_so_or_when_it_gives_something_away() {
    let own = own(&["+4915112345"]);
    let plain = privacy(Numbers::Drop);
    assert_eq!(&*plain.call_id(b"a84b@host", &own), "a84b@host");
    let hashed = plain.call_id(b"1-4915112345@host", &own);
    assert_eq!(hashed.len(), 32);
    assert_eq!(&*privacy(Numbers::Plain).call_id(b"1-4915112345@host", &own), "1-4915112345@host");
    let hash = Privacy { call_id: CallIds::Hash, key: "secret".to_owned(), ..Privacy::default() };
    // echo -n a84b@host | openssl dgst -sha256 -hmac secret | cut -c 1-32
    assert_eq!(&*hash.call_id(b"a84b@host", &own), HASHED);
    let prefix = Privacy { ip: Addresses::Prefix, ..Privacy::default() };
    assert_eq!(prefix.call_id(b"a84b@192.0.2.7", &own).len(), 32);
    assert_eq!(&*prefix.call_id(b"a84b@host", &own), "a84b@host");
    // As it is dialled at home, and as people write it.
    for telling in ["0151-12345@host", "call-015112345-7@host", "+49.151.123-45@host"] {
        assert_eq!(plain.call_id(telling.as_bytes(), &own).len(), 32, "{telling}");
    }
    assert_eq!(&*plain.call_id(b"15-11-2026.12345@host", &own), "15-11-2026.12345@host");
    assert_eq!(&*plain.branch(b"z9hG4bK-1", &own), "z9hG4bK-1");
    assert_eq!(plain.branch(b"z9hG4bK-4915112345", &own).len(), 32);
}

const HASHED: &str = "6d7f009ad51ab5c42e1bbc6e162cdf8e";

/// Whoever sends a Call-ID of 60 kB wants it to be looked at for long.
#[test]
fn a_token_longer_than_any_is_hidden_without_a_look() {
    let plain = privacy(Numbers::Drop);
    let none = Own::default();
    assert_eq!(plain.call_id(&[b'7'; 1025], &none).len(), 32);
    assert_eq!(plain.call_id(&[b'x'; 1024], &none).len(), 1024);
    assert_eq!(privacy(Numbers::Plain).call_id(&[b'7'; 2000], &none).len(), 1024, "cut where nothing is hidden");
}

#[test]
fn a_host_that_is_a_number_is_not_shown() {
    let own = own(&["4915112345"]);
    assert_eq!(privacy(Numbers::Drop).host(b"4915112345", &own), None);
    assert_eq!(privacy(Numbers::Drop).host(b"sip4915112345.example.com", &own), None);
    assert_eq!(privacy(Numbers::Plain).host(b"4915112345", &own).as_deref(), Some("4915112345"));
}

fn invite(from: &str, to: &str, more: &str) -> String {
    format!(
        "INVITE {to} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <{from}>;tag=a\r\nTo: <{to}>\r\n\
         Call-ID: c\r\nCSeq: 1 INVITE\r\n{more}\r\n"
    )
}

fn with_message<T>(text: &str, look: impl FnOnce(&Message<'_>) -> T) -> T {
    look(&sip::parse(text.as_bytes(), sip::Framing::Datagram { truncated: false }).expect("a message"))
}

#[test]
fn the_number_looked_for_stands_at_the_end_of_a_user_part() {
    let text = invite("sip:+49-151 12345;x=99@h", "sip:678@h", "P-Asserted-Identity: <tel:+4930555>\r\n");
    with_message(&text, |message| {
        for (wanted, has) in [
            ("12345", true),
            ("+4915112345", true),
            ("78", true),
            ("555", true),
            ("99", false),
            ("1234", false),
            ("", false),
        ] {
            assert_eq!(privacy(Numbers::Drop).has_number(wanted, message), has, "{wanted}");
        }
        assert!(privacy(Numbers::Hmac).has_number("678", message));
        assert!(!privacy(Numbers::Hmac).has_number("78", message), "of a hash there is no end");
    });
    with_message(&invite("sip:h", "sip:+49301234", ""), |message| {
        assert!(privacy(Numbers::Drop).has_number("1234", message), "a number in place of a host");
    });
}

#[test]
fn own_names_are_those_of_all_who_are_named_and_bounded() {
    let contacts: String = (0..40).map(|i| format!("Contact: <sip:contact{i}@h>\r\n")).collect();
    let text = invite("sip:Caller;p=1@h", "sip:callee@h", &format!("P-Asserted-Identity: <sip:pai@h>\r\n{contacts}"));
    with_message(&text, |message| {
        let mut own = Own::default();
        own.learn(message, &privacy(Numbers::Drop));
        assert_eq!(own.names().take(4).collect::<Vec<_>>(), ["caller", "callee", "pai", "contact0"]);
        assert_eq!(own.names().count(), own::MAX_OWN);
        let mut none = Own::default();
        none.learn(message, &privacy(Numbers::Plain));
        assert_eq!(none.names().count(), 0, "nothing is kept that nobody hides");
    });
}

#[test]
fn a_name_with_line_ends_in_it_is_remembered_once() {
    let own = own(&["bob\r", "bob\r", "carol\r\n ", "carol", "\r", "d\ra\nve", "d\ra\nve"]);
    assert_eq!(own.names().collect::<Vec<_>>(), ["bob", "carol", "d a ve"]);
}
