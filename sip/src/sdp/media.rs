//! One `m=` line with what belongs to it.

use std::net::{IpAddr, SocketAddr};

use super::{Lines, address, number, words};

/// Most candidates of one medium that are looked at.
const MAX_CANDIDATES: usize = 100;

/// One medium of a description: an `m=` line and the lines up to the next.
#[derive(Clone, Copy)]
pub struct Media<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where it is received; 0 is refused or removed, but see [`Media::is_refused`].
    pub port: u16,
    /// So many pairs of ports for RTP and RTCP follow one another, 1 at least.
    pub pairs: u16,
    protocol: &'a [u8],
    formats: &'a [u8],
    lines: Lines<'a>,
    session: Lines<'a>,
}

/// What a medium is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Speech.
    Audio,
    /// Pictures.
    Video,
    /// T.38, text, applications.
    Other,
}

/// Which way a medium flows, as its describer sees it (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendReceive,
    /// Only out.
    SendOnly,
    /// Only in.
    ReceiveOnly,
    /// Neither.
    Inactive,
}

/// What a payload type stands for: `a=rtpmap` (RFC 8866 §6.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping<'a> {
    /// The name, in any case.
    pub name: &'a [u8],
    /// Clock rate of RTP time stamps, in Hz; never 0.
    pub clock: u32,
}

/// An address by ICE where media may be received (RFC 8839 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// 1 is RTP, 2 is RTCP.
    pub component: u8,
    /// Where.
    pub address: SocketAddr,
}

impl<'a> Media<'a> {
    /// `None` when the `m=` line has no type, port, protocol or format.
    pub(super) fn read(section: &'a [u8], session: &'a [u8]) -> Option<Self> {
        let mut lines = Lines(section);
        let line = lines.next()?.strip_prefix(b"m=")?;
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let kind = match parts.next()? {
            b"audio" => Kind::Audio,
            b"video" => Kind::Video,
            b"" => return None,
            _ => Kind::Other,
        };
        let mut port = parts.next()?.splitn(2, |byte| *byte == b'/');
        let first = number(port.next()?)?;
        let pairs = port.next().map_or(Some(1), number)?;
        let (protocol, formats) = (parts.next()?, parts.next()?);
        let session = Lines(session);
        let media = Self { kind, port: first, pairs: 1.max(pairs), protocol, formats, lines, session };
        words(formats).next().is_some().then_some(media)
    }

    /// Refused or removed: port 0, but as a part of a bundle that has another one's (RFC 3264 §6, RFC 9143 §6).
    pub fn is_refused(&self) -> bool {
        self.port == 0 && self.lines.attribute(b"bundle-only").is_none()
    }

    /// It is in one bundle with others, which one address serves (RFC 9143).
    pub fn is_bundled(&self) -> bool {
        let Some(mid) = self.lines.attribute(b"mid").filter(|mid| !mid.is_empty()) else { return false };
        let mut groups = self.session.attributes(b"group").map(words);
        groups.any(|mut group| group.next() == Some(b"BUNDLE") && group.any(|member| member == mid))
    }

    /// Its own address, else that of the session; `None` where neither has one, or it is a host name.
    pub fn address(&self) -> Option<IpAddr> {
        if self.lines.into_iter().any(|line| line.starts_with(b"c=")) {
            return self.lines.connection();
        }
        self.session.connection()
    }

