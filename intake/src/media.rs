//! Media: datagrams that look like RTP or RTCP, on ports that are not SIP's (`sip-metrics.md` 1.1, 5.2). Of RTP nothing
//! behind the first 12 bytes is looked at.

use pipeline::FrameBatch;
use pipeline::media::{MediaPacket, RtcpPacket, seen_at};
use wire::{Datagram, Packet};

use super::clock::Stamp;

/// Adds a datagram to a batch where it looks like media; returns whether it does.
#[inline]
pub(super) fn take(datagram: &Datagram<'_>, packet: &Packet<'_>, stamp: Stamp, batch: &mut FrameBatch) -> bool {
    let Some(header) = datagram.payload.first_chunk::<12>() else { return take_short(datagram, packet, stamp, batch) };
    if header[0] >> 6 != 2 {
        return false;
    }
    let at = stamp.at;
    let (source, destination) = (datagram.source.into(), datagram.destination.into());
    let identification = datagram.identification;
    let seen_at = seen_at(packet.interface, packet.vlan(), packet.tap);
    if is_rtcp(header[1]) {
        let packet = RtcpPacket { range: 0..0, at, source, destination, identification, seen_at };
        batch.push_rtcp(datagram.payload, packet);
    } else {
        // What the capture cut off was there, however much it was.
        let len =
            if datagram.missing > 0 { u16::MAX } else { u16::try_from(datagram.payload.len()).unwrap_or(u16::MAX) };
        batch.media.push(MediaPacket { at, source, destination, header: *header, len, identification, seen_at });
    }
    true
}

/// A report without blocks is shorter than a header of RTP.
#[cold]
fn take_short(datagram: &Datagram<'_>, packet: &Packet<'_>, stamp: Stamp, batch: &mut FrameBatch) -> bool {
    let is_report = matches!(datagram.payload, [flags, kind, _, _, ..] if flags >> 6 == 2 && is_rtcp(*kind));
    if is_report {
        let packet = RtcpPacket {
            range: 0..0,
            at: stamp.at,
            source: datagram.source.into(),
            destination: datagram.destination.into(),
            identification: datagram.identification,
            seen_at: seen_at(packet.interface, packet.vlan(), packet.tap),
        };
        batch.push_rtcp(datagram.payload, packet);
    }
    is_report
}

/// Told by the second byte (RFC 5761 §4).
fn is_rtcp(second: u8) -> bool {
    matches!(second, 192..=223)
}
