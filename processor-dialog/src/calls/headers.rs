//! Header fields of messages, for whoever looks at a call: kept as they were sent, shown as far as privacy allows.
//!
//! Kept only where somebody asked, so many bytes a message and so many in all. Credentials and bodies are never kept.
//! Unless numbers are shown as they are, only fields are that say how a message went and what its sender can do, not
//! who calls whom; what is in them of numbers is cleared all the same, when the record leaves and all numbers of the
//! call are known.

use sip::Message;

use super::config::{Addresses, CallIds, Numbers, Privacy};
use super::privacy::Own;

/// The fields of a message, a line each as sent; `None` without any.
pub type Kept = Option<Box<[u8]>>;

/// The fields of a message that may be kept.
pub fn kept(message: &Message<'_>, privacy: &Privacy) -> Kept {
    let (mut lines, mut len) = ([0; MAX_BYTES + CUT.len()], 0);
    let mut put = |bytes: &[u8]| {
        lines[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
        len
    };
    let mut room = MAX_BYTES;
    for (name, value) in message.fields().filter(|(name, _)| may_be_kept(name, privacy)) {
        let takes = name.len() + value.len() + b": \n".len();
        if takes > room {
            put(CUT);
            break;
        }
        room -= takes;
        put(name);
        put(b": ");
        // Folds become blanks (RFC 3261 §7.3.1).
        for (place, part) in value.split(|byte| matches!(byte, b'\r' | b'\n')).enumerate() {
            put(if place > 0 { b" " } else { b"" });
            put(part);
        }
        put(b"\n");
    }
    let len = put(b"");
    (len > 0).then(|| lines[..len].into())
}

/// What they take.
pub fn bytes(kept: &[Kept]) -> usize {
    kept.iter().flatten().map(|lines| lines.len()).sum()
}

/// What may be shown of the fields of each message; nothing at all where none were kept.
pub fn shown(kept: &[Kept], own: &Own, privacy: &Privacy) -> Box<[Box<str>]> {
    if kept.iter().all(Option::is_none) {
        return Box::default();
    }
    kept.iter().map(|kept| shown_of(kept, own, privacy)).collect()
}

/// What may be shown of the fields of one message.
fn shown_of(kept: &Kept, own: &Own, privacy: &Privacy) -> Box<str> {
    let Some(lines) = kept else { return "".into() };
    let hides = privacy.numbers != Numbers::Plain || privacy.ip != Addresses::Plain;
    let mut shown = String::with_capacity(lines.len());
    // What is cleared alike is cleared together: looking for numbers costs by the text, not by the byte.
    let clear = |from: usize, to: usize, shown: &mut String| {
        if from < to {
            privacy.add_cleared(&lines[from..to], own, shown);
        }
    };
    let (mut from, mut at) = (0, 0);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        // A branch is a token nobody reads: what looks like a number in it by chance may stay.
        let is_via = hides && ["via", "v"].iter().any(|via| name.eq_ignore_ascii_case(via.as_bytes()));
        // The settings may have changed since it was kept.
        let stays = line == CUT || may_be_kept(name, privacy);
        if is_via || !stays {
            clear(from, at, &mut shown);
            from = at + line.len();
        }
        if is_via && stays {
            privacy.add_via(line, own, &mut shown);
        }
        at += line.len();
    }
    clear(from, at, &mut shown);
    shown.into()
}

/// Whether a field may be kept, by its name.
fn may_be_kept(name: &[u8], privacy: &Privacy) -> bool {
    let is_in = |names: &[&str]| names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    if privacy.call_id == CallIds::Hash && is_in(&NAMES_CALLS) {
        return false;
    }
    if privacy.numbers == Numbers::Plain { !is_in(&SECRET) } else { is_in(&TECHNICAL) }
}

/// Fields that say how a message went, what it is, and what its sender can do.
const TECHNICAL: [&str; 44] = [
    "Via",
    "v",
    "CSeq",
    "Max-Forwards",
    "User-Agent",
    "Server",
    "Reason",
    "Warning",
    "Retry-After",
    "Require",
    "Proxy-Require",
    "Supported",
    "k",
    "Unsupported",
    "Allow",
    "Allow-Events",
    "u",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Content-Type",
    "c",
    "Content-Length",
    "l",
    "Content-Encoding",
    "e",
    "Content-Disposition",
    "MIME-Version",
    "Session-Expires",
    "x",
    "Min-SE",
    "Expires",
    "Min-Expires",
    "RSeq",
    "RAck",
    "Event",
    "o",
    "Subscription-State",
    "Timestamp",
    "Date",
    "Priority",
    "Privacy",
    "Answer-Mode",
    "Request-Disposition",
];

/// Fields with credentials, or what they are made from.
const SECRET: [&str; 7] = [
    "Authorization",
    "Proxy-Authorization",
    "WWW-Authenticate",
    "Proxy-Authenticate",
    "Authentication-Info",
    "Identity",
    "y",
];

/// Fields that name this call or another.
const NAMES_CALLS: [&str; 11] = [
    "Call-ID",
    "i",
    "Replaces",
    "Join",
    "Target-Dialog",
    "In-Reply-To",
    "Session-ID",
    "Refer-To",
    "r",
    // `dialog;call-id=` (RFC 4235 §3.2).
    "Event",
    "o",
];

/// Stands for the fields there was no room for.
const CUT: &[u8] = b"...\n";
/// Most bytes kept of one message.
const MAX_BYTES: usize = 1024;
/// Most bytes kept of all messages of calls that are up: those that come when it is full have none.
pub const MAX_IN_ALL: usize = 16 << 20;
