use pipeline::media::{MediaPacket, seen_at};
use wire::Tap;

use super::*;

const RTP: &[u8] = b"\x80\x00\x03\xe8\x00\x00\x00\xa0\xc1\x00\x00\x01payload that nobody looks at";
const RTCP: &[u8] = b"\x80\xc9\x00\x01\xc1\x00\x00\x01";

fn bench() -> Bench {
    let mut bench = Bench::new(|_| ());
    bench.intake.want_media();
    bench
}

fn to_media(payload: &[u8]) -> Vec<u8> {
    ip(17, 77, 0, &udp(40_000, 50_000, payload))
}

#[test]
fn media_are_passed_over_unless_somebody_wants_them() {
    let mut bench = Bench::new(|_| ());
    [RTP, RTCP].iter().for_each(|payload| bench.packet(0, &to_media(payload)));
    assert!(bench.batch.media.is_empty() && bench.batch.rtcp.is_empty() && bench.batch.bytes.is_empty());
    assert_eq!(bench.telemetry("otelcol_receiver_skipped_packets", "other_port"), 2.0);
}

#[test]
fn of_a_packet_of_media_twelve_bytes_are_kept() {
    let mut bench = bench();
    bench.packet(5, &to_media(RTP));
    let [packet] = bench.batch.media[..] else { panic!("one packet") };
    let address = |text: &str| text.parse::<std::net::SocketAddr>().expect("an address").into();
    let expected = MediaPacket {
        at: at(5),
        source: address("192.0.2.1:40000"),
        destination: address("192.0.2.2:50000"),
        header: *RTP.first_chunk().expect("12 bytes"),
        len: RTP.len() as u16,
        identification: 77,
        seen_at: seen_at(0, 0, Tap::Sender),
    };
    assert_eq!(packet, expected);
    assert!(bench.batch.bytes.is_empty());
}

#[test]
fn a_report_is_kept_whole_however_short() {
    let mut bench = bench();
    let long = [RTCP, &[0; 16]].concat();
    bench.packet(1, &to_media(RTCP));
    bench.packet(2, &to_media(&long));
    let bytes: Vec<&[u8]> = bench.batch.rtcp.iter().map(|packet| &bench.batch.bytes[packet.range.clone()]).collect();
    assert_eq!(bytes, [RTCP, &long[..]]);
}

#[test]
fn what_is_no_media_goes_where_it_went() {
    let mut bench = bench();
    for payload in [&b"\x00\x01"[..], b"\x40 short", b"nothing of the kind", b"\x80\xc9"] {
        bench.packet(0, &to_media(payload));
    }
    bench.packet(0, &to_media(OPTIONS));
    assert!(bench.batch.media.is_empty() && bench.batch.rtcp.is_empty());
    assert_eq!(bench.batch.tally.sip_elsewhere.iter().sum::<u32>(), 1);
}

#[test]
fn media_on_a_port_of_sip_count_there_and_are_kept() {
    let mut bench = bench();
    bench.datagram(0, RTP);
    bench.datagram(1, OPTIONS);
    assert_eq!((bench.batch.tally.non_sip, bench.batch.media.len(), bench.batch.frames.len()), (1, 1, 1));
}

#[test]
fn a_record_of_the_kernel_gets_the_time_of_the_capture() {
    let mut bench = bench();
    bench.packet(9, &to_media(RTP));
    let record = MediaPacket { at: at(8), ..bench.batch.media[0] };
    bench.intake.media(record, &mut bench.batch);
    assert_eq!((bench.batch.media[1].at, bench.batch.now), (at(9), at(9)));
}
