//! Whatever a message holds, what is made of it can be read, and no five digits of it are left.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anonymize::Anonymizer;
use proptest::prelude::*;
use sip::{Framing, parse};

const WHOLE: Framing = Framing::Datagram { truncated: false };

fn runs(bytes: &[u8]) -> BTreeSet<&[u8]> {
    bytes.split(|byte| !byte.is_ascii_digit()).filter(|run| run.len() >= 5).collect()
}

fn made(message: &[u8]) -> Option<Vec<u8>> {
    let parsed = parse(message, WHOLE).ok()?;
    let ends: [SocketAddr; 2] = ["192.0.2.1:54321", "192.0.2.2:5060"].map(|text| text.parse().expect("an address"));
    let mut anonymizer = Anonymizer::new(b"key");
    anonymizer.note(&parsed, ends);
    Some(anonymizer.message(&parsed))
}

fn message(lines: &[String], body: &str) -> Vec<u8> {
    let lines = lines.join("\r\n");
    let fixed = "Via: SIP/2.0/UDP 192.0.2.1:54321;branch=z9hG4bK1234567;rport\r\nFrom: <sip:4930123456@a.example>;tag=9988776\r\n\
        To: <sip:bob@b.example>\r\nCall-ID: 5544332211@192.0.2.1\r\nCSeq: 314159 INVITE";
    format!("INVITE sip:0049301234567@b.example:50600 SIP/2.0\r\n{fixed}\r\n{lines}\r\n\r\n{body}").into_bytes()
}

/// Fields of every kind, with pieces that look like what is known.
fn line() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "Contact",
        "Via",
        "Reason",
        "Warning",
        "Authorization",
        "User-Agent",
        "Allow",
        "RAck",
        "RSeq",
        "X-77665544",
        "Subject",
        "Content-Type",
        "Route",
        "Session-ID",
        "Diversion",
        "Date",
        "Replaces",
        "Supported",
        "traceparent",
        "P-Asserted-Identity",
    ]);
    let piece = prop::sample::select(vec![
        "4930123456",
        "12345",
        ";tag=",
        ";",
        "\"",
        "\\",
        "<sip:",
        ">",
        "@",
        "%34%39%33",
        ":54321",
        "=",
        ",",
        " ",
        "Digest ",
        "nonce=",
        "[2001:db8::1]",
        "10.1.2.3",
        "branch=z9hG4bK",
        "SIP/2.0/UDP ",
        "?",
        "&",
        "INVITE",
        "\u{e9}",
        "Benjamin",
        "text=",
        "rport=",
        "q=",
        "application/sdp",
        "-",
        "00",
        "expires=",
    ]);
    (name, prop::collection::vec(piece, 0..12)).prop_map(|(name, pieces)| format!("{name}: {}", pieces.concat()))
}

/// Lines of a session description, some of them none.
fn body() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "v=0",
        "o=bob 1234567 7654321 IN IP4 10.1.2.3",
        "o=bob 99999 1",
        "s=Benjamin Smith 55555",
        "c=IN IP4 203.0.113.5",
        "t=1234567 7654321",
        "m=audio 40000 RTP/AVP 0 101",
        "m=12345 54321/12345 98765 43210",
        "a=rtpmap:101 telephone-event/8000",
        "a=rtpmap:96 12345/67890",
        "a=fmtp:101 0-15",
        "a=fmtp:101 12345-67890",
        "a=rtcp:40001 IN IP4 10.1.2.3",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:1234567",
        "a=candidate:12345 1 udp 2130706431 10.1.2.3 54321 typ host",
        "a=ptime:20000",
        "b=AS:64000",
        "a=sendrecv",
        "x=12345",
        "a=setup:actpass",
        "a=12345:67890",
        "i=4930123456",
        "a=crypto:12345 67890",
    ]);
    prop::collection::vec(line, 0..10).prop_map(|lines| lines.join("\r\n"))
}

proptest! {
    #[test]
    fn no_five_digits_are_left_and_what_is_made_is_a_message(lines in prop::collection::vec(line(), 0..8), body in body(), sdp: bool) {
        let mut lines = lines;
        if sdp {
            lines.insert(0, "Content-Type: application/sdp".to_owned());
        }
        let message = message(&lines, &body);
        let Some(made) = made(&message) else { return Ok(()) };
        let shown = String::from_utf8_lossy(&made).into_owned();
        let parsed = parse(&made, WHOLE);
        prop_assert!(parsed.is_ok(), "{parsed:?}: {shown}");
        let left: Vec<_> = runs(&made).intersection(&runs(&message)).map(|run| String::from_utf8_lossy(run).into_owned()).collect();
        // Seconds may mean something, up to a week of them.
        let left: Vec<_> = left.into_iter().filter(|run| !shown.contains(&format!("expires={run}"))).collect();
        prop_assert!(left.is_empty(), "{left:?} is left in {shown}");
        for gone in ["Benjamin", "Smith", "203.0.113.5", "10.1.2.3", "192.0.2.1"] {
            prop_assert!(!shown.contains(gone), "{gone} is left in {shown}");
        }
    }

    #[test]
    fn bytes_of_any_kind_cost_no_panic(garbage in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400) {
        let mut message = message(&[], "v=0");
        let at = at.min(message.len());
        message.splice(at..at, garbage);
        made(&message);
    }
}

/// One message with everything that is known, as it becomes.
#[test]
fn what_a_message_means_stays() {
    let lines = [
        "Session-Expires: 86400;refresher=uac",
        "Supported: timer, 100rel",
        "Reason: Q.850;cause=16;text=\"Normal call clearing\"",
        "Content-Type: application/sdp",
        "User-Agent: Yealink SIP-T46G 001565aabbcc",
    ];
    let body = "v=0\r\no=bob 12345 54321 IN IP4 10.0.0.1\r\ns=call\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 101\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";
    let made = made(&message(&lines.map(str::to_owned), body)).expect("it is one");
    let text = String::from_utf8(made.clone()).expect("text");
    for stays in [
        "\r\nSession-Expires: 86400;refresher=uac\r\n",
        "\r\nSupported: timer, 100rel\r\n",
        "\r\nReason: Q.850;cause=16;text=\"Normal call clearing\"\r\n",
        "User-Agent: Yealink SIP-",
        ";branch=z9hG4bK",
        "\r\nCSeq: 1 INVITE\r\n",
        " RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n",
    ] {
        assert!(text.contains(stays), "no {stays:?} in {text}");
    }
    let parsed = parse(&made, WHOLE).expect("it is one");
    assert!(parsed.has_sdp() && parsed.body().ends_with(b"a=sendonly\r\n"));
}
