use proptest::prelude::*;

use super::*;

#[test]
fn every_field_is_known_by_both_names_in_any_case() {
    for (names, header) in [
        ("Via v", Header::Via),
        ("From f", Header::From),
        ("To t", Header::To),
        ("Call-ID i", Header::CallId),
        ("CSeq", Header::CSeq),
        ("Contact m", Header::Contact),
        ("Content-Length l", Header::ContentLength),
        ("Content-Type c", Header::ContentType),
        ("Expires", Header::Expires),
        ("Min-Expires", Header::MinExpires),
        ("Session-Expires x", Header::SessionExpires),
        ("Min-SE", Header::MinSe),
        ("Max-Forwards", Header::MaxForwards),
        ("RSeq", Header::RSeq),
        ("RAck", Header::RAck),
        ("Retry-After", Header::RetryAfter),
        ("Reason", Header::Reason),
        ("User-Agent", Header::UserAgent),
        ("Server", Header::Server),
        ("Refer-To r", Header::ReferTo),
        ("Referred-By b", Header::ReferredBy),
        ("Replaces", Header::Replaces),
        ("Event o", Header::Event),
        ("Subject s", Header::Subject),
        ("Session-ID", Header::SessionId),
        ("P-Asserted-Identity", Header::PAssertedIdentity),
    ] {
        for name in names.split(' ') {
            assert_eq!(Header::named(name.as_bytes()), header, "{name}");
            assert_eq!(Header::named(name.to_ascii_uppercase().as_bytes()), header, "{name}");
            assert_eq!(Header::named(name.to_ascii_lowercase().as_bytes()), header, "{name}");
        }
    }
}

#[test]
fn compact_forms_of_other_fields_and_similar_names_are_not_misread() {
    for name in ["e", "k", "u", "y", "a", "j", "d", "n", "Vib", "Frim", "Call-IE", "Cantact", "Rxeq", "Te"] {
        assert_eq!(Header::named(name.as_bytes()), Header::Other, "{name}");
    }
}

#[test]
fn a_name_is_not_known_by_its_beginning_or_with_other_bytes_in_it() {
    for line in ["Via\0: x", "v\0\0: x", "\0: x", ": x", "Call\rID: x", "Viavia: x", "Content-Length\0: x"] {
        let line = format!("{line}\r\nand more bytes than one step looks at\r\n");
        let next = Lines::new(line.as_bytes(), 0, false).next();
        assert!(!matches!(next, Line::Field(field) if field.header != Header::Other), "{line:?}");
    }
}

fn field(header: Header, value: &str) -> Option<(Header, &[u8])> {
    Some((header, value.as_bytes()))
}

fn next<'a>(lines: &mut Lines<'a>) -> Option<(Header, &'a [u8])> {
    let Line::Field(field) = lines.next() else { return None };
    Some((field.header, field.value(lines.bytes).bytes()))
}

#[test]
fn a_field_ends_where_the_next_line_does_not_continue_it() {
    let mut lines = Lines::new(b"A : 1\r\n\t2 \r\n \r\nTo:\nx\r\n\r\nbody", 0, false);
    assert_eq!(next(&mut lines), field(Header::Other, "1\r\n\t2"));
    assert_eq!(next(&mut lines), field(Header::To, ""));
    assert!(matches!(lines.next(), Line::Malformed(_)));
    let Line::Blank(body) = lines.next() else { panic!("the empty line") };
    assert_eq!(&lines.bytes[body..], b"body");
}

#[test]
fn a_last_line_without_an_end_is_read_unless_the_capture_cut_it() {
    let last = field(Header::To, "x");
    assert_eq!(next(&mut Lines::new(b"t: x", 0, false)), last);
    assert_eq!(Lines::new(b"t: x", 0, true).next(), Line::End);
    assert_eq!(next(&mut Lines::new(b"t: x\r", 0, false)), last);
    assert_eq!(Lines::new(b"\r", 0, false).next(), Line::End);
}

proptest! {
    #[test]
    fn lines_in_the_usual_form_are_read_as_any_line_is(
        cut: bool,
        parts in prop::collection::vec(prop::sample::select(vec![
            "Via", "To", "t", "Call-ID", "X-Y", "Content-Length", "P-Asserted-Identity", ":", ": ", " ", "\t", "x", "a value",
            "\r\n", "\r\n", "\r\nVia: ", "\n", "\r", "a value that is as long as it takes to come to the end of several steps of a search",
        ]), 0..30),
    ) {
        let bytes = parts.concat();
        let (bytes, mut at) = (bytes.as_bytes(), 0);
        let mut lines = Lines::new(bytes, 0, cut);
        loop {
            let (line, expected) = (lines.next(), any_line(bytes, at, cut));
            prop_assert_eq!(line, expected);
            match line {
                Line::Field(field) => {
                    prop_assert_eq!(field.value(bytes).bytes(), value::trim(&bytes[field.start..field.end]));
                    at = field.next;
                }
                Line::Malformed(next) => at = next,
                Line::Blank(_) | Line::End => break,
            }
        }
    }
}
