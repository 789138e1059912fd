//! What a party says of its media: SDP in, lines and endpoints out (5.1).

use pipeline::media::Address;
use rtp::Codec;
use sip::sdp::{Direction, Kind, Media, Sdp};

/// Most payload types of a line.
const MAX_TYPES: usize = 32;
/// Most endpoints of one description (5.2).
const MAX_ENDPOINTS: usize = 32;

/// One description of one party.
#[derive(Clone, Debug, Default)]
pub struct Described {
    pub lines: Vec<Line>,
    /// Where it receives RTP, and explicitly RTCP.
    pub endpoints: Vec<Address>,
    /// It has more lines, or endpoints, than are looked at.
    pub more_lines: bool,
    pub more_endpoints: bool,
}

/// One `m=` line.
#[derive(Clone, Debug)]
pub struct Line {
    pub audio: bool,
    pub refused: bool,
    /// Its RTCP is encrypted.
    pub secure: bool,
    pub direction: Direction,
    /// In nanoseconds.
    pub ptime: Option<u64>,
    pub types: Vec<PayloadType>,
}

/// What a payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadType {
    pub number: u8,
    pub codec: Codec,
    /// In Hz.
    pub clock: u32,
    /// It may send nothing while nobody speaks (5.7).
    pub suppresses: bool,
}

impl Described {
    /// What of a description counts.
    pub fn new(sdp: &Sdp<'_>) -> Self {
        let mut described = Self { more_lines: sdp.has_more_media(), ..Self::default() };
        for media in sdp.media() {
            if !media.is_rtp() {
                // Fax and the like: there is a line, so that those behind it are paired right.
                described.lines.push(Line::none(media.direction()));
                continue;
            }
            let line = Line::new(&media);
            let receives = line.audio && !line.refused;
            described.lines.push(line);
            if receives {
                described.add_endpoints(&media);
            }
        }
        described
    }

    fn add_endpoints(&mut self, media: &Media<'_>) {
        let mut add = |address: Address| {
            if address.port == 0 || self.endpoints.contains(&address) {
            } else if self.endpoints.len() < MAX_ENDPOINTS {
                self.endpoints.push(address);
            } else {
                self.more_endpoints = true;
            }
        };
        let ip = media.address().filter(|ip| !ip.is_unspecified());
        if let Some(ip) = ip {
            for pair in 0..media.pairs.min(MAX_ENDPOINTS as u16) {
                if let Some(port) = media.port.checked_add(pair * 2) {
                    add(std::net::SocketAddr::new(ip, port).into());
                }
            }
            if let Some((port, other)) = media.rtcp()
                && port != media.port.wrapping_add(1)
            {
                add(std::net::SocketAddr::new(other.unwrap_or(ip), port).into());
            }
        }
        for candidate in media.candidates().filter(|candidate| candidate.component == 1) {
            add(candidate.address.into());
        }
    }

    /// What a payload type stands for on an audio line; `Err` where it is of another kind of line.
    pub fn payload_type(&self, number: u8) -> Result<Option<PayloadType>, OtherKind> {
        let of = |audio: bool| {
            let lines = self.lines.iter().filter(move |line| line.audio == audio);
            lines.flat_map(|line| &line.types).find(move |known| known.number == number).copied()
        };
        match of(true) {
            Some(known) => Ok(Some(known)),
            None if of(false).is_some() => Err(OtherKind),
            None => Ok(None),
        }
    }

    /// Comfort noise was offered (RFC 3389).
    pub fn has_comfort_noise(&self) -> bool {
        self.lines.iter().flat_map(|line| &line.types).any(|known| known.codec == Codec::Cn)
    }

    /// What its first audio line says of how much speech a packet holds, in nanoseconds.
    pub fn ptime(&self) -> Option<u64> {
        self.lines.iter().filter(|line| line.audio).find_map(|line| line.ptime)
    }

    /// RTCP to it is encrypted.
    pub fn is_secure(&self) -> bool {
        self.lines.iter().any(|line| line.audio && line.secure)
    }
}

/// A payload type of video, or something else that is not listened to.
pub struct OtherKind;

