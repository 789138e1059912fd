//! Header fields of messages, for whoever looks at a call: kept as they were sent, shown as far as privacy allows.
//!
//! Kept only where somebody asked, so many bytes a message and so many in all. Credentials and bodies are never kept.
//! Unless numbers are shown as they are, only fields are that say how a message went and what its sender can do, not
//! who calls whom; what is in them of numbers is cleared all the same, when the record leaves and all numbers of the
//! call are known.

use sip::Message;

use crate::config::{Addresses, CallIds, Numbers, Privacy};
use crate::privacy::Own;

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
pub fn shown(kept: Vec<Kept>, own: &Own, privacy: &Privacy) -> Box<[Box<str>]> {
    if kept.iter().all(Option::is_none) {
        return Box::default();
    }
    let mut shown = String::with_capacity(MAX_BYTES);
    let of_each = kept.into_iter().map(|kept| {
        let lines = kept.unwrap_or_default();
        shown.clear();
        show(&lines, own, privacy, &mut shown);
        // Of most messages everything may be shown: what was kept leaves as it is.
        match *shown.as_bytes() == *lines {
            true => String::from_utf8(lines.into()).expect("it is what is shown, and that is text").into(),
            false => shown.as_str().into(),
        }
    });
    of_each.collect()
}

/// Adds what may be shown of the fields of one message.
fn show(lines: &[u8], own: &Own, privacy: &Privacy, shown: &mut String) {
    let hides = privacy.numbers != Numbers::Plain || privacy.ip != Addresses::Plain;
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
            clear(from, at, shown);
            from = at + line.len();
        }
        if is_via && stays {
            privacy.add_via(line, own, shown);
        }
        at += line.len();
    }
    clear(from, at, shown);
}

/// Whether a field may be kept, by its name.
fn may_be_kept(name: &[u8], privacy: &Privacy) -> bool {
    let mut lower = [0; LONGEST_KNOWN];
    let name = match lower.get_mut(..name.len()) {
        Some(lower) => {
            lower.copy_from_slice(name);
            lower.make_ascii_lowercase();
            &*lower
        }
        None => name,
    };
    if privacy.call_id == CallIds::Hash && names_calls(name) {
        return false;
    }
    if privacy.numbers == Numbers::Plain { !is_secret(name) } else { is_technical(name) }
}

/// Fields that say how a message went, what it is, and what its sender can do.
fn is_technical(name: &[u8]) -> bool {
    matches!(
        name,
        b"via"
            | b"v"
            | b"cseq"
            | b"max-forwards"
            | b"user-agent"
            | b"server"
            | b"reason"
            | b"warning"
            | b"retry-after"
            | b"require"
            | b"proxy-require"
            | b"supported"
            | b"k"
            | b"unsupported"
            | b"allow"
            | b"allow-events"
            | b"u"
            | b"accept"
            | b"accept-encoding"
            | b"accept-language"
            | b"content-type"
            | b"c"
            | b"content-length"
            | b"l"
            | b"content-encoding"
            | b"e"
            | b"content-disposition"
            | b"mime-version"
            | b"session-expires"
            | b"x"
            | b"min-se"
            | b"expires"
            | b"min-expires"
            | b"rseq"
            | b"rack"
            | b"event"
            | b"o"
            | b"subscription-state"
            | b"timestamp"
            | b"date"
            | b"priority"
            | b"privacy"
            | b"answer-mode"
            | b"request-disposition"
    )
}

/// Fields with credentials, or what they are made from.
fn is_secret(name: &[u8]) -> bool {
    matches!(
        name,
        b"authorization"
            | b"proxy-authorization"
            | b"www-authenticate"
            | b"proxy-authenticate"
            | b"authentication-info"
            | b"identity"
            | b"y"
    )
}

/// Fields that name this call or another; Event by `dialog;call-id=` (RFC 4235 §3.2).
fn names_calls(name: &[u8]) -> bool {
    matches!(
        name,
        b"call-id"
            | b"i"
            | b"replaces"
            | b"join"
            | b"target-dialog"
            | b"in-reply-to"
            | b"session-id"
            | b"refer-to"
            | b"r"
            | b"event"
            | b"o"
    )
}

/// The longest of these names: `authentication-info`, `proxy-authorization`, `request-disposition`.
const LONGEST_KNOWN: usize = 19;
/// Stands for the fields there was no room for.
const CUT: &[u8] = b"...\n";
/// Most bytes kept of one message.
const MAX_BYTES: usize = 1024;
/// Most bytes kept of all messages of calls that are up: those that come when it is full have none.
pub const MAX_IN_ALL: usize = 16 << 20;
