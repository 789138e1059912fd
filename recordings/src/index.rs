//! The index of a recording: which calls are in which part of it, and where their messages lie.
//!
//! A recording is written in chunks, and its index has a record for each: where it lies, from when to when it goes, and of each
//! Call-ID in it who called whom and which bytes are its messages. Records are appended as chunks are, so that what a sudden
//! end leaves is whole up to the last record. Lengths and places are variable-length numbers, as of LEB128.

use std::collections::HashMap;
use std::io;

use pipeline::{SipFrame, Transport};
use sip::{Framing, Message, Start, uri};
use wire::Timestamp;

/// What an index begins with while its recording is written, and of a closed one.
pub(crate) const OPEN: [u8; 8] = *b"ringidx1";
pub(crate) const CLOSED: [u8; 8] = *b"ringidxz";

/// A part of a recording.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Where it begins in the file.
    pub offset: u64,
    /// How many bytes of the file it takes.
    pub len: u64,
    /// How many it has, uncompressed.
    pub raw: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    pub calls: HashMap<Box<[u8]>, Entry>,
}

/// What a chunk holds of a Call-ID.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub parties: Vec<Parties>,
    /// Where its messages lie in the uncompressed chunk: begin and length.
    pub places: Vec<(u32, u32)>,
}

/// Users that a request names. `None` of one that is too long to be noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    /// Of From.
    pub from: Option<Box<str>>,
    /// Of To.
    pub to: Option<Box<str>>,
    /// Of the Request-URI and P-Asserted-Identity, if they are others.
    pub others: Vec<Option<Box<str>>>,
}

impl Chunk {
    /// Notes a message that lies at `place` and was captured at these times, on the clock people see.
    pub fn note(&mut self, frame: &SipFrame, times: (Timestamp, Timestamp), message: &[u8], place: (u32, u32)) {
        let (first, last) = times;
        self.first = if self.first == Timestamp::ZERO { first } else { self.first.min(first) };
        self.last = self.last.max(last);
        let framing = match frame.transport {
            Transport::Tcp | Transport::Tls => Framing::Stream,
            Transport::Udp => Framing::Datagram { truncated: frame.is_cut() },
            Transport::Ws | Transport::Wss => Framing::WebSocket,
        };
        // What cannot be read is recorded, and belongs to no call.
        let Ok(message) = sip::parse(message, framing) else { return };
        let call_id = &message.call_id[..message.call_id.len().min(MAX_CALL_ID)];
        if !self.calls.contains_key(call_id) {
            self.calls.insert(call_id.into(), Entry::default());
        }
        let Some(entry) = self.calls.get_mut(call_id) else { return };
        entry.places.push(place);
        if message.is_request() && entry.parties.len() < MAX_PARTIES {
            let parties = Parties::of(&message);
            if !entry.parties.contains(&parties) {
                entry.parties.push(parties);
            }
        }
    }

    /// Adds the record of this chunk.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut record = Vec::new();
        for number in
            [self.offset, self.len, self.raw, self.first.as_nanos(), self.last.as_nanos(), self.calls.len() as u64]
        {
            put_number(number, &mut record);
        }
        for (call_id, Entry { parties, places }) in &self.calls {
            put_bytes(call_id, &mut record);
            put_number(parties.len() as u64, &mut record);
            for Parties { from, to, others } in parties {
                put_user(from.as_deref(), &mut record);
                put_user(to.as_deref(), &mut record);
                put_number(others.len() as u64, &mut record);
                others.iter().for_each(|user| put_user(user.as_deref(), &mut record));
            }
            put_number(places.len() as u64, &mut record);
            let mut end = 0;
            for (begin, len) in places {
                // Blocks begin at multiples of four.
                put_number(u64::from(begin - end) / 4, &mut record);
                put_number(u64::from(*len) / 4, &mut record);
                end = begin + len;
            }
        }
        put_number(record.len() as u64, out);
        out.extend_from_slice(&record);
    }

    /// Takes the record at the front; `None` where there is no whole one.
    pub fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut rest = *bytes;
        let len = usize::try_from(number(&mut rest)?).ok()?;
        let (mut record, rest) = rest.split_at_checked(len)?;
        let record = &mut record;
        let mut chunk = Self {
            offset: number(record)?,
            len: number(record)?,
            raw: number(record)?,
            first: Timestamp::from_nanos(number(record)?),
            last: Timestamp::from_nanos(number(record)?),
            calls: HashMap::new(),
        };
        for _ in 0..number(record)? {
            let call_id = bytes_of(record)?.into();
            let mut entry = Entry::default();
            for _ in 0..number(record)? {
                let (from, to) = (user(record)?, user(record)?);
                let others = (0..number(record)?).map(|_| user(record)).collect::<Option<_>>()?;
                entry.parties.push(Parties { from, to, others });
            }
            let mut end = 0_u32;
            for _ in 0..number(record)? {
                let begin = end.checked_add(u32::try_from(number(record)?).ok()?.checked_mul(4)?)?;
                let len = u32::try_from(number(record)?).ok()?.checked_mul(4)?;
                end = begin.checked_add(len)?;
                entry.places.push((begin, len));
            }
            chunk.calls.insert(call_id, entry);
        }
        *bytes = rest;
        Some(chunk)
    }

    /// Takes in what comes behind this chunk in the same file.
    pub fn join(&mut self, next: Self) {
        let by = self.raw as u32;
        self.first = if self.raw == 0 { next.first } else { self.first.min(next.first) };
        self.last = self.last.max(next.last);
        self.raw += next.raw;
        for (call_id, entry) in next.calls {
            let known = self.calls.entry(call_id).or_default();
            known.places.extend(entry.places.into_iter().map(|(begin, len)| (begin + by, len)));
            for parties in entry.parties {
                if !known.parties.contains(&parties) {
                    known.parties.push(parties);
                }
            }
        }
    }
}

