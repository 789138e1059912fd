//! Bodies: session descriptions line by line (RFC 8866), status lines of references (RFC 3420); of others only how long they were.

use sip::{Message, registered_phrase};

use crate::Anonymizer;
use crate::text::{Mode, number, run};
use crate::vocabulary::is_one_of;

/// What stands for a body.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub bytes: Vec<u8>,
    /// Its type where that changed: of several parts the session description stays.
    pub content_type: Option<&'static str>,
}

impl Anonymizer {
    pub(crate) fn body(&mut self, message: &Message<'_>) -> Body {
        if let Some(description) = message.body_part(b"application/sdp") {
            return Body { bytes: self.description(description), content_type: Some("application/sdp") };
        }
        if let Some(fragment) = message.body_part(b"message/sipfrag") {
            return Body { bytes: status_line(fragment), content_type: None };
        }
        Body { bytes: vec![b'x'; message.body().len().min(LONGEST)], content_type: None }
    }

    fn description(&mut self, description: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(description.len());
        for line in description.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let [kind, b'=', value @ ..] = line else { continue };
            let from = out.len();
            let words: Vec<&[u8]> =
                value.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()).collect();
            let is_kept = match kind {
                b'v' => put(b"v=0", &mut out),
                b's' => put(b"s=-", &mut out),
                b't' => put(b"t=0 0", &mut out),
                b'o' => self.put_origin(&words, &mut out),
                b'c' => self.put_connection(&words, &mut out),
                b'm' => self.put_medium(&words, &mut out),
                b'b' => is_bandwidth(value) && put(line, &mut out),
                b'a' => self.put_attribute(value, &words, &mut out),
                _ => false,
            };
            match is_kept {
                true => out.extend_from_slice(b"\r\n"),
                false => out.truncate(from),
            }
        }
        out
    }

    /// `o=`: whose it is, which one, which version of it, from where.
    fn put_origin(&mut self, words: &[&[u8]], out: &mut Vec<u8>) -> bool {
        let [_, session, version, b"IN", kind @ (b"IP4" | b"IP6"), address] = words else { return false };
        out.extend_from_slice(b"o=- ");
        self.put_short(session, out);
        out.push(b' ');
        self.put_short(version, out);
        out.extend_from_slice(&[b" IN ", *kind, b" "].concat());
        self.put(address, Mode::Free, out);
        true
    }

    fn put_connection(&mut self, words: &[&[u8]], out: &mut Vec<u8>) -> bool {
        let [b"IN", kind @ (b"IP4" | b"IP6"), address] = words else { return false };
        out.extend_from_slice(&[b"c=IN ", *kind, b" "].concat());
        self.put(address, Mode::Free, out);
        true
    }

    /// `m=`: a medium of a known kind and protocol, its port, its formats.
    fn put_medium(&mut self, words: &[&[u8]], out: &mut Vec<u8>) -> bool {
        let [kind, port, protocol, formats @ ..] = words else { return false };
        let digits = run(port, |byte| byte.is_ascii_digit());
        let Some(number) = number(digits).and_then(|port| u16::try_from(port).ok()) else { return false };
        let pairs = &port[digits.len()..];
        let pairs = if pairs.strip_prefix(b"/").is_some_and(is_short) { pairs } else { b"" };
        out.extend_from_slice(b"m=");
        out.extend_from_slice(if is_one_of(MEDIA, kind) { kind } else { b"application" });
        out.extend_from_slice(format!(" {}", self.ports.port(number)).as_bytes());
        out.extend_from_slice(pairs);
        out.push(b' ');
        out.extend_from_slice(if is_one_of(PROTOCOLS, protocol) { protocol } else { b"udp" });
        for format in formats.iter().filter(|format| is_one_of(CODECS, format) || is_format(format)).take(FORMATS) {
            out.extend_from_slice(&[b" ", *format].concat());
        }
        true
    }

    fn put_attribute(&mut self, value: &[u8], words: &[&[u8]], out: &mut Vec<u8>) -> bool {
        let name = run(value, |byte| byte != b':');
        let rest = value.get(name.len() + 1..).unwrap_or_default();
        match name {
            b"sendrecv" | b"sendonly" | b"recvonly" | b"inactive" | b"rtcp-mux" | b"rtcp-rsize" | b"bundle-only"
            | b"ice-lite"
                if rest.is_empty() =>
            {
                out.extend_from_slice(b"a=");
                put(name, out)
            }
            b"rtpmap" => {
                // `a=rtpmap:8 PCMA/8000/1`
                let [_, mapping] = words else { return false };
                let format = run(rest, |byte| byte.is_ascii_digit());
                let mut parts = mapping.split(|byte| *byte == b'/');
                let (codec, clock) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let is_known = is_one_of(CODECS, codec) && is_one_of(CLOCKS, clock) && is_short(format);
                let channels = parts.next().filter(|channels| is_short(channels));
                let channels =
                    channels.map_or_else(String::new, |channels| format!("/{}", String::from_utf8_lossy(channels)));
                let codec = if is_known { codec } else { b"unknown" };
                let clock = if is_known { clock } else { b"8000" };
                out.extend_from_slice(&[b"a=rtpmap:", format, b" ", codec, b"/", clock, channels.as_bytes()].concat());
                is_short(format)
            }
            b"ptime" | b"maxptime" if is_short(rest) => put(&[b"a=", value].concat(), out),
            b"fmtp" => {
                // Of its words only which events of telephones there are says something to everybody (RFC 4733 §2.5.1.1).
                let events = |word: &&[u8]| {
                    word.len() <= 24 && word.iter().all(|byte| byte.is_ascii_digit() || b"-,".contains(byte))
                };
                let [_, range] = words else { return false };
                let format = run(rest, |byte| byte.is_ascii_digit());
                let mut parts = range.split(|byte| !byte.is_ascii_digit());
                events(range)
                    && parts.clone().count() <= 6
                    && parts.all(is_format)
                    && is_short(format)
                    && put(&[b"a=fmtp:", format, b" ", range].concat(), out)
            }
            b"rtcp" => {
                let digits = run(rest, |byte| byte.is_ascii_digit());
                let Some(port) = number(digits).and_then(|port| u16::try_from(port).ok()) else { return false };
                out.extend_from_slice(format!("a=rtcp:{}", self.ports.port(port)).as_bytes());
                if let [_, b"IN", kind @ (b"IP4" | b"IP6"), address] = words {
                    out.extend_from_slice(&[b" IN ", *kind, b" "].concat());
                    self.put(address, Mode::Free, out);
                }
                true
            }
            b"crypto" => {
                // That there is a key, of what kind, and not which (RFC 4568).
                let [tag, suite, ..] = words else { return false };
                let tag = tag.get(b"crypto:".len()..).unwrap_or_default();
                let suite = if is_one_of(SUITES, suite) { suite } else { &b"unknown"[..] };
                is_short(tag) && put(&[b"a=crypto:", tag, b" ", suite, b" inline:***"].concat(), out)
            }
            b"setup" if is_one_of("active passive actpass holdconn", rest) => put(&[b"a=", value].concat(), out),
            b"fingerprint" => put(b"a=fingerprint:sha-256 ***", out),
            _ => false,
        }
    }
}

