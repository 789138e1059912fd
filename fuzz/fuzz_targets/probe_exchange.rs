//! Probes over one path through `Exchange`: whatever comes and whenever, no panic, each probe ends once, at its
//! deadline at the latest, and no request holds a line that was not meant.
//!
//! The input: steps of a kind, a wait of so many tens of milliseconds, a length, and so many bytes.
#![no_main]

use std::time::{Duration, Instant};

use receiver_sip_probe::exchange::{Carrier, Credentials, Exchange, Form, Marks, Output, ProbeId};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let form =
        Form { request_uri: "sip:x".to_owned(), from: String::new(), user_agent: "u".to_owned(), max_forwards: 70 };
    let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned() };
    let mut exchange = Exchange::new(form, Carrier::Udp, Some(credentials));
    let local = "192.0.2.1:5060".parse().expect("an address");
    let mut now = Instant::now();
    let mut deadlines = Vec::new();
    let mut rest = input;
    let mut branch = Vec::new();
    while let Some(([kind, wait, len], after)) = rest.split_first_chunk::<3>() {
        let (bytes, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        now += Duration::from_millis(u64::from(*wait) * 10);
        let mut out = Vec::new();
        match kind % 4 {
            0 => {
                let n = deadlines.len() as u64;
                let marks =
                    Marks { branch: n.into(), second_branch: u128::MAX - u128::from(n), tag: n, call_id: 7, cnonce: 7 };
                let begun = exchange.begin(ProbeId(n), marks, local, now, now + Duration::from_secs(2));
                if begun.is_some() {
                    deadlines.push(Some(now + Duration::from_secs(2)));
                }
                out.extend(begun);
            }
            // A response with the right branch, and whatever else the input says.
            1 => {
                let head: &[&[u8]] = &[b"SIP/2.0 401 x\r\nVia: SIP/2.0/UDP h;branch=", &branch];
                let tail: &[&[u8]] = &[
                    b"\r\nFrom: a;tag=b\r\nTo: c\r\nCall-ID: d\r\nCSeq: 1 OPTIONS\r\nWWW-Authenticate: Digest ",
                    bytes,
                    b"\r\n\r\n",
                ];
                exchange.on_message(now, &[head.concat(), tail.concat()].concat(), &mut out);
            }
            2 => exchange.on_message(now, bytes, &mut out),
            _ => exchange.on_timeout(now, &mut out),
        }
        for output in out {
            match output {
                Output::Send(bytes) => {
                    let text = std::str::from_utf8(&bytes).expect("a request is text");
                    let lines = text.split("\r\n").count();
                    assert!(lines == 13 || lines == 14, "{text}");
                    assert!(text.bytes().filter(|byte| *byte == b'\n').count() == lines - 1, "{text}");
                    let at = text.find("branch=").expect("a Via has one") + "branch=".len();
                    branch = text.as_bytes()[at..].split(|byte| *byte == b';').next().expect("it ends").to_vec();
                }
                Output::Ended(ProbeId(id), _) => {
                    assert!(deadlines[id as usize].take().is_some(), "it ended twice");
                }
                Output::Unexpected(_) => {}
            }
        }
        assert_eq!(exchange.under_way(), deadlines.iter().flatten().count());
    }
    let end = now + Duration::from_secs(3);
    let mut out = Vec::new();
    exchange.on_timeout(end, &mut out);
    assert_eq!(exchange.under_way(), 0);
});