impl Parties {
    fn of(message: &Message<'_>) -> Self {
        let (from, to) = (user_of(message.from.uri), user_of(message.to.uri));
        let request = match message.start {
            Start::Request { uri, .. } => Some(user_of(uri)),
            Start::Response { .. } => None,
        };
        let others = request.into_iter().chain(message.p_asserted_identity().map(user_of));
        let others = others.filter(|user| *user != from && *user != to).collect();
        Self { from, to, others }
    }
}

/// The records of an index, however it was closed; as far as they are whole.
pub(crate) fn chunks(index: &[u8], mut visit: impl FnMut(Chunk)) -> io::Result<()> {
    let (magic, body) = index.split_at_checked(OPEN.len()).unwrap_or((index, &[]));
    let inflated;
    let mut records = match magic {
        _ if magic == OPEN => body,
        _ if magic == CLOSED => {
            inflated = zstd::stream::decode_all(body)?;
            &inflated[..]
        }
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no index of a recording")),
    };
    while let Some(chunk) = Chunk::take(&mut records) {
        visit(chunk);
    }
    Ok(())
}

fn user_of(uri: &[u8]) -> Option<Box<str>> {
    let user = uri::user(uri).unwrap_or_default();
    (user.len() <= MAX_USER).then(|| String::from_utf8_lossy(user).into())
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn bytes_of<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(number(bytes)?).ok()?;
    let (front, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(front)
}

/// A length that is one more, or 0 where there is none.
fn put_user(user: Option<&str>, out: &mut Vec<u8>) {
    put_number(user.map_or(0, |user| user.len() as u64 + 1), out);
    out.extend_from_slice(user.unwrap_or_default().as_bytes());
}

/// `Some(None)`: one that was not noted.
fn user(bytes: &mut &[u8]) -> Option<Option<Box<str>>> {
    let len = usize::try_from(number(bytes)?).ok()?;
    let Some(len) = len.checked_sub(1) else { return Some(None) };
    let (front, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(Some(String::from_utf8_lossy(front).into()))
}

/// Longest user part that is noted: records cut none that is so short.
const MAX_USER: usize = 64;
/// So much of a Call-ID tells it from others.
const MAX_CALL_ID: usize = 256;
/// Most different pairs that are noted of one Call-ID in a chunk; a call has two, one for each direction.
const MAX_PARTIES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:0815@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:alice@a>;tag=1\r\n\
        To: <sip:bob@b>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\r\n";

    fn chunk(place: (u32, u32)) -> Chunk {
        let [source, destination] = ["192.0.2.1:5060", "192.0.2.2:5060"].map(|text| text.parse().expect("an address"));
        let frame = SipFrame::datagram(source, destination, Timestamp::from_nanos(7));
        let mut chunk = Chunk { offset: 9, len: 300, raw: 600, ..Chunk::default() };
        chunk.note(&frame, (frame.first, frame.at), INVITE.as_bytes(), place);
        chunk
    }

    fn shown(chunk: &Chunk) -> String {
        format!("{chunk:?}")
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_no_part_of_it_is() {
        let chunk = chunk((8, 400));
        let mut bytes = Vec::new();
        chunk.put(&mut bytes);
        for len in 0..bytes.len() {
            assert!(Chunk::take(&mut &bytes[..len]).is_none(), "{len} bytes are no record");
        }
        bytes.extend_from_slice(b"next");
        let mut rest = &bytes[..];
        assert_eq!(shown(&Chunk::take(&mut rest).expect("it is whole")), shown(&chunk));
        assert_eq!(rest, b"next");
        let entry = &chunk.calls[&b"one"[..]];
        assert_eq!(entry.parties[0].others, [Some("0815".into())]);
        assert_eq!(entry.places, [(8, 400)]);
    }

    #[test]
    fn bytes_of_any_kind_cost_no_panic() {
        let mut bytes = Vec::new();
        chunk((0, 4)).put(&mut bytes);
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                let _ = Chunk::take(&mut &bytes[..]);
            }
        }
    }

    #[test]
    fn chunks_that_are_joined_have_the_places_of_both() {
        let mut first = chunk((0, 400));
        first.join(chunk((4, 400)));
        assert_eq!(first.raw, 1200);
        assert_eq!(first.calls[&b"one"[..]].places, [(0, 400), (604, 400)]);
        assert_eq!(first.calls[&b"one"[..]].parties.len(), 1);
    }
}
