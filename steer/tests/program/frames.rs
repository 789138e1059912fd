//! Packets for the programs: those of captures, packets made for what captures lack, and all of them damaged.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use ladder::frame;
use receiver_pcap::stream::Capture;
use wire::{Decoded, Decoder};

/// Numbers by chance, the same in every run (xorshift64).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// A packet and what it came in.
pub struct Frame {
    pub bytes: Vec<u8>,
    /// Its ends, as far as there are any.
    pub ends: Option<(SocketAddr, SocketAddr)>,
}

/// The longest frame that a run takes.
const LONGEST: usize = 3200;

/// All captures of our own.
pub fn own() -> Vec<PathBuf> {
    let testdata = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata"));
    let folders = ["affinity", "captures", "media-vectors", "public-cases", "public-vectors"];
    let mut paths: Vec<PathBuf> = folders.iter().flat_map(|folder| below(&testdata.join(folder))).collect();
    paths.retain(|path| corpus::is_capture(path) || path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    assert!(paths.len() > 50, "{} captures", paths.len());
    paths
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.into_iter().flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// The frames of captures that are Ethernet, and every datagram of all of them as a frame of its own.
pub fn of(paths: &[PathBuf]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for path in paths {
        let Ok(mut capture) = Capture::open(path, |_| {}) else { continue };
        let mut decoder = Decoder::default();
        while capture.advance().expect("it can be read") {
            let Some(packet) = capture.packet() else { break };
            let ends = match decoder.decode(&packet) {
                Decoded::Datagram(datagram) => {
                    let ends = (datagram.source, datagram.destination);
                    if ends.0.is_ipv4() == ends.1.is_ipv4() && datagram.payload.len() < LONGEST {
                        frames.push(Frame { bytes: whole(ends, datagram.payload), ends: Some(ends) });
                    }
                    Some(ends)
                }
                _ => None,
            };
            if packet.link == wire::Link::Ethernet && (15..LONGEST).contains(&packet.bytes.len()) {
                frames.push(Frame { bytes: packet.bytes.to_vec(), ends });
            }
        }
    }
    frames
}

fn whole((source, destination): (SocketAddr, SocketAddr), payload: &[u8]) -> Vec<u8> {
    let datagram = frame::udp(source, destination, payload);
    frame::ethernet(&frame::ip(source.ip(), destination.ip(), frame::PROTOCOL_UDP, 7, &datagram))
}

/// What no capture has: options, extension headers, fragments, every way to write a header field.
pub fn made(places: &[SocketAddr]) -> Vec<Frame> {
    let mut frames = Vec::new();
    for (number, (source, destination)) in
        places.iter().flat_map(|one| places.iter().map(move |other| (*one, *other))).enumerate()
    {
        if source.is_ipv4() != destination.is_ipv4() || source == destination {
            continue;
        }
        // Mostly from clients to services and from backends to clients, as scenarios have them.
        let roles = (number / places.len() % 3, number % places.len() % 3);
        if !matches!(roles, (2, 0) | (1, 2)) && number % 7 != 0 {
            continue;
        }
        for message in messages(number) {
            let ends = (source, destination);
            let plain = whole(ends, message.as_bytes());
            let stacked = [vec![], vec![0], vec![60, 43], vec![0, 60, 43, 60, 60, 60], vec![60; 7]];
            if source.is_ipv4() {
                frames.push(Frame { bytes: with_options(&plain), ends: Some(ends) });
            } else {
                let headers = &stacked[number % stacked.len()];
                frames.push(Frame { bytes: with_extensions(&plain, headers), ends: Some(ends) });
            }
            if number % 3 == 0 {
                let pieces =
                    integration::frames::fragments(source, destination, message.as_bytes(), number as u16, 200);
                frames.extend(
                    pieces.into_iter().map(|packet| Frame { bytes: frame::ethernet(&packet), ends: Some(ends) }),
                );
            }
            frames.push(Frame { bytes: plain, ends: Some(ends) });
        }
    }
    frames
}

/// IPv4 with a router alert (RFC 2113); the checksum of the header is not looked at.
fn with_options(frame: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    bytes.splice(34..34, [148, 4, 0, 0]);
    bytes[14] = 0x46;
    let length = u16::from_be_bytes([bytes[16], bytes[17]]) + 4;
    bytes[16..18].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// IPv6 with headers of these numbers, of 8 and 16 bytes, in front of UDP.
fn with_extensions(frame: &[u8], numbers: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    let mut headers = Vec::new();
    for (index, _) in numbers.iter().enumerate() {
        let next = numbers.get(index + 1).copied().unwrap_or(bytes[20]);
        let longer = (index % 2) as u8;
        headers.extend([next, longer, 1, 0, 0, 0, 0, 0]);
        headers.extend(vec![0; usize::from(longer) * 8]);
    }
    if let Some(first) = numbers.first() {
        bytes[20] = *first;
    }
    let length = u16::from_be_bytes([bytes[18], bytes[19]]) + headers.len() as u16;
    bytes[18..20].copy_from_slice(&length.to_be_bytes());
    bytes.splice(54..54, headers);
    bytes
}

/// Messages of calls, and other things that come to SIP ports.
fn messages(number: usize) -> Vec<String> {
    let id = number % 23;
    let request = |line: &str, to: &str, call: &str| {
        format!(
            "{line} SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{number}\r\nFrom: <sip:a@b>;tag=1\r\n{to}\r\n{call}\r\nCSeq: 1 {}\r\n\r\n",
            line.split(' ').next().expect("a method")
        )
    };
    let response = |line: &str, method: &str| {
        format!(
            "SIP/2.0 {line}\r\nVia: SIP/2.0/UDP a\r\nTo: \"x;tag=1>\" <sip:a@b>;tag=2\r\ni: call-{id}@host\r\nCSeq: {number} {method}\r\n\r\n"
        )
    };
    let call = format!("Call-ID: call-{id}@host");
    let new = "To: <sip:b@c>";
    let known = "t : \"a;tag\" <sip:b@c;tag=x> ; x=y;\ttag = 7";
    match number % 14 {
        0 => {
            vec![request("INVITE sip:b@c", new, &call), response("100 Trying", "INVITE"), response("200 OK", "INVITE")]
        }
        1 => vec![request("BYE sip:b@c", known, &call)],
        2 => vec![response("486 Busy", "INVITE"), request("INVITE sip:911@c", new, &call)],
        3 => vec![request("INVITE urn:service:SOS.fire", new, &call), response("503 No", "INVITE")],
        4 => {
            vec![request("REGISTER sip:c", new, &call), response("401 No", "REGISTER"), response("408 Late", "INVITE")]
        }
        5 => vec![request("OPTIONS sip:c", new, "X: y"), "\r\n\r\n".to_owned(), String::new()],
        6 => vec![
            request("SUBSCRIBE sip:c", "To: sip:b@c;tag=1", &call),
            request("ACK sip:b@c", known, &call),
            request("NOTIFY sip:c", "To: <sip:b@c;tag=1;x>", &call),
            response("489 No", "SUBSCRIBE"),
        ],
        7 => vec![request("INVITE sips:112;x@c", new, &format!("CALL-id\t  :  {}", "long".repeat(10 + number % 40)))],
        8 => vec![
            request("REFER sip:c", new, &format!("i:call-{id}@host\r\n folded")),
            request("REFER sip:c", new, &call),
            response("481 Gone", "BYE"),
            response("202 Yes", "REFER"),
        ],
        9 => vec![request("MESSAGE sip:c", new, &format!("Subject: {}\r\n{call}", "far ".repeat(number % 700)))],
        10 => vec![
            request("SUBSCRIBE sip:c", new, &format!("{call}\r\nExpires: {}", number % 200)),
            response("200 OK", "SUBSCRIBE"),
            request("SUBSCRIBE sip:c", known, &format!("EXPIRES \t:\t {}\r\n{call}", number * 7_654_321)),
            request("NEW sip:c", known, &call),
            request("PUBLISH sip:c", new, &call),
            request("INFO sip:c", known, &call),
        ],
        11 => vec![
            request("INVITE tel:911;p=1", known, &call),
            response("180 Ringing", "INVITE"),
            response("99 x", "INVITE"),
        ],
        12 => vec![
            request("CANCEL sip:b@c", new, &call),
            response("487 Gone", "INVITE"),
            request("PRACK x", known, &call),
        ],
        _ => vec![
            request("UPDATE x", known, &call).replace("\r\n", "\n"),
            request("NOTIFY x", known, &call),
            "\0\x01binary".to_owned(),
        ],
    }
}

/// The ends of all frames.
pub fn ends(frames: &[Frame]) -> Vec<SocketAddr> {
    let ends: BTreeSet<SocketAddr> =
        frames.iter().filter_map(|frame| frame.ends).flat_map(|ends| [ends.0, ends.1]).collect();
    ends.into_iter().collect()
}

/// A frame with a few things changed: bytes of its headers, its ends, or words and letters of its message.
pub fn changed(frame: &Frame, places: &[SocketAddr], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = frame.bytes.clone();
    if chance.below(4) == 0 {
        redirect(&mut bytes, places, chance);
    }
    // A header that is damaged is mostly the end of a packet; so most are not.
    let kinds = if chance.below(3) == 0 { 12 } else { 8 };
    for _ in 0..chance.below(4) {
        if bytes.len() < 16 {
            bytes.resize(16, 0);
        }
        match 11 - chance.below(kinds) {
            0 => bytes.truncate(15 + chance.below(bytes.len() - 15)),
            1..4 => {
                let headers = bytes.len().min(70);
                let at = 12 + chance.below(headers - 12);
                bytes[at] = [0, 1, 4, 6, 17, 0x20, 43, 44, 0x45, 0x46, 60, 0x60, 0xff][chance.below(13)];
            }
            4 => {
                let at = 12 + chance.below(bytes.len() - 12);
                bytes[at] ^= 1 << chance.below(8);
            }
            _ => {
                let from = bytes.len().min(42);
                let at = from + chance.below(bytes.len() - from);
                let piece: &&[u8] = chance.of(&PIECES);
                let cut = (at + chance.below(piece.len() + 1)).min(bytes.len());
                bytes.splice(at..cut, piece.iter().copied());
                lengths(&mut bytes);
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes.resize(bytes.len().max(15), 0);
    bytes
}

const PIECES: [&[u8]; 26] = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b";",
    b">",
    b"<",
    b"\"",
    b"\0",
    b"\r\n ",
    b"\r\nCall-ID: other",
    b"\r\ni:x",
    b";tag=",
    b"; TAG =",
    b"\r\nTo: x",
    b"SIP/2.0",
    b"INVITE ",
    b"        ",
    b"\r\nCSeq: 1 INVITE",
    b"\r\nExpires: 70",
    b"SUBSCRIBE ",
    b"\x01",
    b"\r\n\r\n",
    b"@",
];

/// Gives a frame ends that mean something to the tables.
fn redirect(bytes: &mut [u8], places: &[SocketAddr], chance: &mut Chance) {
    let is_v6 = match bytes.get(12..14) {
        Some([8, 0]) if bytes.len() >= 42 => false,
        Some([0x86, 0xdd]) if bytes.len() >= 62 => true,
        _ => return,
    };
    for (address, port) in if is_v6 { [(22, 54), (38, 56)] } else { [(26, 34), (30, 36)] } {
        let place = *chance.of(places);
        match place.ip() {
            IpAddr::V4(ip) if !is_v6 => bytes[address..address + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) if is_v6 => bytes[address..address + 16].copy_from_slice(&ip.octets()),
            _ => continue,
        }
        bytes[port..port + 2].copy_from_slice(&place.port().to_be_bytes());
    }
}

/// Makes the lengths in the headers right again, most of the time.
fn lengths(bytes: &mut [u8]) {
    let length = bytes.len();
    match bytes.get(12..14) {
        Some([8, 0]) if length >= 42 => {
            bytes[16..18].copy_from_slice(&((length - 14) as u16).to_be_bytes());
            let udp = 14 + usize::from(bytes[14] & 15) * 4;
            if udp + 8 <= length {
                bytes[udp + 4..udp + 6].copy_from_slice(&((length - udp) as u16).to_be_bytes());
            }
        }
        Some([0x86, 0xdd]) if length >= 62 => {
            bytes[18..20].copy_from_slice(&((length - 54) as u16).to_be_bytes());
            if bytes[20] == 17 {
                bytes[58..60].copy_from_slice(&((length - 54) as u16).to_be_bytes());
            }
        }
        _ => {}
    }
}
