//! Tunnels: the payload of an outer IP packet in, the network layer inside it out.
//!
//! IP in IP (RFC 2003, RFC 2473, RFC 4213), GRE ([`gre`]), and what is told by a UDP port ([`udp`]).

mod gre;
mod udp;

use crate::ip;
use crate::link::{self, Network};
use crate::skip::Skip;

pub(crate) use udp::{Ports, unread};
pub use udp::{TUNNEL_PORTS, UNREAD_PORTS};

/// What an IP payload carries as a tunnel; `None` when it is none. `cut`: the capture did not keep all of `payload`.
#[inline]
pub(crate) fn inside<'a>(
    protocol: u8,
    payload: &'a [u8],
    cut: bool,
    ports: &Ports,
) -> Option<Result<Network<'a>, Skip>> {
    match protocol {
        ip::UDP => udp::inside(payload, cut, ports),
        ip::IPV4_IN_IP => Some(Ok(Network { ethertype: link::IPV4, bytes: payload })),
        ip::IPV6_IN_IP => Some(Ok(Network { ethertype: link::IPV6, bytes: payload })),
        ip::GRE => Some(gre::inside(payload)),
        _ => None,
    }
}
