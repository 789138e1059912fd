//! What a session description says that decides about hearing each other: where media are awaited, which codecs, which way.

use std::fmt;
use std::net::IpAddr;

use rtp::Codec;
use serde::Serialize;
use sip::Sdp;
use sip::sdp::{Direction, Kind, Media};

/// One medium of a session description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Medium {
    /// `audio`, `video` or `other`.
    pub kind: &'static str,
    /// Where it is awaited; `null` for a host name, or where there is none.
    pub address: Option<IpAddr>,
    /// The port; 0 is refused or removed.
    pub port: u16,
    /// The address cannot be reached from elsewhere (RFC 1918, RFC 4193, RFC 6598, link-local, loopback).
    pub private: bool,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub direction: &'static str,
    /// It is encrypted (SRTP).
    pub encrypted: bool,
    /// Codecs in order of preference: names as sent, or those of static payload types.
    pub codecs: Vec<String>,
}

/// `audio 192.0.2.1:4000 PCMA PCMU`; what is usual goes without saying.
impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        match self.address {
            Some(IpAddr::V6(address)) => write!(f, " [{address}]:{}", self.port)?,
            Some(address) => write!(f, " {address}:{}", self.port)?,
            None => write!(f, " port {}", self.port)?,
        }
        if self.private {
            f.write_str(" (private)")?;
        }
        if self.port == 0 {
            f.write_str(" (refused)")?;
        }
        for codec in &self.codecs {
            write!(f, " {codec}")?;
        }
        if self.direction != "sendrecv" {
            write!(f, ", {}", self.direction)?;
        }
        if self.encrypted {
            f.write_str(", encrypted")?;
        }
        Ok(())
    }
}

/// The media of the session description in a message; none where there is none.
pub fn of(message: &[u8]) -> Vec<Medium> {
    let (_, body) = super::split(message);
    let Some(sdp) = description(body).and_then(|sdp| Sdp::read(sdp, false).ok()) else { return Vec::new() };
    sdp.media().map(|media| medium(&media)).collect()
}

/// The part of a body that is a session description: all of it, or what stands between two boundaries (RFC 2046 §5.1).
fn description(body: &[u8]) -> Option<&[u8]> {
    let begins = |at: usize| at == 0 || body[at - 1] == b'\n';
    let start = memchr::memmem::find_iter(body, b"v=0").find(|at| begins(*at))?;
    let boundary = memchr::memmem::find(&body[start..], b"\n--").map_or(body.len(), |at| start + at + 1);
    Some(&body[start..boundary])
}

fn medium(media: &Media<'_>) -> Medium {
    let address = media.address();
    Medium {
        kind: match media.kind {
            Kind::Audio => "audio",
            Kind::Video => "video",
            Kind::Other => "other",
        },
        address,
        port: media.port,
        private: address.is_some_and(is_private),
        direction: match media.direction() {
            Direction::SendReceive => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::ReceiveOnly => "recvonly",
            Direction::Inactive => "inactive",
        },
        encrypted: media.is_secure(),
        codecs: media.payload_types().take(MAX_CODECS).map(|payload_type| codec(media, payload_type)).collect(),
    }
}

fn codec(media: &Media<'_>, payload_type: u8) -> String {
    let mapped = media.mapping(payload_type).map(|mapping| String::from_utf8_lossy(mapping.name).into_owned());
    let known = || Codec::of_static(payload_type).map(|(codec, _)| codec.name().to_owned());
    let name = mapped.or_else(known).unwrap_or_else(|| payload_type.to_string());
    crate::text::printable(&name, false).into_owned()
}

fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || shared || v4.is_link_local() || v4.is_loopback()
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback(),
    }
}

/// Most codecs listed of a medium.
const MAX_CODECS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sdp: &str) -> Vec<String> {
        of(format!("INVITE sip:b SIP/2.0\r\n\r\n{sdp}").as_bytes()).iter().map(Medium::to_string).collect()
    }

    #[test]
    fn what_matters_of_a_description_is_one_line_a_medium() {
        let sdp = "v=0\r\nc=IN IP4 192.168.1.4\r\nm=audio 4000 RTP/SAVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n\
                   a=sendonly\r\nm=video 0 RTP/AVP 99\r\nc=IN IP6 2001:db8::1\r\nm=image 5 udptl t38\r\n";
        let expected = [
            "audio 192.168.1.4:4000 (private) PCMA PCMU telephone-event, sendonly, encrypted",
            "video [2001:db8::1]:0 (refused) 99",
            "other 192.168.1.4:5 (private)",
        ];
        assert_eq!(shown(sdp), expected);
        assert!(shown("").is_empty() && shown("Signal=1\r\n").is_empty());
    }

    #[test]
    fn a_description_is_found_in_a_multipart_body() {
        let body = "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nc=IN IP4 example.net\r\nm=audio 9 RTP/AVP 0\r\n\
                    --b\r\nContent-Type: text/plain\r\n\r\na=inactive\r\n--b--\r\n";
        assert_eq!(shown(body), ["audio port 9 PCMU"]);
    }

    #[test]
    fn addresses_that_go_nowhere_from_elsewhere_are_marked() {
        for (address, private) in [
            ("10.0.0.1", true),
            ("172.31.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("169.254.0.1", true),
            ("192.0.2.1", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
            ("::ffff:10.0.0.1", true),
        ] {
            assert_eq!(is_private(address.parse().expect("an address")), private, "{address}");
        }
    }
}
