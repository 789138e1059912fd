//! What must make no difference: whether a capture is cut into files, whether every packet was captured twice, which
//! addresses, wrappings and transports the messages had. And what must make little: directions that were captured a
//! little apart (`sip-metrics.md` 1.7, 2.2, 2.3).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ladder::format::{NANOSECONDS, Order};
use ladder::{Step, frame};
use proptest::prelude::*;

use super::known::{EPOCH, Written, own, read, read_websockets, steps, traffic};

/// Link type of Ethernet.
const ETHERNET: u32 = 1;

/// A captured packet: when, and its frame.
type Packet = (Duration, Vec<u8>);

/// The packets of a capture of our own; `None` where they are not Ethernet.
fn packets(path: &Path) -> Option<Vec<Packet>> {
    ladder::pcap::read(&std::fs::read(path).expect("our own capture"))
}

/// A file of these packets.
fn written(packets: &[Packet]) -> Written {
    let mut file = Order::LITTLE.pcap(NANOSECONDS, ETHERNET);
    for (at, frame) in packets {
        file.extend(Order::LITTLE.record(at.as_secs(), at.subsec_nanos(), frame));
    }
    Written::file(&file)
}

/// The datagram in a frame that holds nothing else but one of IPv4, unfragmented.
fn datagram((at, frame): &Packet) -> Option<Step> {
    let ip = frame.strip_prefix(&frame[..12])?.strip_prefix(&[8, 0])?;
    if ip[0] != 0x45 || ip[9] != frame::PROTOCOL_UDP || u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff != 0 {
        return None;
    }
    let number = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
    let end = |address: usize, port: usize| {
        let octets: [u8; 4] = ip[address..address + 4].try_into().expect("four bytes");
        SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), number(port))
    };
    let bytes = ip[28..20 + usize::from(number(24))].to_vec();
    Some(Step { at: *at, source: end(12, 20), destination: end(16, 22), bytes })
}

/// The datagrams of a capture that holds nothing else, and no tunnel.
fn datagrams(packets: &[Packet]) -> Option<Vec<Step>> {
    const TUNNELS: [u16; 6] = [2152, 4789, 4790, 6081, 8472, 37_008];
    let steps: Vec<Step> = packets.iter().map(datagram).collect::<Option<_>>()?;
    steps.iter().all(|step| !TUNNELS.contains(&step.destination.port())).then_some(steps)
}

fn framed(steps: &[Step]) -> Vec<Packet> {
    let numbered = steps.iter().zip((1..=u16::MAX).cycle());
    numbered.map(|(step, number)| (step.at, frame::ethernet(&frame::datagram(step, number)))).collect()
}

/// Captures of our own, those of rules and of real traffic.
fn captures() -> Vec<PathBuf> {
    ["testdata/public-vectors", "testdata/public-cases"].map(own).concat()
}

/// Series that say what happened. How often the capture itself saw a message, and packets that are not read, is what
/// differs.
fn happened(captures: &[PathBuf]) -> Vec<String> {
    without_what_differs(read(captures, 1).series)
}

fn without_what_differs(mut series: Vec<String>) -> Vec<String> {
    let apart = ["capture_duplicates_total", "not_read_total", "sip_elsewhere_total"];
    series.retain(|line| !apart.iter().any(|name| line.trim_start_matches("sip_exporter_").starts_with(name)));
    series
}

/// What two readings do not have in common.
fn difference(one: &[String], other: &[String]) -> Vec<String> {
    // A few of them tell enough.
    let only = |list: &[String], other: &[String], sign: &str| -> Vec<String> {
        let lines = list.iter().filter(|line| !other.contains(line) && !line.contains("_bucket{"));
        lines.take(8).map(|line| format!("{sign} {line}")).collect()
    };
    [only(one, other, "-"), only(other, one, "+")].concat()
}

/// Every capture and what `made` makes of it come to the same; `made` has nothing to say of some.
#[track_caller]
fn check(least: usize, made: impl Fn(&[Packet]) -> Option<Vec<Vec<Packet>>>) {
    check_by(happened, least, made);
}

