//! GRE version 0 (RFC 2784, RFC 2890): IP, Ethernet, and mirrored frames of ERSPAN in it.

use crate::link::{self, Network};
use crate::skip::Skip;

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const VERSION: u16 = 0x0007;

/// ERSPAN types I and II, and III (draft-foschiano-erspan).
const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;

/// Bytes of an ERSPAN header of type II, and of what may follow one of type III.
const ERSPAN_II_HEADER: usize = 8;
const ERSPAN_III_SUBHEADER: usize = 8;

/// What a GRE packet holds. [`Skip::Ethertype`] where that, or the version of GRE, is none that is read.
pub(super) fn inside(bytes: &[u8]) -> Result<Network<'_>, Skip> {
    let (header, _) = bytes.split_first_chunk::<4>().ok_or(Skip::Malformed)?;
    let flags = u16::from_be_bytes([header[0], header[1]]);
    let ethertype = u16::from_be_bytes([header[2], header[3]]);
    // Version 1 is PPTP's (RFC 2637); routing was given up before there were uses of it.
    if flags & (VERSION | ROUTING) != 0 {
        return Err(Skip::Ethertype);
    }
    let optional = [CHECKSUM, KEY, SEQUENCE].iter().filter(|&&flag| flags & flag != 0).count();
    let bytes = bytes.get(4 + 4 * optional..).ok_or(Skip::Malformed)?;
    match ethertype {
        link::BRIDGED => link::ethernet(bytes),
        // Type I has no header of its own, and no sequence number, which type II always has.
        ERSPAN if flags & SEQUENCE == 0 => link::ethernet(bytes),
        ERSPAN => link::ethernet(bytes.get(ERSPAN_II_HEADER..).ok_or(Skip::Malformed)?),
        ERSPAN_III => erspan_iii(bytes),
        _ => link::untag(Network { ethertype, bytes }),
    }
}

fn erspan_iii(bytes: &[u8]) -> Result<Network<'_>, Skip> {
    let (header, rest) = bytes.split_first_chunk::<12>().ok_or(Skip::Malformed)?;
    let (frame_type, has_subheader) = (header[10] >> 2 & 0x1f, header[11] & 1 == 1);
    let frame = if has_subheader { rest.get(ERSPAN_III_SUBHEADER..).ok_or(Skip::Malformed)? } else { rest };
    match frame_type {
        0 => link::ethernet(frame),
        2 => link::by_version(frame),
        _ => Err(Skip::Ethertype),
    }
}
