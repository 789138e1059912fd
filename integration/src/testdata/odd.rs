//! Odd messages: one of each class of RFC 4475, written for this project, with what the parser must make of it
//! (`sip-metrics.md` 1.10).
//!
//! A message says only what is odd about it; the fields that every message needs are filled in.

use serde_json::{Value, json};

/// One message and what becomes of it in a datagram.
pub(super) struct Odd {
    /// The class, by the name that RFC 4475 gives its own message of it.
    pub class: &'static str,
    /// The section there.
    pub section: &'static str,
    /// What is odd.
    pub about: &'static str,
    /// As [`written`] reads it.
    text: &'static str,
    /// `error`, or what is read; `stream` where a stream makes something else of it.
    expected: Value,
}

impl Odd {
    /// The bytes of the payload.
    pub fn bytes(&self) -> Vec<u8> {
        match self.class {
            "longreq" => written(self.class, &long()),
            // What follows is longer than the first, so that no kernel has merged them.
            "dblreq" => {
                [written(self.class, self.text), written("dblreq-2", "INVITE sip:ben@example.net SIP/2.0")].concat()
            }
            _ => written(self.class, self.text),
        }
    }

    /// As it stands in `expected.json`.
    pub fn expected(&self) -> Value {
        let mut value = json!({ "rfc4475": self.section, "about": self.about });
        let fields = self.expected.as_object().expect("an object").clone();
        value.as_object_mut().expect("an object").extend(fields);
        value
    }
}