impl Line {
    fn none(direction: Direction) -> Self {
        Self { audio: false, refused: true, secure: false, direction, ptime: None, types: Vec::new() }
    }

    fn new(media: &Media<'_>) -> Self {
        let types = media.payload_types().take(MAX_TYPES).map(|number| {
            let mapped = media.mapping(number).map(|mapping| (Codec::named(mapping.name), mapping.clock));
            let (codec, clock) = mapped.or_else(|| Codec::of_static(number)).unwrap_or((Codec::Other, 8000));
            let is = |name: &[u8], value: &[u8]| {
                media.format_parameter(number, name).is_some_and(|found| found.eq_ignore_ascii_case(value))
            };
            let suppresses = match codec {
                Codec::Opus => is(b"usedtx", b"1"),
                Codec::G729 => !is(b"annexb", b"no"),
                Codec::Amr | Codec::AmrWb => true,
                _ => false,
            };
            PayloadType { number, codec, clock, suppresses }
        });
        Self {
            audio: media.kind == Kind::Audio,
            refused: media.is_refused(),
            secure: media.is_secure(),
            direction: media.direction(),
            ptime: media.ptime().map(|millis| u64::from(millis) * 1_000_000),
            types: types.collect(),
        }
    }
}

/// Some audio line is to be heard both ways (5.7).
pub fn talk(caller: &Described, callee: &Described) -> bool {
    let both = |line: &&Line| line.audio && !line.refused && line.direction == Direction::SendReceive;
    caller.lines.iter().zip(&callee.lines).any(|(one, other)| both(&one) && both(&other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Described {
        Described::new(&Sdp::read(text.as_bytes(), false).expect("a description"))
    }

    #[test]
    fn endpoints_are_those_of_audio_that_is_received() {
        let text = "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000/2 RTP/AVP 0\na=rtcp:5000\n\
            a=candidate:1 1 udp 1 192.0.2.9 4000 typ host\na=candidate:1 2 udp 1 192.0.2.9 4001 typ host\n\
            m=video 6000 RTP/AVP 96\nm=audio 0 RTP/AVP 0\nm=image 7000 udptl t38\n";
        let endpoints: Vec<String> = described(text).endpoints.iter().map(Address::to_string).collect();
        assert_eq!(endpoints, ["192.0.2.1:4000", "192.0.2.1:4002", "192.0.2.1:5000", "192.0.2.9:4000"]);
        assert_eq!(described("v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n").endpoints, []);
        let many = format!(
            "v=0\nm=audio 1 RTP/AVP 0\n{}",
            (1..60).map(|n| format!("a=candidate:1 1 udp 1 192.0.2.{n} 9 typ host\n")).collect::<String>()
        );
        assert!(described(&many).more_endpoints && described(&many).endpoints.len() == MAX_ENDPOINTS);
    }

    #[test]
    fn a_payload_type_is_what_its_line_says() {
        let text = "v=0\nm=audio 1 RTP/SAVP 0 18 111 13\na=rtpmap:111 OPUS/48000/2\na=fmtp:111 usedtx=1\na=fmtp:18 annexb=no\n\
            m=video 2 RTP/AVP 96\n";
        let described = described(text);
        let of = |number| described.payload_type(number).unwrap_or_default();
        assert_eq!(of(111), Some(PayloadType { number: 111, codec: Codec::Opus, clock: 48_000, suppresses: true }));
        assert_eq!(of(18), Some(PayloadType { number: 18, codec: Codec::G729, clock: 8000, suppresses: false }));
        assert_eq!(of(99), None);
        assert!(described.payload_type(96).is_err() && described.has_comfort_noise() && described.is_secure());
    }

    #[test]
    fn both_talk_only_where_both_may() {
        let audio =
            |direction: &str| described(&format!("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\na={direction}\n"));
        assert!(talk(&audio("sendrecv"), &audio("sendrecv")));
        assert!(!talk(&audio("sendonly"), &audio("recvonly")));
        assert!(!talk(&audio("sendrecv"), &described("v=0\nm=audio 0 RTP/AVP 0\n")));
        assert!(!talk(&audio("sendrecv"), &Described::default()));
    }
}
