//! SIP that is passed over: on ports that are not listed, in packets that are not read (`sip-metrics.md` 1.7).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use pipeline::Tally;
use pipeline::event::{Elsewhere, NotRead};
use pipeline::probes::is_probe;
use sip::{Framing, Payload};
use wire::Skip;

/// Most other ports noted; an operator reads them.
const MAX_NOTED: usize = 64;

/// So far into a packet that is not read a start line is looked for.
const LOOKED_AT: usize = 512;

/// Ports on which SIP was seen although nobody looks at them, with the messages on each.
#[derive(Debug, Default)]
pub(super) struct SipPorts(BTreeMap<u16, u64>);

impl SipPorts {
    pub fn busiest_first(&self) -> Vec<(u16, u64)> {
        let mut ports: Vec<(u16, u64)> = self.0.iter().map(|(&port, &messages)| (port, messages)).collect();
        ports.sort_by_key(|&(port, messages)| (std::cmp::Reverse(messages), port));
        ports
    }

    fn note(&mut self, port: u16) {
        if self.0.len() < MAX_NOTED || self.0.contains_key(&port) {
            *self.0.entry(port).or_default() += 1;
        }
    }
}

/// Whether a payload begins with a start line.
pub(super) fn is_sip(payload: &[u8]) -> bool {
    matches!(sip::sort(payload), Payload::Sip(_))
}

/// Counts a payload between ports that are not looked at, if it begins with SIP, and notes the port of the server: where a
/// request goes to, where a response comes from.
pub(super) fn count(
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
    ports: &mut Option<SipPorts>,
    tally: &mut Tally,
) {
    let Payload::Sip(message) = sip::sort(payload) else { return };
    let is_response = message.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
    // Nobody misses calls for a probe of a server on another port.
    if (is_response || message.starts_with(b"OPTIONS "))
        && sip::parse(message, Framing::Datagram { truncated: false }).is_ok_and(|message| is_probe(&message))
    {
        tally.probe_messages += 1;
        return;
    }
    tally.sip_elsewhere[Elsewhere::Port.index()] += 1;
    let server = if is_response { source } else { destination };
    if let Some(ports) = ports {
        ports.note(server.port());
    }
}

/// Counts a packet that was skipped, if it is of a kind that is not read, and if it holds SIP.
pub(super) fn count_unread(skip: Skip, packet: &[u8], wrapped: &mut [u64; NotRead::ALL.len()], tally: &mut Tally) {
    let why = match skip {
        Skip::Esp => NotRead::Esp,
        Skip::L2tp => NotRead::L2tp,
        Skip::Sctp => NotRead::Sctp,
        Skip::Nested => NotRead::Nested,
        Skip::Ethertype => NotRead::Ethertype,
        Skip::NotIp | Skip::OtherProtocol | Skip::Malformed | Skip::Cut | Skip::Fragment => return,
    };
    tally.not_read[why.index()] += 1;
    if sip::find_start_line(&packet[..packet.len().min(LOOKED_AT)]).is_some() {
        tally.sip_elsewhere[Elsewhere::Wrapping.index()] += 1;
        wrapped[why.index()] += 1;
    }
}
