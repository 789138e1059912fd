//! Link types of capture files (<https://www.tcpdump.org/linktypes.html>): their number in, what `wire` calls them out.

use wire::Link;

/// `None` for a link type that is not read.
pub(crate) const fn link(number: u16) -> Option<Link> {
    Some(match number {
        0 => Link::Null,
        1 => Link::Ethernet,
        // 12 and 14 are what DLT_RAW is on most systems and on OpenBSD; files should say 101.
        12 | 14 | 101 => Link::RawIp,
        108 => Link::Loop,
        113 => Link::LinuxCooked,
        228 => Link::Ipv4,
        229 => Link::Ipv6,
        276 => Link::LinuxCooked2,
        _ => return None,
    })
}
