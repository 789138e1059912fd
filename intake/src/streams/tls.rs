//! TLS on the wire: records are counted by their headers, wherever segments cut them (RFC 8446 §5.1).

use super::Sink;

/// Content type, version, length.
const RECORD_HEADER: usize = 5;

/// Whether a record begins here.
pub(super) fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 0x03, 0x01..=0x04, ..])
}

/// Whether these few bytes may be the beginning of a record; no message begins so.
pub(super) fn may_be_record(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17] | [0x14..=0x17, 0x03])
}

/// Counts the records whose headers are whole in a segment at `sequence`; `next` is where the next one is expected,
/// and the result where the one after them is.
pub(super) fn count_records(next: u32, sequence: u32, payload: &[u8], sink: &mut Sink<'_>) -> u32 {
    let end = sequence.wrapping_add(payload.len() as u32);
    let mut offset = next.wrapping_sub(sequence) as i32;
    if offset < 0 {
        // A header was missed: a record may begin with this segment.
        offset = 0;
    }
    let mut at = offset as usize;
    while let Some(header) = payload.get(at..).and_then(|rest| rest.first_chunk::<RECORD_HEADER>()) {
        if !is_record(header) {
            return end;
        }
        sink.batch.tally.tls_records += 1;
        at += RECORD_HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
    }
    sequence.wrapping_add(at as u32)
}
