//! Datagrams merged by the kernel: the payload of several in, the length of each out (`sip-metrics.md` 1.7).
//!
//! Receive and segmentation offload (GRO, GSO) hand datagrams of one size to a capture as one, only the last of which may
//! be shorter. Whatever does not look exactly so is one message, and what stands behind it surplus (RFC 3261 §18.3).

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::content_length::ContentLength;
use crate::error::ParseError;
use crate::start;
use crate::stream::{content_length, header_len, names_sip};
use crate::value;

/// The end of a line and an empty one behind it.
static EMPTY_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\r\n"));

/// Length of each of the messages that `payload` is made of, of the last one at most; `None` when it is not nothing but
/// whole messages, each as long as the first.
#[inline]
pub fn merged_size(payload: &[u8]) -> Option<usize> {
    // The last message is no longer than those before it, so its first line, which names SIP, is in the second half. Nearly
    // always that half names none, and the header need not be looked for.
    if names_sip(&payload[payload.len() / 2..]) { size_of_merged(payload) } else { None }
}

/// The same of any payload, whatever is in its second half.
fn size_of_merged(payload: &[u8]) -> Option<usize> {
    let header = match EMPTY_LINE.find(payload) {
        Some(end) => end + 3,
        None => header_len(payload, 0)?,
    };
    let (head, body) = payload.split_at(header);
    // A body may name SIP.
    if body.is_empty() || says_length(head, body.len()) || !names_sip(body) {
        return None;
    }
    let size = message_len(payload).filter(|&size| size < payload.len())?;
    payload[size..].chunks(size).all(|message| message_len(message) == Some(message.len())).then_some(size)
}

/// Whether the last field of a header is Content-Length, as it nearly always is where there is a body, with this number.
fn says_length(header: &[u8], body: usize) -> bool {
    let Some(fields) = header.strip_suffix(b"\r\n\r\n") else { return false };
    let name = fields.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
    let (name, digits) = fields.split_at(name);
    name.ends_with(b"\nContent-Length: ")
        && matches!(value::number(digits, u32::MAX), Some(number) if number.value as usize == body)
}

/// Length of the message at the front: a header with an empty line, and the body Content-Length speaks of. `None` where it
/// does not say, or no message begins here.
fn message_len(bytes: &[u8]) -> Option<usize> {
    if !matches!(start::parse(bytes), Ok(_) | Err(ParseError::Version | ParseError::Status)) {
        return None;
    }
    let header = header_len(bytes, 0)?;
    match content_length(&bytes[..header]) {
        ContentLength::Bytes(body) => header.checked_add(body as usize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "OPTIONS sip:a SIP/2.0\r\nX: 1\r\nl: 0\r\n\r\n";
    const TWO: &str = "OPTIONS sip:a SIP/2.0\r\nX: 2\r\nl: 0\r\n\r\n";
    const SHORT: &str = "OPTIONS sip:a SIP/2.0\r\nl: 2\r\n\r\nhi";
    const LONG: &str = "OPTIONS sip:a SIP/2.0\r\nX: longer\r\nl: 0\r\n\r\n";

    /// Long enough to be looked at a window at a time.
    const PADDING: &str = "X-Padding: 0123456789012345678901234567890123456789012345678901234567890123456789\r\nX:";

    fn size(parts: &[&str]) -> Option<usize> {
        merged_size(parts.concat().as_bytes())
    }

    #[test]
    fn messages_of_one_size_and_a_last_one_that_is_no_longer_are_told_apart() {
        let response = "SIP/2.0 200 OK\r\nXXXX: 2\r\nl: 4\r\n\r\nbody";
        assert_eq!(response.len(), ONE.len());
        for parts in [&[ONE, TWO][..], &[ONE, TWO, ONE, TWO, ONE], &[ONE, ONE, SHORT], &[ONE, response]] {
            assert_eq!(size(parts), Some(ONE.len()), "{parts:?}");
        }
    }

    #[test]
    fn anything_else_is_one_message() {
        let without_length = "OPTIONS sip:a SIP/2.0\r\nXXX: 12345\r\n\r\n";
        assert_eq!(without_length.len(), ONE.len());
        for parts in [
            &[ONE][..],
            &[SHORT],
            &[ONE, LONG],
            &[SHORT, ONE],
            &[ONE, SHORT, ONE],
            &[ONE, TWO, "\r\n"],
            &[ONE, "SIP/2.0"],
            &[ONE, without_length],
            &[without_length, ONE],
            &[ONE, &TWO.replace("l: 0", "l: 9")],
            &["\r\n", ONE, "\r\n", TWO],
            &["", "x\r\n\r\n"],
            &[],
        ] {
            assert_eq!(size(parts), None, "{parts:?}");
        }
    }

    #[test]
    fn a_length_that_covers_all_there_is_makes_one_message_whatever_is_in_it() {
        let notify = |body: &str| format!("NOTIFY sip:a SIP/2.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (one, two) = (notify("SIP/2.0 200 OK"), notify("SIP/2.0 404 NO"));
        assert_eq!(size(&[&one]), None);
        assert_eq!(size(&[&one, &two]), Some(one.len()));
        assert!(
            says_length(&one.as_bytes()[..one.len() - 14], 14) && !says_length(&one.as_bytes()[..one.len() - 14], 4)
        );
    }

    #[test]
    fn long_messages_are_told_apart_alike() {
        let [one, two, longer] = [ONE, TWO, LONG].map(|message| message.replacen("X:", PADDING, 1));
        assert_eq!(size(&[&one, &two, SHORT]), Some(one.len()));
        assert_eq!(size(&[&one, &longer]), None);
        let bare = one.replace("\r\n", "\n");
        assert_eq!(size(&[&bare, &bare]), Some(bare.len()));
    }

    proptest! {
        #[test]
        fn a_second_half_that_names_no_sip_is_of_one_message(
            parts in prop::collection::vec(prop::sample::select(vec![
                ONE, TWO, SHORT, LONG, "BYE sip:a sip/2.0\r\nl:0\r\n\r\n", "SIP/2.0 200 OK\r\nl: 9\r\n\r\n", "SIP/2.0", "\r\n",
                "BYE sip:a SIP/2.0\nl:1\n\nx",
            ]), 0..6),
        ) {
            let payload = parts.concat();
            prop_assert_eq!(merged_size(payload.as_bytes()), size_of_merged(payload.as_bytes()));
        }
    }

    #[test]
    fn a_message_cut_anywhere_is_one_message() {
        let both = [ONE, TWO].concat();
        for end in ONE.len() + 1..both.len() {
            assert_eq!(merged_size(&both.as_bytes()[..end]), None, "{end}");
        }
    }
}