    /// Its own direction, else that of the session, else both ways. On hold in the old style, by an unspecified address
    /// (RFC 3264 §8.4), it does not receive.
    pub fn direction(&self) -> Direction {
        let of = |mut lines: Lines<'_>| {
            lines.find_map(|line| match line {
                b"a=sendrecv" => Some(Direction::SendReceive),
                b"a=sendonly" => Some(Direction::SendOnly),
                b"a=recvonly" => Some(Direction::ReceiveOnly),
                b"a=inactive" => Some(Direction::Inactive),
                _ => None,
            })
        };
        let direction = of(self.lines).or_else(|| of(self.session)).unwrap_or(Direction::SendReceive);
        match direction {
            Direction::SendReceive if self.is_nowhere() => Direction::SendOnly,
            Direction::ReceiveOnly if self.is_nowhere() => Direction::Inactive,
            direction => direction,
        }
    }

    fn is_nowhere(&self) -> bool {
        self.address().is_some_and(|address| address.is_unspecified())
    }

    /// It is RTP, encrypted or not.
    pub fn is_rtp(&self) -> bool {
        [&b"RTP/"[..], b"UDP/TLS/RTP/"].iter().any(|rtp| begins_with(self.protocol, rtp))
    }

    /// It is encrypted: headers of RTP are in clear, RTCP is not (RFC 3711, RFC 5764).
    pub fn is_secure(&self) -> bool {
        self.is_rtp() && self.protocol.windows(4).any(|name| name.eq_ignore_ascii_case(b"SAVP"))
    }

    /// Payload types, 0 to 127, in order of preference.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + use<'a> {
        words(self.formats).filter_map(number::<u8>).filter(|payload_type| *payload_type < 128)
    }

    /// What a payload type stands for, where that is said.
    pub fn mapping(&self, payload_type: u8) -> Option<Mapping<'a>> {
        self.lines.attributes(b"rtpmap").find_map(|value| {
            let mut parts = words(value);
            if number(parts.next()?) != Some(payload_type) {
                return None;
            }
            let mut encoding = parts.next()?.split(|byte| *byte == b'/');
            let name = encoding.next().filter(|name| !name.is_empty())?;
            let clock = number(encoding.next()?).filter(|clock| *clock > 0)?;
            Some(Mapping { name, clock })
        })
    }

    /// The value of a parameter of a format, by its name in any case (`a=fmtp`); `None` where it is not given.
    pub fn format_parameter(&self, payload_type: u8, name: &[u8]) -> Option<&'a [u8]> {
        let of_type = |value: &&'a [u8]| words(value).next().and_then(number) == Some(payload_type);
        let parameters = self.lines.attributes(b"fmtp").find(of_type)?;
        let first = memchr::memchr2(b' ', b'\t', parameters)?;
        parameters[first..].split(|byte| *byte == b';').find_map(|parameter| {
            let mut sides = parameter.splitn(2, |byte| *byte == b'=').map(crate::value::trim);
            let named = sides.next()?.eq_ignore_ascii_case(name);
            named.then(|| sides.next().unwrap_or_default())
        })
    }

    /// Milliseconds of media in a packet (`a=ptime`), 1 to 1,000; `None` where it is not given.
    pub fn ptime(&self) -> Option<u16> {
        let value = self.lines.attribute(b"ptime")?;
        // Some write 20.0.
        number(value.split(|byte| *byte == b'.').next()?).filter(|ptime| (1..=1000).contains(ptime))
    }

    /// Where RTCP is received, where that is said (RFC 3605).
    pub fn rtcp(&self) -> Option<(u16, Option<IpAddr>)> {
        let mut parts = words(self.lines.attribute(b"rtcp")?);
        let port = number(parts.next()?).filter(|port| *port != 0)?;
        Some((port, parts.nth(2).and_then(address)))
    }

    /// RTCP may come where RTP does (RFC 5761).
    pub fn has_rtcp_mux(&self) -> bool {
        self.lines.attribute(b"rtcp-mux").is_some()
    }

    /// Candidates of ICE over UDP, the first hundred; host names (mDNS) are none.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> + use<'a> {
        self.lines.attributes(b"candidate").take(MAX_CANDIDATES).filter_map(|value| {
            let mut parts = words(value);
            let component = number(parts.nth(1)?)?;
            if !parts.next()?.eq_ignore_ascii_case(b"udp") {
                return None;
            }
            let ip = address(parts.nth(1)?)?;
            let port = number(parts.next()?).filter(|port| *port != 0)?;
            Some(Candidate { component, address: SocketAddr::new(ip, port) })
        })
    }
}

fn begins_with(bytes: &[u8], start: &[u8]) -> bool {
    bytes.get(..start.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(start))
}
