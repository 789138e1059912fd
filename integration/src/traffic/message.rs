//! One message of a call: its bytes, as a phone and a server would write them (RFC 3261 §7, RFC 4566).

use std::fmt::Write;
use std::net::SocketAddr;

/// Who takes part.
pub(super) struct Message {
    pub(super) call: u64,
    pub(super) seed: u64,
    pub(super) dice: u64,
    pub(super) caller: SocketAddr,
    pub(super) callee: SocketAddr,
    pub(super) user_agent: &'static str,
}

/// A session description, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Offer,
    Answer,
}

impl Message {
    /// A request. `confirmed`: the callee's tag is known. `own`: a transaction of its own, not that of the INVITE.
    pub(super) fn request(&self, method: &str, cseq: u32, confirmed: bool, own: bool, body: Body) -> Vec<u8> {
        let Self { callee, caller, user_agent, call, .. } = self;
        let number = self.callee_number();
        let mut text = String::with_capacity(800);
        let target = if method == "REGISTER" { format!("sip:{callee}") } else { format!("sip:{number}@{callee}") };
        push(&mut text, format_args!("{method} {target} SIP/2.0\r\n"));
        self.identity(&mut text, if own { method } else { "INVITE" }, method, cseq, confirmed);
        push(&mut text, format_args!("Contact: <sip:{}@{caller}>\r\nMax-Forwards: 70\r\n", self.caller_number()));
        push(&mut text, format_args!("User-Agent: {user_agent}\r\n"));
        match (method, cseq) {
            ("REGISTER", 1) => text.push_str("Expires: 3600\r\n"),
            ("REGISTER", _) => push(
                &mut text,
                format_args!(
                    "Expires: 3600\r\nAuthorization: Digest username=\"{}\", realm=\"example.com\", nonce=\"{call:016x}\", \
                     uri=\"sip:{callee}\", response=\"{:032x}\", algorithm=MD5\r\n",
                    self.caller_number(),
                    self.dice
                ),
            ),
            ("INVITE", _) => {
                text.push_str("Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK\r\nSupported: timer, 100rel\r\n")
            }
            _ => {}
        }
        self.end(text, body)
    }

    /// A response.
    pub(super) fn response(&self, status: u16, method: &str, cseq: u32, body: Body) -> Vec<u8> {
        let mut text = String::with_capacity(800);
        push(&mut text, format_args!("SIP/2.0 {status} {}\r\n", reason(status)));
        // A CANCEL is about a transaction and carries its branch (RFC 3261 §9.1).
        let branch = if method == "CANCEL" { "INVITE" } else { method };
        self.identity(&mut text, branch, method, cseq, status > 100);
        match (status, method) {
            (200, "INVITE") => {
                push(&mut text, format_args!("Contact: <sip:{}@{}>\r\n", self.callee_number(), self.callee))
            }
            (200, "REGISTER") => push(
                &mut text,
                format_args!("Contact: <sip:{}@{}>;expires=3600\r\n", self.caller_number(), self.caller),
            ),
            (401, _) => push(
                &mut text,
                format_args!("WWW-Authenticate: Digest realm=\"example.com\", nonce=\"{:016x}\"\r\n", self.call),
            ),
            (487.., _) => text.push_str("Reason: Q.850;cause=16\r\n"),
            _ => {}
        }
        text.push_str("Server: OpenSIPS (3.4.9 (x86_64/linux))\r\n");
        self.end(text, body)
    }

    /// What says to which call and transaction it belongs.
    fn identity(&self, text: &mut String, branch: &str, method: &str, cseq: u32, to_tag: bool) {
        let Self { call, seed, caller, callee, dice, .. } = self;
        let from = self.caller_number();
        // Of a transaction the branch and of a registration the address-of-record stay the same.
        push(text, format_args!("Via: SIP/2.0/UDP {caller};rport;branch=z9hG4bK{call:x}-{seed:x}-{branch}{cseq}\r\n"));
        push(text, format_args!("From: \"Line {}\" <sip:{from}@{caller}>;tag={:x}\r\n", from % 100, *dice as u32));
        let to = if method == "REGISTER" { from } else { self.callee_number() };
        push(text, format_args!("To: <sip:{to}@{callee}>"));
        if to_tag {
            push(text, format_args!(";tag={:x}", dice >> 32));
        }
        push(
            text,
            format_args!("\r\nCall-ID: {call:08x}-{dice:016x}-{seed:x}@{}\r\nCSeq: {cseq} {method}\r\n", caller.ip()),
        );
    }

    fn end(&self, mut text: String, body: Body) -> Vec<u8> {
        let address = match body {
            Body::None => {
                text.push_str("Content-Length: 0\r\n\r\n");
                return text.into_bytes();
            }
            Body::Offer => self.caller.ip(),
            Body::Answer => self.callee.ip(),
        };
        let port = 10_000 + (self.dice >> 20) % 20_000 * 2;
        let sdp = format!(
            "v=0\r\no=- {} 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n",
            self.call
        );
        push(&mut text, format_args!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len()));
        text.into_bytes()
    }

    fn caller_number(&self) -> u64 {
        4_930_000_000 + self.dice % 1_000_000
    }

    fn callee_number(&self) -> u64 {
        4_989_000_000 + (self.dice >> 12) % 1_000_000
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a String takes everything");
}

const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        401 => "Unauthorized",
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        _ => "Service Unavailable",
    }
}