/// The same, with what was made read by `happened_then`.
#[track_caller]
fn check_by(
    happened_then: impl Fn(&[PathBuf]) -> Vec<String>,
    least: usize,
    made: impl Fn(&[Packet]) -> Option<Vec<Vec<Packet>>>,
) {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for path in captures() {
        let Some(files) = packets(&path).and_then(|packets| made(&packets)) else { continue };
        looked_at += 1;
        let files: Vec<Written> = files.iter().map(|packets| written(packets)).collect();
        let paths: Vec<PathBuf> = files.iter().map(|file| file.0.clone()).collect();
        let difference = difference(&happened(std::slice::from_ref(&path)), &happened_then(&paths));
        if !difference.is_empty() {
            wrong.push(format!("{}:\n{}", path.display(), difference.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "{} of {looked_at}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(looked_at >= least, "{looked_at} captures");
}

#[test]
fn a_capture_in_several_files_is_the_same_capture() {
    check(160, |packets| {
        let a_third = packets.len().div_ceil(3).max(1);
        Some(packets.chunks(a_third).map(<[Packet]>::to_vec).collect())
    });
}

#[test]
fn every_packet_captured_twice_happened_once() {
    check(160, |packets| {
        let again = |(at, frame): &Packet| [(*at, frame.clone()), (*at, frame.clone())];
        Some(vec![packets.iter().flat_map(again).collect()])
    });
}

#[test]
fn wrapped_in_two_tunnels_it_is_the_same_call() {
    let wrap = |frame: &[u8]| {
        let ends = |n: u8| (IpAddr::V4(Ipv4Addr::new(10, n, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, n, 0, 2)));
        let ((a, b), (c, d)) = (ends(1), ends(2));
        let gre = frame::ip(a, b, 47, 1, &[&[0, 0, 0x65, 0x58], frame].concat());
        let vxlan = [&[8, 0, 0, 0, 0, 0, 42, 0], &frame::ethernet(&gre)[..]].concat();
        let (from, to) = (SocketAddr::new(c, 55_555), SocketAddr::new(d, 4789));
        frame::ethernet(&frame::ip(c, d, frame::PROTOCOL_UDP, 1, &frame::udp(from, to, &vxlan)))
    };
    check(115, |packets| {
        datagrams(packets)?;
        Some(vec![packets.iter().map(|(at, frame)| (*at, wrap(frame))).collect()])
    });
}

/// The addresses of both readings, so that both have labels; random traffic has the names of the ladder.
fn as_ipv6(address: SocketAddr) -> SocketAddr {
    let IpAddr::V4(v4) = address.ip() else { return address };
    let [a, b, c, d] = v4.octets();
    let [high, low] = [[a, b], [c, d]].map(u16::from_be_bytes);
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high, low)), address.port())
}

fn with_ipv6(steps: &[Step]) -> Vec<Step> {
    let moved =
        |step: &Step| Step { source: as_ipv6(step.source), destination: as_ipv6(step.destination), ..step.clone() };
    steps.iter().map(moved).collect()
}

#[test]
fn over_ipv6_it_is_the_same_call() {
    check(115, |packets| Some(vec![framed(&with_ipv6(&datagrams(packets)?))]));
}

/// The same, each message a text frame of a WebSocket (RFC 6455 §5.2), masked on its way to the lower port.
fn in_websockets(steps: &[Step]) -> Vec<Packet> {
    const TEXT: u8 = 0x81;
    const MASK: [u8; 4] = [0x5a, 0xa5, 0x33, 0xcc];
    let frames = steps.iter().map(|step| {
        let len = u16::try_from(step.bytes.len()).expect("a datagram").to_be_bytes();
        let bytes = if step.source.port() > step.destination.port() {
            let masked = step.bytes.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            [TEXT, 0x80 | 126].into_iter().chain(len).chain(MASK).chain(masked).collect()
        } else {
            [TEXT, 126].into_iter().chain(len).chain(step.bytes.iter().copied()).collect()
        };
        Step { bytes, ..step.clone() }
    });
    in_streams(&frames.collect::<Vec<_>>())
}

#[test]
fn in_websockets_it_is_the_same_call() {
    let read = |files: &[PathBuf]| without_what_differs(read_websockets(files).series);
    check_by(read, 50, |packets| {
        let steps = datagrams(packets)?;
        // Shorter ones have another form of length, which a real sender would use.
        let usual = |step: &Step| is_whole(&step.bytes) && step.bytes.len() > 125;
        steps.iter().all(usual).then(|| vec![in_websockets(&steps)])
    });
}

/// Each message a segment of the stream from its source to its destination.
fn in_streams(steps: &[Step]) -> Vec<Packet> {
    const PUSH: u8 = 0x18;
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), u32> = BTreeMap::new();
    let mut packets = Vec::new();
    for (step, number) in steps.iter().zip((1..=u16::MAX).cycle()) {
        let Step { at, source, destination, ref bytes } = *step;
        let next = streams.entry((source, destination)).or_insert(1);
        let segment = frame::tcp(source, destination, *next, 0, PUSH, bytes);
        *next = next.wrapping_add(u32::try_from(bytes.len()).expect("small"));
        packets.push((
            at,
            frame::ethernet(&frame::ip(source.ip(), destination.ip(), frame::PROTOCOL_TCP, number, &segment)),
        ));
    }
    packets
}

