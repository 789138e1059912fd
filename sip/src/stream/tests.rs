use proptest::prelude::*;

use super::*;

const BYE: &str = "BYE sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n";
const INVITE: &str = "INVITE sip:a SIP/2.0\r\nl: 5\r\n\r\nhello";
const BARE: &str = "SIP/2.0 100 Trying\nVia: x\n\n";

/// What a framer says about `stream` when it comes in pieces that end at `cuts`; what is skipped is left out.
fn frames(stream: &str, cuts: impl IntoIterator<Item = usize>) -> Vec<String> {
    frames_of(stream.as_bytes(), cuts)
}

/// The same of any bytes.
fn frames_of(stream: &[u8], cuts: impl IntoIterator<Item = usize>) -> Vec<String> {
    let mut framer = Framer::default();
    let mut done = 0;
    let mut said: Vec<String> = Vec::new();
    for cut in cuts.into_iter().chain([stream.len()]) {
        loop {
            let unread = &stream[done..cut];
            let step = framer.step(unread);
            let (what, len) = match step {
                Step::More => break,
                Step::Message(len) => (String::from_utf8_lossy(&unread[..len]).into_owned(), len),
                Step::LineEnds(len) => ("line ends".into(), len),
                Step::Stun(len) => ("stun".into(), len),
                Step::Skipped(len) => (String::new(), len),
                Step::Foreign => ("foreign".into(), 0),
                Step::StartLineError => ("start_line".into(), 0),
                Step::Error(error, len) => (error.reason().into(), len),
            };
            done += len;
            let goes_on = what == "line ends" && said.last() == Some(&what);
            if !what.is_empty() && !goes_on {
                said.push(what);
            }
        }
    }
    said
}

/// The same whether it comes whole, byte by byte, or in two pieces.
#[track_caller]
fn assert_frames(stream: &str, expected: &[&str]) {
    assert_frames_of(stream.as_bytes(), expected);
}

#[track_caller]
fn assert_frames_of(stream: &[u8], expected: &[&str]) {
    assert_eq!(frames_of(stream, []), expected);
    assert_eq!(frames_of(stream, 1..stream.len()), expected, "byte by byte");
    for cut in 1..stream.len() {
        assert_eq!(frames_of(stream, [cut]), expected, "cut at {cut}");
    }
}

#[test]
fn messages_end_where_content_length_says() {
    assert_frames(&[BYE, INVITE, BARE, BYE].concat(), &[BYE, INVITE, BARE, BYE]);
}

#[test]
fn a_run_of_line_ends_is_one_whatever_it_is_made_of() {
    assert_frames(
        &["\r\n\r\n", BYE, "\r\n", INVITE, "\n\n\r\n", BYE, "\0\0\0\0", BYE, "\r\n\0"].concat(),
        &["line ends", BYE, "line ends", INVITE, "line ends", BYE, "line ends", BYE, "line ends"],
    );
}

#[test]
fn a_header_ends_at_a_line_of_nothing_but_carriage_returns() {
    let text = |end: &str| INVITE.replace("\r\n", end);
    for end in ["\n", "\r\r\n", "\r\r\r\r\r\n"] {
        assert_frames(&[&text(end), BYE, &text(end)].concat(), &[&text(end), BYE, &text(end)]);
    }
}

#[test]
fn a_stun_message_is_passed_over_by_its_length() {
    let stun = "\u{1}\u{1}\0\u{8}\u{21}\u{12}$\u{42}aaaaaaaaaaaaBYE sip:";
    assert_eq!(bytes_of(stun).len(), 28);
    assert_frames_of(&[&bytes_of(stun), BYE.as_bytes(), &bytes_of(stun)].concat(), &["stun", BYE, "stun"]);
    let request = "\0\u{1}\0\0\u{21}\u{12}$\u{42}aaaaaaaaaaaa";
    assert_eq!(frames_of(&[b"\r\n", &bytes_of(request)[..], BYE.as_bytes()].concat(), []), ["line ends", "stun", BYE]);
}

