//! What may happen to the packets of a message on their way: padding, options, fragments, a capture that cuts them.

use ladder::{Step, frame};

use super::call::{Family, Packet, call, datagrams, each, frames, pings};
use super::wrap;
use crate::frames::fragments as cut;

/// Bytes of payload in a fragment.
const FRAGMENT: usize = 128;

/// What a capture with a short snap length keeps of each packet: the header of every message, and no session
/// description whole.
const SNAP: usize = 420;

/// What keeps no message whole, nor any header.
const SHORT_SNAP: usize = 120;

/// Bytes behind the end of the IP packet, as short frames have them, that are not zero.
pub(super) fn padded(family: Family) -> Vec<Packet> {
    each(&frames(&call(family)), |frame| [frame, b"SIP/2.0 padding"].concat())
}

/// IPv4 with options: no operation three times, end of list.
pub(super) fn ipv4_options(family: Family) -> Vec<Packet> {
    each(&datagrams(&call(family)), |packet| {
        let mut packet = [&packet[..20], &[1, 1, 1, 0], &packet[20..]].concat();
        packet[0] = 0x46;
        let len = u16::try_from(packet.len()).expect("one packet");
        packet[2..4].copy_from_slice(&len.to_be_bytes());
        packet[10..12].copy_from_slice(&[0, 0]);
        let sum = frame::checksum(&[&packet[..24]]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        frame::ethernet(&packet)
    })
}

/// IPv6 with hop-by-hop options, a fragment header of a packet that is whole (RFC 6946), and destination options.
pub(super) fn ipv6_extensions(family: Family) -> Vec<Packet> {
    const HOP_BY_HOP: u8 = 0;
    const FRAGMENT_HEADER: u8 = 44;
    const DESTINATION: u8 = 60;
    let padding = [0, 1, 4, 0, 0, 0, 0];
    each(&datagrams(&call(family)), |packet| {
        let (fixed, payload) = packet.split_at(40);
        let mut extended = [
            fixed,
            &[&[FRAGMENT_HEADER][..], &padding].concat(),
            &[DESTINATION, 0, 0, 0, 0, 0, 0, 9],
            &[&[frame::PROTOCOL_UDP][..], &padding].concat(),
            payload,
        ]
        .concat();
        extended[6] = HOP_BY_HOP;
        let len = u16::try_from(extended.len() - 40).expect("one packet");
        extended[4..6].copy_from_slice(&len.to_be_bytes());
        frame::ethernet(&extended)
    })
}

/// Each message in fragments, all at its time; `arrange` puts them in the order in which they are captured.
fn fragmented(steps: &[Step], arrange: impl Fn(&mut Vec<Vec<u8>>), wrap: fn(&[u8]) -> Vec<u8>) -> Vec<Packet> {
    let pieces = |(step, number): (&Step, u16)| {
        let mut pieces = cut(step.source, step.destination, &step.bytes, number, FRAGMENT);
        arrange(&mut pieces);
        pieces.into_iter().map(|piece| Packet::whole(step.at, wrap(&piece))).collect::<Vec<_>>()
    };
    steps.iter().zip(1..).flat_map(pieces).collect()
}

/// Fragments in order.
pub(super) fn fragments(family: Family) -> Vec<Packet> {
    fragmented(&call(family), |_| {}, frame::ethernet)
}

/// The call with other line ends in its headers.
pub(super) fn with_line_ends(steps: Vec<Step>, end: &str) -> Vec<Step> {
    let change = |step: Step| {
        let text = String::from_utf8(step.bytes).expect("a ladder without raw bytes is text");
        let (header, body) = text.split_once("\r\n\r\n").expect("a header has an end");
        let bytes = format!("{}{end}{end}{body}", header.replace("\r\n", end)).into_bytes();
        Step { bytes, ..step }
    };
    steps.into_iter().map(change).collect()
}

/// Bare LF.
pub(super) fn line_feeds(family: Family) -> Vec<Packet> {
    frames(&with_line_ends(call(family), "\n"))
}

/// Two CR before each LF, as text has that was converted twice.
pub(super) fn double_returns(family: Family) -> Vec<Packet> {
    frames(&with_line_ends(call(family), "\r\r\n"))
}

/// Pings in [`merged`].
pub(super) const MERGED: usize = 6;

/// Pings that the kernel made one datagram of.
pub(super) fn merged(family: Family) -> Vec<Packet> {
    let pings = pings(family, MERGED);
    let bytes = pings.iter().flat_map(|ping| ping.bytes.clone()).collect();
    frames(&[Step { bytes, ..pings[0].clone() }])
}

/// A ping, and behind it another one that is longer.
pub(super) fn surplus(family: Family) -> Vec<Packet> {
    let pings = pings(family, 2);
    let longer = String::from_utf8(pings[1].bytes.clone()).expect("text").replace("OPTIONS sip:", "OPTIONS sip:x");
    frames(&[Step { bytes: [&pings[0].bytes[..], longer.as_bytes()].concat(), ..pings[0].clone() }])
}

/// The last fragment first.
pub(super) fn fragments_reversed(family: Family) -> Vec<Packet> {
    fragmented(&call(family), |pieces| pieces.reverse(), frame::ethernet)
}

/// Every fragment twice, as on two interfaces of one host.
pub(super) fn fragments_twice(family: Family) -> Vec<Packet> {
    fragmented(
        &call(family),
        |pieces| *pieces = pieces.iter().flat_map(|piece| [piece.clone(), piece.clone()]).collect(),
        frame::ethernet,
    )
}

/// Fragments of what is inside a tunnel, the last one first.
pub(super) fn fragments_in_vxlan(family: Family) -> Vec<Packet> {
    fragmented(&call(family), |pieces| pieces.reverse(), wrap::vxlan)
}

/// The call, then a ping whose second fragment begins with the last eight bytes of the first.
pub(super) fn fragments_overlapping(family: Family) -> Vec<Packet> {
    let [ping] = &pings(family, 1)[..] else { unreachable!("one ping is asked for") };
    let whole = cut(ping.source, ping.destination, &ping.bytes, 99, FRAGMENT);
    // The same datagram, cut at other places: pieces of the one and of the other.
    let others = cut(ping.source, ping.destination, &ping.bytes, 99, FRAGMENT - 8);
    let overlapping = [&whole[..1], &others[1..]].concat();
    let packets = overlapping.iter().map(|piece| Packet::whole(ping.at, frame::ethernet(piece)));
    frames(&call(family)).into_iter().chain(packets).collect()
}

fn snapped(family: Family, snap: usize) -> Vec<Packet> {
    let cut = |packet: Packet| Packet { bytes: packet.bytes[..packet.bytes.len().min(snap)].to_vec(), ..packet };
    frames(&call(family)).into_iter().map(cut).collect()
}

/// Cut within the bodies.
pub(super) fn cut_in_bodies(family: Family) -> Vec<Packet> {
    snapped(family, SNAP)
}

/// Cut within the headers.
pub(super) fn cut_in_headers(family: Family) -> Vec<Packet> {
    snapped(family, SHORT_SNAP)
}
