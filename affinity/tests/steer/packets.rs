//! Packets that are not plain: fragments, options, extension headers, damage; what is none of the program's.

use affinity::steer::{General, StandardPath, Verdict};
use ladder::frame;

use crate::script::{OWN, Stage, address, call_for, datagram, ends, tables};

/// What is done to a frame.
type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

fn invite(stage: &Stage, backend: u16) -> String {
    let id = call_for(&stage.tables, backend);
    format!("INVITE x SIP/2.0\r\nCall-ID: {id}\r\nTo: <sip:b@c>\r\nX: {}\r\n\r\n", "y".repeat(600))
}

fn fragments(source: &str, destination: &str, message: &str) -> Vec<Vec<u8>> {
    let packets = fragments_of(address(source), address(destination), message.as_bytes());
    packets.iter().map(|packet| frame::ethernet(packet)).collect()
}

/// Pieces of 256 bytes (RFC 791 §3.2, RFC 8200 §4.5).
pub fn fragments_of(source: std::net::SocketAddr, destination: std::net::SocketAddr, payload: &[u8]) -> Vec<Vec<u8>> {
    let udp = frame::udp(source, destination, payload);
    let count = udp.chunks(256).count();
    let piece = |(index, piece): (usize, &[u8])| {
        let (offset, more) = ((index * 256) as u16, u16::from(index + 1 != count));
        if source.is_ipv4() {
            let mut packet = frame::ip(source.ip(), destination.ip(), frame::PROTOCOL_UDP, 77, piece);
            packet[6..8].copy_from_slice(&((offset / 8) | (more << 13)).to_be_bytes());
            packet[10..12].copy_from_slice(&[0, 0]);
            let sum = frame::checksum(&[&packet[..20]]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            packet
        } else {
            let header =
                [&[frame::PROTOCOL_UDP, 0][..], &(offset | more).to_be_bytes(), &77_u32.to_be_bytes(), piece].concat();
            frame::ip(source.ip(), destination.ip(), 44, 0, &header)
        }
    };
    udp.chunks(256).enumerate().map(piece).collect()
}

#[test]
fn later_fragments_follow_their_first_in_both_directions() {
    for family in ["", "6"] {
        let mut stage = Stage::new(tables());
        let message = invite(&stage, 1);
        let (client, core, pod) = (format!("a{family}"), format!("core{family}"), format!("b1{family}"));
        let came = fragments(&client, &core, &message);
        let (mut whole, now) = (came.clone(), stage.time(1.0));
        let verdicts: Vec<Verdict> =
            whole.iter_mut().map(|frame| stage.model.ingress(frame, OWN, 0, now).verdict).collect();
        assert_eq!(verdicts, [Verdict::Steered, Verdict::Followed, Verdict::Followed]);
        assert_eq!(whole, fragments(&client, &pod, &message), "byte for byte what the client would have sent");
        let mut back = fragments(&pod, &client, &message);
        let verdicts: Vec<Verdict> = back.iter_mut().map(|frame| stage.model.egress(frame, now).verdict).collect();
        assert_eq!(verdicts, [Verdict::Translated, Verdict::Followed, Verdict::Followed]);
        assert_eq!(back, fragments(&core, &client, &message));
    }
}

#[test]
fn a_later_fragment_without_its_first_passes_and_so_does_one_that_is_late() {
    let mut stage = Stage::new(tables());
    let mut frames = fragments("a", "core", &invite(&stage, 1));
    let now = stage.time(1.0);
    assert_eq!(stage.model.ingress(&mut frames[1].clone(), OWN, 0, now).verdict, Verdict::Untouched);
    assert_eq!(stage.model.counters().general(General::FragmentsEarly), 1);
    assert_eq!(stage.model.ingress(&mut frames[0], OWN, 0, now).verdict, Verdict::Steered);
    let late = stage.time(32.0);
    assert_eq!(stage.model.ingress(&mut frames[2], OWN, 0, late).verdict, Verdict::Untouched);
    let mut foreign = fragments("a", "d", "nobody knows either end");
    stage.model.ingress(&mut foreign[0], OWN, 0, now);
    assert_eq!(stage.model.counters().general(General::FragmentsEarly), 2);
}

#[test]
fn options_and_up_to_six_extension_headers_are_gone_over() {
    let mut stage = Stage::new(tables());
    let message = invite(&stage, 1);
    let mut options = datagram(address("a"), address("core"), message.as_bytes());
    options.splice(34..34, [148, 4, 0, 0]);
    options[14] = 0x46;
    let length = u16::from_be_bytes([options[16], options[17]]) + 4;
    options[16..18].copy_from_slice(&length.to_be_bytes());
    let now = stage.time(1.0);
    assert_eq!(stage.model.ingress(&mut options, OWN, 0, now).verdict, Verdict::Steered);
    for (headers, verdict) in [(1, Verdict::Steered), (6, Verdict::Steered), (7, Verdict::Untouched)] {
        let mut frame = datagram(address("a6"), address("core6"), message.as_bytes());
        let stack: Vec<u8> =
            (1..=headers).flat_map(|number| [if number == headers { 17 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]).collect();
        frame[20] = 60;
        let length = u16::from_be_bytes([frame[18], frame[19]]) + stack.len() as u16;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
        frame.splice(54..54, stack);
        assert_eq!(stage.model.ingress(&mut frame, OWN, 0, now).verdict, verdict, "{headers} headers");
    }
}

#[test]
fn what_is_damaged_or_at_its_last_hop_is_left_alone() {
    let mut stage = Stage::new(tables());
    let good = datagram(address("a"), address("core"), invite(&stage, 1).as_bytes());
    let now = stage.time(1.0);
    let mut play = |change: Damage<'_>| {
        let mut frame = good.clone();
        change(&mut frame);
        let before = frame.clone();
        let verdict = stage.model.ingress(&mut frame, OWN, 0, now).verdict;
        assert!(verdict == Verdict::Steered || frame == before);
        verdict
    };
    assert_eq!(play(&|_| {}), Verdict::Steered);
    let damages: [Damage; 9] = [
        &|frame| frame[22] = 1,
        &|frame| frame[14] = 0x65,
        &|frame| frame[14] = 0x44,
        &|frame| frame[16] = 0xff,
        &|frame| frame[38] = 0xff,
        &|frame| frame[38..40].copy_from_slice(&[0, 7]),
        &|frame| frame[12] = 9,
        &|frame| frame.truncate(60),
        &|frame| frame[23] = 132,
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        assert_eq!(play(damage), Verdict::Untouched, "damage {number}");
    }
}

#[test]
fn tcp_to_a_service_is_counted_and_passes() {
    let mut stage = Stage::new(tables());
    let segment = frame::tcp(address("a"), address("core"), 1, 0, 2, b"");
    let ip = frame::ip(address("a").ip(), address("core").ip(), frame::PROTOCOL_TCP, 1, &segment);
    let mut bytes = frame::ethernet(&ip);
    let decision = stage.model.ingress(&mut bytes, OWN, 0, stage.time(0.0));
    assert_eq!(decision.verdict, Verdict::Passed(StandardPath::Tcp));
    assert_eq!(stage.model.counters().services[&0].passed(StandardPath::Tcp), 1);
}

#[test]
fn a_datagram_without_checksum_keeps_none() {
    let mut stage = Stage::new(tables());
    let mut frame = datagram(address("a"), address("core"), invite(&stage, 1).as_bytes());
    frame[40..42].copy_from_slice(&[0, 0]);
    assert_eq!(stage.model.ingress(&mut frame, OWN, 0, stage.time(0.0)).verdict, Verdict::Steered);
    assert_eq!((ends(&frame).1, &frame[40..42]), (address("b1"), &[0, 0][..]));
}

#[test]
fn a_super_datagram_goes_where_its_first_message_goes() {
    let mut stage = Stage::new(tables());
    let (one, two) = (invite(&stage, 1), invite(&stage, 2));
    assert_eq!(one.len(), two.len(), "all but the last are of one size");
    let mut frame = datagram(address("a"), address("core"), (one.clone() + &two).as_bytes());
    let decision = stage.model.ingress(&mut frame, OWN, one.len() as u32, stage.time(0.0));
    assert_eq!((decision.verdict, decision.backend), (Verdict::Steered, Some(1)));
    assert_eq!(stage.model.counters().general(General::Super), 1);
}
