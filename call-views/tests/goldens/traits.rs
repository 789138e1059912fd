//! What is true of every view, whatever the record holds: it fits, and nothing in it is obeyed by a terminal.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use call_views::{Style, ladder};
use pipeline::call::ladder::{Endpoint, Message, Owner};
use proptest::prelude::*;
use sip::Method;
use unicode_width::UnicodeWidthChar;

use crate::calls::{Played, play};

/// What a record of hostile messages may hold: anything that is text.
fn hostile() -> impl Strategy<Value = Box<str>> {
    let piece = prop_oneof![
        "\\PC{0,20}",
        any::<String>(),
        Just("\x1b[2J\x1b]0;owned\x07".to_owned()),
        Just("\r\nContent-Length: 0".to_owned()),
        Just("\u{202e}evil\u{200d}\u{301}".to_owned()),
        Just("你好吗".repeat(30)),
        Just("#;%% end\nEvil->>E0: x<script>".to_owned()),
        Just("a".repeat(1024)),
    ];
    piece.prop_map(String::into_boxed_str)
}

fn record() -> impl Strategy<Value = Played> {
    let message = (any::<(u16, u16, bool, u8)>(), proptest::option::of(100..700_u16), 0..20_000_u64);
    let ladder = proptest::collection::vec(message, 0..30);
    (1..40_u16, ladder, hostile(), proptest::option::of(hostile()), hostile()).prop_map(
        |(ends, ladder, call_id, caller, reason)| {
            let flow = "0 alice -> bob INVITE\n 1 alice <- bob 503\n 1.1 alice -> bob ACK";
            let mut played = play(flow).remove(0);
            let record = &mut played.record;
            (record.call_id, record.caller) = (call_id, caller.clone());
            record.callee = caller;
            for transaction in &mut record.transactions {
                transaction.reason = Some(reason.clone());
            }
            let address = |end| SocketAddr::from((Ipv6Addr::from(u128::from(end) << 77 | 1), 1000 + end));
            record.endpoints = (0..ends.max(2)).map(|end| Endpoint { address: address(end) }).collect();
            let ends = ends.max(2);
            let mut at = record.start;
            let message = |((source, destination, sdp, again), status, wait): ((u16, u16, bool, u8), _, u64)| {
                at = at + Duration::from_secs(wait);
                Message {
                    at,
                    method: Method::Invite,
                    status,
                    cseq: 1,
                    source: source % ends,
                    destination: destination % ends,
                    owner: Owner::Transaction(0),
                    forward: true,
                    sdp,
                    bytes: 500,
                    retransmissions: again.saturating_sub(200).into(),
                    copy: false,
                }
            };
            record.ladder = ladder.into_iter().map(message).collect();
            played
        },
    )
}

fn cells(line: &str) -> usize {
    line.chars().map(|c| c.width().unwrap_or(0)).sum()
}

proptest! {
    #[test]
    fn text_fits_and_nothing_in_it_is_obeyed(call in record(), width in 0..250_usize, unicode: bool) {
        let style = Style { width: Some(width), unicode, colour: false, ..Style::default() };
        for text in [ladder::text(&call.view(), &style), call_views::table(&[call.view().summary()], &style)] {
            for line in text.lines() {
                prop_assert!(cells(line) <= width.max(Style::NARROWEST), "{} cells of {width}: {line}", cells(line));
                prop_assert!(unicode || line.is_ascii(), "{line}");
                prop_assert!(line.chars().all(|c| c.width().is_some_and(|width| width > 0)), "{line:?}");
            }
        }
    }

    #[test]
    fn colours_change_nothing_but_colours(call in record()) {
        let style = Style { width: Some(100), unicode: true, colour: false, ..Style::default() };
        let coloured = Style { colour: true, ..style };
        let mut text = ladder::text(&call.view(), &coloured);
        for code in ["0", "1", "2", "31", "32", "33"] {
            text = text.replace(&format!("\x1b[{code}m"), "");
        }
        prop_assert_eq!(text, ladder::text(&call.view(), &style));
    }

    #[test]
    fn a_diagram_has_one_statement_in_each_line(call in record()) {
        let diagram = ladder::mermaid(&call.view(), "");
        let mut lines = diagram.lines();
        prop_assert_eq!(lines.next(), Some("sequenceDiagram"));
        for line in lines {
            let statement = line.strip_prefix("    ").expect("statements are indented");
            let (head, text) = match statement.strip_prefix("participant ") {
                Some(rest) => rest.split_once(" as ").expect("participants have a name"),
                None => statement.split_once(": ").expect("arrows and notes have a text"),
            };
            let head_is_plain = head.chars().all(|c| c.is_ascii_alphanumeric() || " ,->".contains(c));
            prop_assert!(head_is_plain, "{}", line);
            // A number sign begins a code, a semicolon ends one, and nowhere else is either.
            let mut rest = text;
            while let Some(at) = rest.find(['#', ';', '<', '%', '\\', '{', '"']) {
                prop_assert!(rest[at..].starts_with('#'), "{}", line);
                let (code, behind) = rest[at + 1..].split_once(';').expect("a code ends");
                prop_assert!(!code.is_empty() && code.bytes().all(|b| b.is_ascii_digit()), "{}", line);
                rest = behind;
            }
        }
    }

    #[test]
    fn json_can_be_read_again(call in record()) {
        let text = serde_json::to_string(&ladder::json(&call.view())).expect("it can be written");
        let object: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        prop_assert_eq!(object["call_id"].as_str(), Some(&*call.record.call_id));
        prop_assert_eq!(object["ladder"].as_array().map(Vec::len), Some(call.record.ladder.len()));
    }
}

#[test]
fn a_long_ladder_names_its_endpoints_again_at_its_end_and_says_what_it_lacks() {
    let mut call = play("0 alice -> bob INVITE\n 1 alice <- bob 200\n 1.1 alice -> bob ACK").remove(0);
    let ladder = call.record.ladder.clone();
    call.record.ladder = ladder.into_iter().cycle().take(500).collect();
    call.record.ladder_cut = 7;
    let text = ladder::text(&call.view(), &Style::default());
    assert_eq!(text.matches("|---- INVITE ---->|").count(), 167, "{text}");
    assert!(text.contains("\n7 more messages are not on record\n"), "{text}");
    assert_eq!(text.lines().last(), text.lines().find(|line| line.contains("198.51.100.20:5060")));
}