/// Bytes of text in which `$` stands for the byte of the STUN cookie that is no character.
fn bytes_of(text: &str) -> Vec<u8> {
    text.bytes().map(|byte| if byte == b'$' { 0xa4 } else { byte }).collect()
}

#[test]
fn what_stands_before_a_start_line_is_told_once_and_passed_over() {
    for before in
        ["PROXY TCP4 192.0.2.1 192.0.2.2 40000 5060\r\n", "PROXY UNKNOWN\r\n", "    ", "220 ready\r\n", "hi\r\nho\r\n"]
    {
        for message in [BYE, INVITE, BARE] {
            assert_frames(&[before, message, BYE].concat(), &["foreign", message, BYE]);
            assert_frames(&[BYE, before, message].concat(), &[BYE, "foreign", message]);
        }
    }
    assert_frames(&["hello SIP/2 \r\nhello\r\n", BYE].concat(), &["start_line", BYE]);
}

#[test]
fn a_proxy_header_of_version_2_is_passed_over_by_its_length() {
    // The addresses hold a line end, and the last of them looks like the beginning of a line.
    let proxy = "\r\n\r\n\0\r\nQUIT\n!\u{11}\0\u{c}\n\0\0\u{1}\n\0\0\u{2}FOO ";
    let unknown = "FOO sip:a SIP/2.0\r\n\r\n";
    assert_eq!(frames(&[proxy, unknown, BYE].concat(), []), ["foreign", unknown, BYE]);
    assert_eq!(frames(&[proxy, BYE].concat(), [20, 30]), ["foreign", BYE]);
    for cut in 1..proxy.len() {
        assert_eq!(frames(&[proxy, BYE].concat(), [cut]).last().map(String::as_str), Some(BYE), "cut at {cut}");
    }
}

#[test]
fn prack_is_not_taken_for_the_ack_it_ends_with() {
    let prack = "PRACK sip:a SIP/2.0\r\n\r\n";
    assert_eq!(lost(&["junk\n", prack].concat()), [prack]);
    assert_eq!(find_start_line(b"\0\x01PRACK sip:a SIP/2.0\r\n"), Some(2));
}

#[test]
fn a_start_line_is_found_wherever_it_stands() {
    for (bytes, at) in [
        ("", None),
        ("\0\x01xSIP/2.0 200 OK\r\n", Some(3)),
        ("a\nb\r\nBYE sip:a SIP/2.0", Some(5)),
        ("a\nb SIP/2.0\n", None),
    ] {
        assert_eq!(find_start_line(bytes.as_bytes()), at, "{bytes:?}");
    }
}

#[test]
fn a_content_length_that_cannot_be_used_loses_the_message_and_the_place() {
    for length in ["-1", "five", "", "5, 5", "5\r\nl: 6"] {
        let bad = format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {length}\r\n\r\nhello\r\n");
        assert_frames(&[&bad, BYE, INVITE].concat(), &["content_length", BYE, INVITE]);
    }
}

#[test]
fn the_same_content_length_twice_is_one() {
    let message = "OPTIONS sip:a SIP/2.0\r\nl: 5\r\nContent-Length: 005\r\n\r\nhello";
    assert_frames(&[message, BYE].concat(), &[message, BYE]);
}

#[test]
fn a_message_may_have_262144_bytes_and_no_more() {
    let message = |body: usize| format!("OPTIONS sip:a SIP/2.0\r\nl: {body}\r\n\r\n{}", "x".repeat(body));
    let header = message(200_000).len() - 200_000;
    let largest = message(262_144 - header);
    assert_eq!(frames(&[&largest, BYE].concat(), []), [&largest, BYE]);
    let too_large = message(262_145 - header);
    assert_eq!(frames(&[&too_large, "\r\n", BYE].concat(), []), ["too_large", BYE]);
    assert_eq!(frames("OPTIONS sip:a SIP/2.0\r\nl: 99999999999999999999\r\n\r\n", []), ["too_large"]);
}