/// A message: the lines of `text` end with CR LF, a character from U+E000 on is the byte of its last two digits. What it
/// does not have of Via, Max-Forwards, From, To, Call-ID, CSeq, Contact (a request) and Content-Length is added; a line
/// `-Name` leaves one out.
fn written(class: &str, text: &str) -> Vec<u8> {
    let (header, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let body = body.replace('\n', "\r\n");
    let (first, given) = header.split_once('\n').unwrap_or((header, ""));
    let is_request = !first.starts_with("SIP/");
    let method = first.split(' ').next().unwrap_or_default();
    let usual = [
        ("via", format!("Via: SIP/2.0/UDP 192.0.2.31:5060;branch=z9hG4bK-{class}")),
        ("max-forwards", "Max-Forwards: 70".to_owned()),
        ("from", format!("From: <sip:ann@example.com>;tag=from-{class}")),
        ("to", format!("To: <sip:ben@example.net>{}", if is_request { "" } else { ";tag=to-ben" })),
        ("call-id", format!("Call-ID: {class}@192.0.2.31")),
        ("cseq", format!("CSeq: 1 {}", if is_request { method } else { "INVITE" })),
        ("contact", "Contact: <sip:ann@192.0.2.31>".to_owned()),
        ("content-length", format!("Content-Length: {}", bytes(&body).len())),
    ];
    let mut lines = vec![first.to_owned()];
    let given: Vec<&str> = given.lines().collect();
    lines.extend(given.iter().filter(|line| !line.starts_with('-')).map(|line| (*line).to_owned()));
    let names: Vec<String> = given.iter().map(|line| name(line.trim_start_matches('-'))).collect();
    for (usual_name, line) in usual {
        let of_request = matches!(usual_name, "max-forwards" | "contact");
        if !names.iter().any(|name| name == usual_name) && (is_request || !of_request) {
            lines.push(line);
        }
    }
    bytes(&format!("{}\r\n\r\n{body}", lines.join("\r\n")))
}

/// The name of a header line, in its long form and small letters.
fn name(line: &str) -> String {
    let name = line.split(':').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let long = match name.as_str() {
        "v" => "via",
        "f" => "from",
        "t" => "to",
        "i" => "call-id",
        "m" => "contact",
        "l" => "content-length",
        _ => return name,
    };
    long.to_owned()
}

/// UTF-8, but for the characters that stand for bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(0xe000).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// How long the tag and the Call-ID of `longreq` are.
const LONG: usize = 1_200;

/// Forty Vias, a tag and a Call-ID of more than a thousand bytes, a header field of three thousand.
fn long() -> String {
    let vias = (0..40).map(|hop| format!("Via: SIP/2.0/UDP hop{hop}.example.com;branch=z9hG4bK-long-{hop}")).rev();
    let fields = [
        format!("From: \"{}\" <sip:ann@example.com>;tag={}", "Ann ".repeat(100), "f".repeat(LONG)),
        format!("Call-ID: {}@192.0.2.31", "c".repeat(LONG)),
        format!("X-Long: {}", "word ".repeat(600)),
    ];
    let lines = std::iter::once("INVITE sip:ben@example.net SIP/2.0".to_owned()).chain(vias).chain(fields);
    lines.collect::<Vec<_>>().join("\n")
}

/// All of them, in the order of RFC 4475.
pub(super) fn all() -> Vec<Odd> {
    let odd = |class, section, about, text, expected| Odd { class, section, about, text, expected };
    vec![
        odd(
            "wsinv",
            "3.1.1.1",
            "white space and folds wherever they are allowed, compact names, a top Via without the cookie",
            "INVITE sip:ben@example.net;x=1 SIP/2.0\n\
             TO :\n sip:ben@example.net ;   tag    = 7ad\n\
             f:\t\"Ann \\\\\\\"Quote\\\"\" <sip:ann@example.com>\n  ;\n  tag = f33\n\
             MaX-fOrWaRdS:  0068\n\
             i: wsinv.5x\n\
             cseq: 0012\n   INVITE\n\
             V: SIP  / 2.0 /UDP  192.0.2.31 ;branch=plain12\n\
             v: SIP / 2.0 / TCP  edge.example.com ;\n   branch = z9hG4bKedge ,\n SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKinner\n\
             m : \"x\" <sip:ann@192.0.2.31> ; q = 0.5\n\
             Subject :\n\
             X-Unknown : \t a value;;,,;;\n with a \"fold\n\
             l : 0004\n\n\
             v=0\n",
            json!({
                "anomalies": ["trailing_bytes"], "key": "fallback", "method": "INVITE", "cseq": 12, "from_tag": "f33",
                "to_tag": "7ad", "to_uri": "sip:ben@example.net", "call_id": "wsinv.5x", "contacts": 1, "body": 4,
                "hosts": ["192.0.2.31", "edge.example.com", "10.0.0.9"], "stream": ["trailing_bytes"],
            }),
        ),
        odd(
            "intmeth",
            "3.1.1.2",
            "a method of every kind of token character, odd but legal display names and tags",
            "Odd.Method-0_9!%*+'~` sip:b&n=+$,x;y?z:pw@example.net;par=v?h=1 SIP/2.0\n\
             From: =?odd?= <sip:ann@example.com>;tag=~`'+*%!_.-\n\
             To: \"NUL \\\u{e000} DEL \\\u{e07f} \u{e0c3}\u{e0bc}\" <sip:ben@example.net>",
            json!({ "anomalies": [], "key": "branch", "method": "OTHER", "from_tag": "~`'+*%!_.-", "to_tag": "" }),
        ),
        odd(
            "esc01",
            "3.1.1.3",
            "escapes in URIs, never undone",
            "INVITE sip:b%65n%40home@example.net;l%72=1 SIP/2.0\n\
             To: <sip:b%65n@example.net>;tag=%31",
            json!({
                "anomalies": [], "key": "branch", "method": "INVITE", "to_uri": "sip:b%65n@example.net",
                "to_tag": "%31",
            }),
        ),
        odd(
            "escnull",
            "3.1.1.4",
            "escaped NUL bytes in URIs",
            "REGISTER sip:example.com SIP/2.0\n\
             From: <sip:nul%00ann@example.com>;tag=n\n\
             To: <sip:nul%00ann@example.com>\n\
             Contact: <sip:%00@192.0.2.31>, <sip:%00%00@192.0.2.31>",
            json!({
                "anomalies": [], "key": "branch", "method": "REGISTER", "contacts": 2,
                "to_uri": "sip:nul%00ann@example.com",
            }),
        ),
        odd(
            "esc02",
            "3.1.1.5",
            "an escape in the method, which is therefore another method",
            "INV%49TE sip:ben@example.net SIP/2.0",
            json!({ "anomalies": [], "key": "branch", "method": "OTHER" }),
        ),
        odd(
            "lwsdisp",
            "3.1.1.6",
            "no space between display name and URI",
            "OPTIONS sip:ben@example.net SIP/2.0\nFrom: ann<sip:ann@example.com>;tag=close",
            json!({
                "anomalies": [], "key": "branch", "method": "OPTIONS", "from_tag": "close",
                "from_uri": "sip:ann@example.com",
            }),
        ),
        odd(
            "longreq",
            "3.1.1.7",
            "long values, and forty Vias",
            "",
            json!({
                "anomalies": [], "key": "branch", "method": "INVITE", "vias": 40, "from_tag": "f".repeat(LONG),
                "call_id": format!("{}@192.0.2.31", "c".repeat(LONG)),
            }),
        ),
        odd(
            "dblreq",
            "3.1.1.8",
            "a second, longer message behind the first in one datagram",
            "REGISTER sip:example.com SIP/2.0",
            json!({
                "anomalies": ["trailing_bytes"], "key": "branch", "method": "REGISTER", "body": 0,
                "call_id": "dblreq@192.0.2.31", "stream": ["trailing_bytes"],
            }),
        ),
        odd(
            "semiuri",
            "3.1.1.9",
            "semicolons in the user part of the Request-URI",
            "OPTIONS sip:ben;room=2;tag=no@example.net SIP/2.0\nTo: sip:ben@example.net;tag=yes",
            json!({
                "anomalies": [], "key": "branch", "method": "OPTIONS", "to_tag": "yes",
                "user": "ben;room=2;tag=no",
            }),
        ),
        odd(
            "transports",
            "3.1.1.10",
            "known and unknown transports in the Vias",
            "OPTIONS sip:ben@example.net SIP/2.0\n\
             Via: SIP/2.0/TCP a.example.com;branch=z9hG4bKa\n\
             Via: SIP/2.0/TLS b.example.com;branch=z9hG4bKb\n\
             Via: SIP/2.0/SCTP c.example.com;branch=z9hG4bKc\n\
             Via: SIP/2.0/PIGEON d.example.com:99;branch=z9hG4bKd",
            json!({
                "anomalies": [], "key": "branch", "method": "OPTIONS", "ports": [5060, 5061, 5060, 99],
            }),
        ),
        odd(
            "mpart01",
            "3.1.1.11",
            "a body of several parts, one of them not text",
            "MESSAGE sip:ben@example.net SIP/2.0\n\
             Content-Type: multipart/mixed;boundary=cut\n\n\
             --cut\nContent-Type: text/plain\n\nhello\n\
             --cut\nContent-Type: application/octet-stream\n\n\u{e000}\u{e0ff}\u{e00a}\u{e00d}\u{e080}\n--cut--\n",
            json!({ "anomalies": [], "key": "branch", "method": "MESSAGE", "sdp": false }),
        ),
        odd(
            "unreason",
            "3.1.1.12",
            "a reason phrase in another script",
            "SIP/2.0 200 = \u{430}\u{431}\u{432} \u{e0ff}",
            json!({ "anomalies": [], "key": "branch", "method": "INVITE", "status": 200 }),
        ),
        odd(
            "noreason",
            "3.1.1.13",
            "an empty reason phrase",
            "SIP/2.0 100 ",
            json!({ "anomalies": [], "key": "branch", "method": "INVITE", "status": 100 }),
        ),
        odd(
            "badinv01",
            "3.1.2.1",
            "stray separators in the Via",
            "INVITE sip:ben@example.net SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.31;;,;,,\n\
             Contact: \"Ann\" <sip:ann@192.0.2.31>;;,,;",
            json!({ "error": "via" }),
        ),
        odd(
            "clerr",
            "3.1.2.2",
            "Content-Length beyond the end",
            "INVITE sip:ben@example.net SIP/2.0\nContent-Type: application/sdp\nContent-Length: 4711\n\nv=0\n",
            json!({
                "anomalies": ["content_length"], "key": "branch", "method": "INVITE", "body": 5,
                "stream": "content_length",
            }),
        ),
        odd(
            "ncl",
            "3.1.2.3",
            "a negative Content-Length",
            "INVITE sip:ben@example.net SIP/2.0\nContent-Type: application/sdp\nContent-Length: -9\n\nv=0\n",
            json!({
                "anomalies": ["content_length"], "key": "branch", "method": "INVITE", "stream": "content_length",
            }),
        ),
        odd(
            "scalar02",
            "3.1.2.4",
            "numbers of a request beyond their range",
            "REGISTER sip:example.com SIP/2.0\n\
             CSeq: 99999999999999999999 REGISTER\n\
             Max-Forwards: 400\nExpires: 77777777777777777777\n\
             Contact: <sip:ann@192.0.2.31>;expires=88888888888888888888",
            json!({ "error": "cseq" }),
        ),
        odd(
            "scalarlg",
            "3.1.2.5",
            "numbers of a response beyond their range",
            "SIP/2.0 503 Later\nCSeq: 4294967296 OPTIONS\nRetry-After: 66666666666666666666\nWarning: 1812 x \"y\"",
            json!({ "error": "cseq" }),
        ),
        odd(
            "quotbal",
            "3.1.2.6",
            "a quote that is not closed",
            "INVITE sip:ben@example.net SIP/2.0\nTo: \"Ben, who is <sip:ben@example.net>;tag=lost",
            json!({
                "anomalies": [], "key": "branch", "method": "INVITE", "to_uri": "", "to_tag": "",
                "from_tag": "from-quotbal",
            }),
        ),
        odd(
            "ltgtruri",
            "3.1.2.7",
            "angle brackets round the Request-URI",
            "INVITE <sip:ben@example.net> SIP/2.0",
            json!({ "anomalies": ["start_line_space"], "key": "branch", "method": "INVITE" }),
        ),
        odd(
            "lwsruri",
            "3.1.2.8",
            "a space in the Request-URI",
            "INVITE sip:ben@example.net; room=2 SIP/2.0",
            json!({ "anomalies": ["start_line_space"], "key": "branch", "method": "INVITE" }),
        ),
        odd(
            "lwsstart",
            "3.1.2.9",
            "several spaces between the parts of the start line",
            "INVITE   sip:ben@example.net  SIP/2.0",
            json!({ "anomalies": ["start_line_space"], "key": "branch", "method": "INVITE", "user": "ben" }),
        ),
        odd(
            "trws",
            "3.1.2.10",
            "spaces behind the start line",
            "OPTIONS sip:ben@example.net SIP/2.0  ",
            json!({ "anomalies": ["start_line_space"], "key": "branch", "method": "OPTIONS" }),
        ),
        odd(
            "escruri",
            "3.1.2.11",
            "a header field in the Request-URI",
            "INVITE sip:ben@example.net?Subject=hello%20there SIP/2.0",
            json!({ "anomalies": ["start_line_space"], "key": "branch", "method": "INVITE" }),
        ),
        odd(
            "baddate",
            "3.1.2.12",
            "a date in no time zone of HTTP",
            "INVITE sip:ben@example.net SIP/2.0\nDate: Thu, 1 Jan 2026 09:00:00 CET",
            json!({ "anomalies": [], "key": "branch", "method": "INVITE" }),
        ),
        odd(
            "regbadct",
            "3.1.2.13",
            "a Contact with a header field and no angle brackets",
            "REGISTER sip:example.com SIP/2.0\nContact: sip:ann@192.0.2.31?Subject=%3Cx%3E",
            json!({ "anomalies": [], "key": "branch", "method": "REGISTER", "contacts": 1 }),
        ),
        odd(
            "badaspec",
            "3.1.2.14",
            "spaces inside the angle brackets",
            "OPTIONS sip:ben@example.net SIP/2.0\nTo: \"Ben, the other\" < sip:ben@example.net >;tag=in",
            json!({
                "anomalies": [], "key": "branch", "method": "OPTIONS", "to_uri": "sip:ben@example.net",
                "to_tag": "in",
            }),
        ),
        odd(
            "baddn",
            "3.1.2.15",
            "characters in a display name that would need quotes",
            "OPTIONS sip:ben@example.net SIP/2.0\nFrom: Ann, of (the) Office <sip:ann@example.com>;tag=unquoted",
            json!({ "anomalies": [], "key": "branch", "method": "OPTIONS", "from_tag": "unquoted" }),
        ),
        odd(
            "badvers",
            "3.1.2.16",
            "another version of SIP",
            "OPTIONS sip:ben@example.net SIP/3.1",
            json!({ "error": "version" }),
        ),
        odd(
            "mismatch01",
            "3.1.2.17",
            "CSeq names another known method",
            "OPTIONS sip:ben@example.net SIP/2.0\nCSeq: 3 INVITE",
            json!({ "error": "cseq_mismatch" }),
        ),
        odd(
            "mismatch02",
            "3.1.2.18",
            "CSeq names a known method, the start line an unknown one",
            "TELEPORT sip:ben@example.net SIP/2.0\nCSeq: 3 INVITE",
            json!({ "error": "cseq_mismatch" }),
        ),
        odd(
            "bigcode",
            "3.1.2.19",
            "a status of many digits",
            "SIP/2.0 20000000000200 More than OK",
            json!({ "error": "status" }),
        ),
        odd(
            "badbranch",
            "3.2.1",
            "a branch that is the cookie and nothing else",
            "OPTIONS sip:ben@example.net SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.31;branch=z9hG4bK",
            json!({ "anomalies": [], "key": "fallback", "method": "OPTIONS" }),
        ),
        odd(
            "insuf",
            "3.3.1",
            "no Call-ID, no From, no To",
            "INVITE sip:ben@example.net SIP/2.0\n-Call-ID\n-From\n-To",
            json!({ "error": "missing_header" }),
        ),
        odd(
            "unkscm",
            "3.3.2",
            "a Request-URI of no known scheme",
            "OPTIONS smoke:signal:3-puffs SIP/2.0",
            json!({ "anomalies": [], "key": "branch", "method": "OPTIONS" }),
        ),
        odd(
            "novelsc",
            "3.3.3",
            "a Request-URI of a scheme of its own with authority and path",
            "OPTIONS lamp.post://example.net:99/third/left SIP/2.0",
            json!({ "anomalies": [], "key": "branch", "method": "OPTIONS" }),
        ),
        odd(
            "unksm2",
            "3.3.4",
            "unknown schemes in From, To and Contact",
            "REGISTER sip:example.com SIP/2.0\n\
             From: <pager:12-34>;tag=beep\nTo: <pager:12-34>\nContact: <lantern:one-if-by-land>",
            json!({
                "anomalies": [], "key": "branch", "method": "REGISTER", "from_tag": "beep", "to_uri": "pager:12-34",
                "contacts": 1,
            }),
        ),
        odd(
            "bext01",
            "3.3.5",
            "extensions nobody knows are required",
            "OPTIONS sip:ben@example.net SIP/2.0\nRequire: time-travel, 100rel\nProxy-Require: levitation",
            json!({ "anomalies": [], "key": "branch", "method": "OPTIONS" }),
        ),
        odd(
            "invut",
            "3.3.6",
            "a body of an unknown type",
            "INVITE sip:ben@example.net SIP/2.0\nContent-Type: application/x-knitting\n\nknit two, purl two\n",
            json!({ "anomalies": [], "key": "branch", "method": "INVITE", "sdp": false, "body": 20 }),
        ),
        odd(
            "regaut01",
            "3.3.7",
            "credentials of an unknown scheme",
            "REGISTER sip:example.com SIP/2.0\nAuthorization: Handshake secret=\"left, then right\"",
            json!({ "anomalies": [], "key": "branch", "method": "REGISTER" }),
        ),
        odd(
            "multi01",
            "3.3.8",
            "fields that may occur once occur twice",
            "INVITE sip:ben@example.net SIP/2.0\n\
             CSeq: 6 INVITE\nCall-ID: first@192.0.2.31\nFrom: <sip:ann@example.com>;tag=first\nTo: <sip:ben@example.net>\n\
             CSeq: 7 BYE\nCall-ID: second@192.0.2.31\nFrom: <sip:cat@example.com>;tag=second\nTo: <sip:dan@example.net>\n\
             Max-Forwards: 70\nMax-Forwards: 3\n\
             Contact: <sip:ann@192.0.2.31>\nContact: <sip:ann@192.0.2.32>",
            json!({
                "anomalies": ["dup_header"], "key": "branch", "method": "INVITE", "cseq": 6, "from_tag": "first",
                "call_id": "first@192.0.2.31", "to_uri": "sip:ben@example.net", "contacts": 2,
            }),
        ),
        odd(
            "mcl01",
            "3.3.9",
            "two different Content-Lengths",
            "OPTIONS sip:ben@example.net SIP/2.0\nContent-Length: 5\nContent-Length: 9\n\n1234567\n",
            json!({
                "anomalies": ["dup_header", "trailing_bytes"], "key": "branch", "method": "OPTIONS", "body": 5,
                "stream": "content_length",
            }),
        ),
        odd(
            "bcast",
            "3.3.10",
            "a response whose Via names a broadcast address",
            "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK-all",
            json!({
                "anomalies": [], "key": "branch", "method": "INVITE", "status": 200, "hosts": ["255.255.255.255"],
            }),
        ),
        odd(
            "zeromf",
            "3.3.11",
            "Max-Forwards is used up",
            "OPTIONS sip:ben@example.net SIP/2.0\nMax-Forwards: 0",
            json!({ "anomalies": [], "key": "branch", "method": "OPTIONS" }),
        ),
        odd(
            "cparam01",
            "3.3.12",
            "an unknown parameter of a Contact without angle brackets",
            "REGISTER sip:example.com SIP/2.0\nContact: sip:ann@192.0.2.31;colour=green;expires=60",
            json!({ "anomalies": [], "key": "branch", "method": "REGISTER", "contacts": 1 }),
        ),
        odd(
            "cparam02",
            "3.3.13",
            "an unknown parameter of a URI in a Contact",
            "REGISTER sip:example.com SIP/2.0\nContact: <sip:ann@192.0.2.31;colour=green>;expires=60",
            json!({ "anomalies": [], "key": "branch", "method": "REGISTER", "contacts": 1 }),
        ),
        odd(
            "regescrt",
            "3.3.14",
            "a Route escaped into the URI of a Contact",
            "REGISTER sip:example.com SIP/2.0\nContact: <sip:ann@192.0.2.31?Route=%3Csip:edge.example.com%3Blr%3E>",
            json!({ "anomalies": [], "key": "branch", "method": "REGISTER", "contacts": 1 }),
        ),
        odd(
            "sdp01",
            "3.3.15",
            "a session description is sent, and none accepted",
            "INVITE sip:ben@example.net SIP/2.0\nAccept: text/plain\nContent-Type: application/sdp\n\n\
             v=0\no=- 1 1 IN IP4 192.0.2.31\ns=-\nc=IN IP4 192.0.2.31\nt=0 0\nm=audio 40000 RTP/AVP 0\n",
            json!({ "anomalies": [], "key": "branch", "method": "INVITE", "sdp": true }),
        ),
        odd(
            "inv2543",
            "3.4.1",
            "a sender of before RFC 3261: no branch, no tags, no Max-Forwards, no Content-Length",
            "INVITE sip:ben@example.net SIP/2.0\n\
             Via: SIP/2.0/UDP old.example.com\nFrom: sip:ann@example.com\n-Max-Forwards\n-Content-Length\n\n\
             v=0\n",
            json!({
                "anomalies": [], "key": "fallback", "method": "INVITE", "from_tag": "", "to_tag": "", "body": 5,
                "hosts": ["old.example.com"], "stream": ["trailing_bytes", "no_content_length"],
            }),
        ),
    ]
}