fn put(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(text);
    true
}

fn is_short(text: &[u8]) -> bool {
    (1..=4).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// What became of a reference: a status and its registered phrase.
fn status_line(fragment: &[u8]) -> Vec<u8> {
    let status = fragment.strip_prefix(b"SIP/2.0 ").and_then(|line| number(line.get(..3)?)).unwrap_or(100);
    let phrase = registered_phrase(status as u16).unwrap_or_default();
    format!("SIP/2.0 {status} {phrase}\r\n").into_bytes()
}

/// Longest body that is nothing but its length: of four digits.
const LONGEST: usize = 9999;
const MEDIA: &str = "audio video image text application message";
const PROTOCOLS: &str = "RTP/AVP RTP/SAVP RTP/AVPF RTP/SAVPF UDP/TLS/RTP/SAVP UDP/TLS/RTP/SAVPF udptl udp tcp TCP/MSRP \
    TCP/TLS/MSRP UDP/BFCP TCP/BFCP DTLS/SCTP UDP/DTLS/SCTP TCP/RTP/AVP";
const CODECS: &str = "PCMU PCMA GSM G723 G722 G7221 G728 G729 G729A G729D G729E G726-16 G726-24 G726-32 G726-40 AAL2-G726-32 \
    iLBC speex opus AMR AMR-WB EVS SILK L16 LPC DVI4 QCELP CN telephone-event tone red t38 t140 CLEARMODE VP8 VP9 AV1 H261 H263 \
    H263-1998 H263-2000 H264 H265 JPEG MPV MP4V-ES rtx ulpfec flexfec x-data webrtc-datachannel iSAC BV16 BV32 MP4A-LATM";
/// Clock rates, in Hz: what they are is registered, whoever uses them.
const CLOCKS: &str = "8000 11025 12000 16000 22050 24000 32000 44100 48000 90000 1000";
const SUITES: &str = "AES_CM_128_HMAC_SHA1_80 AES_CM_128_HMAC_SHA1_32 F8_128_HMAC_SHA1_80 AES_192_CM_HMAC_SHA1_80 \
    AES_192_CM_HMAC_SHA1_32 AES_256_CM_HMAC_SHA1_80 AES_256_CM_HMAC_SHA1_32 AEAD_AES_128_GCM AEAD_AES_256_GCM";

/// A payload type of RTP, or an event of telephones.
fn is_format(text: &[u8]) -> bool {
    number(text).is_some_and(|number| number <= 255)
}

/// `b=`: a known kind, and few digits.
fn is_bandwidth(value: &[u8]) -> bool {
    let kind = run(value, |byte| byte != b':');
    let rest = value.get(kind.len() + 1..).unwrap_or_default();
    is_one_of("CT AS TIAS RS RR", kind) && rest.len() <= 4 && number(rest).is_some()
}

/// Most formats of a medium that are kept.
const FORMATS: usize = 32;