#[test]
fn a_header_without_end_is_too_large_and_what_comes_later_is_found() {
    let endless = format!("OPTIONS sip:a SIP/2.0\r\nX: {}", "x".repeat(300_000));
    let stream = [&endless, "\r\n\r\n", BYE].concat();
    assert_eq!(frames(&stream, (1000..300_000).step_by(1000)), ["too_large", BYE]);
    let endless = "x".repeat(300_000);
    assert_eq!(frames(&[&endless, "\r\n", BYE].concat(), (1000..300_000).step_by(1000)), ["too_large", BYE]);
}

#[test]
fn the_next_start_line_is_found_behind_anything() {
    for junk in ["v=0\r\n", "\0\u{1}", "rubbish\r\n\r\n", "a=x SIP/2.0 y\r\n", "o=- SIP/2\n", "\r\n: SIP/2.0\n"] {
        for message in [BYE, INVITE, BARE] {
            assert_eq!(lost(&[junk, message].concat()), [message], "{junk:?}");
        }
    }
    let unknown = "FOO sip:a SIP/2.0\r\n\r\n";
    assert_eq!(lost(&["junk\n", unknown].concat()), [unknown]);
}

/// What is found once the place is lost.
fn lost(stream: &str) -> Vec<String> {
    let mut framer = Framer::default();
    framer.lose();
    let Step::Skipped(len) = framer.step(stream.as_bytes()) else { return frames(stream, []) };
    frames(&stream[len..], [])
}

#[test]
fn a_message_is_known_by_its_first_line_or_the_first_word_of_it() {
    for begin in [BYE, "\r\nBYE sip:a SIP/2.0\r\n", "SIP/3.0 200 OK\r\n", "INVITE sip", "SIP/2.0 1", "FOO a SIP/2.0\n"]
    {
        assert!(begins_message(begin.as_bytes()), "{begin:?}");
    }
    for other in ["", "\r\n", "INV", "FOO sip:a", "GET / HTTP/1.1\r\n", "v=0\r\nBYE sip:a SIP/2.0\r\n"] {
        assert!(!begins_message(other.as_bytes()), "{other:?}");
    }
}

#[test]
fn a_message_of_another_version_or_status_is_framed_too() {
    for line in ["BYE sip:a SIP/3.0", "SIP/2.0 777 x", "SIP/1.0 200 OK"] {
        let message = format!("{line}\r\nl: 2\r\n\r\nhi");
        assert_frames(&[&message, BYE].concat(), &[&message, BYE]);
    }
}

#[test]
fn what_is_no_start_line_is_told_apart() {
    assert_frames(&["GET / HTTP/1.1\r\n\r\n", BYE].concat(), &["foreign", BYE]);
    assert_frames(&["INVITE SIP/2.0\r\n\r\n", BYE].concat(), &["start_line", BYE]);
    assert_eq!(frames("\u{16}\u{3}\u{1}", []), ["foreign"], "without waiting for a line end");
}

proptest! {
    #[test]
    fn any_cuts_give_the_same_frames(
        order in prop::collection::vec(0..8_usize, 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let parts = [BYE, INVITE, BARE, "\r\n", "\0\0\r\n", "OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n", "junk\r\n", "a b c"];
        let stream: String = order.iter().map(|&part| parts[part]).collect();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(frames(&stream, cuts), frames(&stream, []));
    }

    #[test]
    fn any_bytes_come_to_an_end(stream in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut framer = Framer::default();
        let mut done = 0;
        for end in 0..=stream.len() {
            for steps in 0.. {
                prop_assert!(steps < 2 * stream.len() + 4, "no progress");
                match framer.step(&stream[done..end]) {
                    Step::More => break,
                    Step::Message(len)
                    | Step::LineEnds(len)
                    | Step::Stun(len)
                    | Step::Skipped(len)
                    | Step::Error(_, len) => done += len,
                    Step::Foreign | Step::StartLineError => {}
                }
                prop_assert!(done <= end);
            }
        }
    }
}
