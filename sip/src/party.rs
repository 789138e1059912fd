//! From and To, and every other field of the form name-addr or addr-spec (RFC 3261 §20, §20.10).

use crate::cursor::Cursor;
use crate::scan;
use crate::value::{self, Value};

/// One end of a dialog: the value of From or To.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party<'a> {
    /// The URI alone: no display name, no brackets, no header parameters. Empty when the value is damaged.
    pub uri: &'a [u8],
    /// Compare it byte for byte; empty when absent (RFC 2543 senders).
    pub tag: &'a [u8],
}

/// A party as nearly all are written: perhaps a display name, `<URI>`, and nothing or the tag behind it.
#[inline(always)]
pub(crate) fn usual(value: Value<'_>) -> Option<Party<'_>> {
    let Value { bytes, start, end } = value;
    let open = match bytes.get(start)? {
        b'<' => start,
        b'"' => {
            let quote = scan::find_either(b'"', b'\\', bytes, start + 1, end)?;
            match bytes.get(quote..)? {
                [b'"', b' ', b'<', ..] => quote + 2,
                [b'"', b'<', ..] => quote + 1,
                _ => return None,
            }
        }
        _ => {
            let open = value::find_class::<{ value::ADDRESS_END }>(bytes, start, end);
            bytes[open..].starts_with(b"<").then_some(open)?
        }
    };
    let close = scan::find(b'>', bytes, open + 1, end)?;
    let uri = bytes.get(open + 1..close)?;
    let tag = match bytes.get(close + 1..end)? {
        [] => b"",
        [b';', b't', b'a', b'g', b'=', _, ..] => {
            let start = close + 6;
            let end = value::find_class::<{ value::VALUE_END }>(bytes, start, end);
            bytes.get(start..end).filter(|tag| !tag.is_empty())?
        }
        _ => return None,
    };
    value::is_trimmed(uri).then_some(Party { uri, tag })
}

/// A party in any form.
#[inline(never)]
pub(crate) fn any(value: Value<'_>) -> Party<'_> {
    let mut cursor = Cursor::new(value);
    let uri = address(&mut cursor, Form::Single);
    Party { uri, tag: cursor.first_param(b"tag") }
}

/// What a comma outside quotes and brackets is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Part of a display name that ought to be quoted (RFC 4475 §3.1.2.15): the field holds one address.
    Single,
    /// The end of an element.
    List,
}

/// Takes display name and URI of the element at hand, up to its header parameters. Without brackets everything
/// behind the first `;` is a header parameter (§20.10). The URI is empty when a quote or nothing stands in its place.
pub(crate) fn address<'a>(cursor: &mut Cursor<'a>, form: Form) -> &'a [u8] {
    let whole = cursor.rest();
    let mut plain = 0;
    loop {
        cursor.take_until_class::<{ value::ADDRESS_END }>();
        match cursor.peek() {
            Some(b'<') => break,
            Some(b',') if form == Form::Single => _ = cursor.take(1),
            Some(b'"') => {
                cursor.quoted();
                plain = whole.len() - cursor.rest().len();
            }
            _ => return value::trim(&whole[plain..whole.len() - cursor.rest().len()]),
        }
    }
    cursor.take(1);
    let uri = cursor.take_until(b'>');
    cursor.take(1);
    value::trim(uri)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(value: Value<'_>) -> Party<'_> {
        usual(value).unwrap_or_else(|| super::any(value))
    }

    fn party(value: &str) -> (&str, &str) {
        let text = |bytes| std::str::from_utf8(bytes).expect("tests are text");
        let party = parse(value.as_bytes().into());
        (text(party.uri), text(party.tag))
    }

    #[test]
    fn a_tag_behind_the_brackets_is_the_tag() {
        assert_eq!(party(r#""A. B." <sip:a@b;x=1>;tag=1"#), ("sip:a@b;x=1", "1"));
        assert_eq!(party("Bob T <sip:a@b>;y;tag=1;z=2"), ("sip:a@b", "1"));
    }

    #[test]
    fn a_tag_inside_the_brackets_or_the_display_name_is_none() {
        assert_eq!(party("<sip:a@b;tag=1>"), ("sip:a@b;tag=1", ""));
        assert_eq!(party(r#""x;tag=1 <sip:c@d>;tag=2" <sip:a@b>"#), ("sip:a@b", ""));
    }

    #[test]
    fn without_brackets_the_parameters_belong_to_the_header() {
        assert_eq!(party("sip:a@b;tag=1"), ("sip:a@b", "1"));
        assert_eq!(party("sip:+1@b;user=phone"), ("sip:+1@b", ""));
    }

    #[test]
    fn the_name_of_the_tag_is_in_any_case_and_white_space_may_surround_it() {
        assert_eq!(party("  <sip:a@b> \r\n ;\r\n TAG\t= xY "), ("sip:a@b", "xY"));
    }

    #[test]
    fn the_first_tag_counts() {
        assert_eq!(party("<sip:a@b>;tag=1;tag=2"), ("sip:a@b", "1"));
    }

    #[test]
    fn white_space_inside_the_brackets_is_no_part_of_the_uri() {
        assert_eq!(party("< sip:a@b >;tag=1"), ("sip:a@b", "1"));
    }

    #[test]
    fn a_comma_in_an_unquoted_display_name_hides_nothing() {
        assert_eq!(party("Bell, Alexander <sip:a@b>;tag=43"), ("sip:a@b", "43"));
    }

    #[test]
    fn an_unterminated_quote_or_bracket_damages_this_value_only() {
        assert_eq!(party(r#""Mr. J. User <sip:a@b>;tag=1"#), ("", ""));
        assert_eq!(party("<sip:a@b;tag=1"), ("sip:a@b;tag=1", ""));
        assert_eq!(party(";tag=1"), ("", "1"));
    }

    proptest! {
        #[test]
        fn the_usual_form_is_read_as_any_form_is(
            parts in prop::collection::vec(prop::sample::select(vec![
                "Bob ", "\"B\" ", "<", "<sip:a@b", "> ", ">", ">;tag=", "1", "a;b", ";", ",", " ", "=", ";x=y", "\"", "\r\n ",
            ]), 0..8),
        ) {
            let value = parts.concat();
            let value = Value::from(value::trim(value.as_bytes()));
            prop_assert_eq!(parse(value), super::any(value));
        }

        #[test]
        fn what_follows_a_value_in_the_message_changes_nothing(
            value in "[a-z\", ]{0,20}<?sip:[a-z;,=\"]{0,30}>?(;(tag|TAG|x|) ?(= ?[a-z0-9\",>]{0,20})?){0,3}",
            behind in "[\r\n;,:\"=<> a-z]{0,40}",
        ) {
            let message = [value.as_bytes(), behind.as_bytes()].concat();
            prop_assert_eq!(parse(value.as_bytes().into()), parse(Value { bytes: &message, start: 0, end: value.len() }));
        }
    }
}
