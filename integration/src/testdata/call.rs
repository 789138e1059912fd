//! What the captures hold: one call of seven messages, or pings; and packets on their way into a file.

use std::time::Duration;

use ladder::{Step, frame, play};

/// The version of IP that carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: &[Self] = &[Self::V4, Self::V6];
    /// IPv4 alone.
    pub const V4_ONLY: &[Self] = &[Self::V4];
    /// IPv6 alone.
    pub const V6_ONLY: &[Self] = &[Self::V6];

    /// As it stands at the end of a file's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }

    /// `alice@address:port` and `bob@address:port`, as a ladder reads them.
    fn endpoints(self, port: u16) -> (String, String) {
        match self {
            Self::V4 => ("alice@192.0.2.10:5060".to_owned(), format!("bob@198.51.100.20:{port}")),
            Self::V6 => ("alice@[2001:db8::10]:5060".to_owned(), format!("bob@[2001:db8:1::20]:{port}")),
        }
    }
}

/// A call that is answered and hung up. Its times are eighths of a second, so that no unit of time rounds them.
const CALL: &str = "
    0.000  A -> B      INVITE sdp
    0.125  alice <- bob  100
    0.250  alice <- bob  180
    1.500  alice <- bob  200 sdp
    1.625  alice -> bob  ACK
    5.000  alice -> bob  BYE
    5.125  alice <- bob  200
";

/// The call, its callee at the port of SIP.
pub(super) fn call(family: Family) -> Vec<Step> {
    call_to(family, 5060)
}

/// The call, its callee at `port`.
pub(super) fn call_to(family: Family, port: u16) -> Vec<Step> {
    let (alice, bob) = family.endpoints(port);
    play(&CALL.replace("A ->", &format!("{alice} ->")).replace("-> B", &format!("-> {bob}")))
}

/// So many pings, half a second from one to the next, after the call and no part of it; each as long as the others.
pub(super) fn pings(family: Family, count: usize) -> Vec<Step> {
    let (alice, bob) = family.endpoints(5060);
    let line = |number: usize| {
        let half = number * 500;
        format!("{}.{:03} {alice} -> {bob} OPTIONS call=ping-{number:03}\n", 6 + half / 1000, half % 1000)
    };
    play(&(0..count).map(line).collect::<String>())
}

/// A packet on its way into a file.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// Since the start of the capture.
    pub at: Duration,
    /// From the link layer on.
    pub bytes: Vec<u8>,
    /// How long it was on the wire.
    pub original_len: usize,
}

impl Packet {
    /// A packet that was captured whole.
    pub fn whole(at: Duration, bytes: Vec<u8>) -> Self {
        Self { at, original_len: bytes.len(), bytes }
    }
}

/// Each step as an IP packet, with a number of its own.
pub(super) fn datagrams(steps: &[Step]) -> Vec<Packet> {
    let numbered = steps.iter().zip(1..);
    numbered.map(|(step, number)| Packet::whole(step.at, frame::datagram(step, number))).collect()
}

/// The same packets with their bytes changed, as each was captured whole.
pub(super) fn each(packets: &[Packet], change: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Packet> {
    packets.iter().map(|packet| Packet::whole(packet.at, change(&packet.bytes))).collect()
}

/// Each step as an Ethernet frame.
pub(super) fn frames(steps: &[Step]) -> Vec<Packet> {
    each(&datagrams(steps), frame::ethernet)
}