#[test]
fn in_streams_it_is_the_same_call() {
    check(50, |packets| {
        let steps = datagrams(packets)?;
        steps.iter().all(|step| is_whole(&step.bytes)).then(|| vec![in_streams(&steps)])
    });
}

/// Whether a message has a start line, says its length, and has it.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let lengths = head.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| {
        name.trim().eq_ignore_ascii_case("content-length") || name.trim().eq_ignore_ascii_case("l")
    });
    sip::begins_message(bytes)
        && lengths.map(|(_, length)| length.trim().parse()).collect::<Vec<_>>() == [Ok(body.len())]
}

/// Captures in which one direction is 0.9 s late already: 0.9 s more is beyond the second that is waited for (2.3).
const LATE_ALREADY: [&str; 2] = ["P173.pcap", "P175.pcap"];

#[test]
fn directions_captured_apart_have_the_same_outcomes() {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for path in captures() {
        let Some(steps) = packets(&path).and_then(|packets| datagrams(&packets)) else { continue };
        looked_at += 1;
        let expected = outcomes(&steps);
        for (millis, later) in [2, 50, 900].into_iter().flat_map(|millis| [(millis, false), (millis, true)]) {
            let found = outcomes(&shifted(&steps, Duration::from_millis(millis), later));
            if found != expected && !(millis == 900 && LATE_ALREADY.iter().any(|name| path.ends_with(name))) {
                wrong.push(format!("{}, {millis} ms, {later}: {expected:?} {found:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {looked_at}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(looked_at >= 115, "{looked_at} captures");
}

/// Shifts one direction of each pair of addresses.
fn shifted(steps: &[Step], by: Duration, later: bool) -> Vec<Step> {
    let moved = |step: &Step| {
        let is_one = step.source < step.destination;
        Step { at: if is_one == later { step.at + by } else { step.at }, ..step.clone() }
    };
    let mut steps: Vec<Step> = steps.iter().map(moved).collect();
    steps.sort_by_key(|step| step.at);
    steps
}

/// Attempts by their outcomes, whatever labels they have: those of whichever hop was seen first (2.4).
fn outcomes(steps: &[Step]) -> BTreeMap<String, f64> {
    let mut outcomes = BTreeMap::new();
    for line in read(&[written(&framed(steps)).0.clone()], 1).series {
        let Some((name, rest)) = line.split_once("_outcomes_total{") else { continue };
        let Some((labels, number)) = rest.split_once("} ") else { continue };
        let outcome = labels.split(',').next_back().expect("the last label is the outcome");
        *outcomes.entry(format!("{name} {outcome}")).or_default() += number.parse::<f64>().expect("a number");
    }
    outcomes.retain(|_, number| *number != 0.0);
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn random_traffic_is_the_same_however_it_was_captured(traffic in traffic(), cuts in prop::collection::vec(0usize..400, 0..4)) {
        let epoch = Duration::from_secs(EPOCH);
        let steps: Vec<Step> = steps(&traffic).into_iter().map(|step| Step { at: step.at + epoch, ..step }).collect();
        let plain = framed(&steps);
        let file = written(&plain);
        let expected = happened(std::slice::from_ref(&file.0));
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (plain.len() + 1)).collect();
        cuts.extend([0, plain.len()]);
        cuts.sort_unstable();
        let files: Vec<Written> = cuts.windows(2).map(|cut| written(&plain[cut[0]..cut[1]])).collect();
        let paths: Vec<PathBuf> = files.iter().map(|file| file.0.clone()).collect();
        prop_assert_eq!(difference(&expected, &happened(&paths)), Vec::<String>::new(), "cut into files");
        let twice: Vec<Packet> = plain.iter().flat_map(|packet| [packet.clone(), packet.clone()]).collect();
        for (what, packets) in [("twice", twice), ("IPv6", framed(&with_ipv6(&steps)))] {
            let file = written(&packets);
            prop_assert_eq!(difference(&expected, &happened(std::slice::from_ref(&file.0))), Vec::<String>::new(), "{}", what);
        }
    }
}
