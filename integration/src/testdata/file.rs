//! The files: packets in; classic pcap, pcapng and gzip of either out, whole and damaged.

use ladder::format::{MICROSECONDS, NANOSECONDS, Order};

use super::call::Packet;

/// LINKTYPE_ETHERNET.
pub(super) const ETHERNET: u32 = 1;

/// Every capture begins at this second since 1970: the start of 2026.
const EPOCH: u64 = 1_767_225_600;

const BIG: Order = Order { big: true };

/// if_tsresol and if_tsoffset.
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// A classic file; the magic number says what a fraction of a second is.
fn pcap(order: Order, magic: u32, link: u32, packets: &[Packet]) -> Vec<u8> {
    let mut file = order.pcap(magic, link);
    for packet in packets {
        let nanos = packet.at.subsec_nanos();
        let fraction = if magic == MICROSECONDS { nanos / 1000 } else { nanos };
        file.extend(order.cut_record(EPOCH + packet.at.as_secs(), fraction, &packet.bytes, packet.original_len));
    }
    file
}

/// What most programs write: little endian, microseconds.
pub(super) fn of_link(link: u32, packets: &[Packet]) -> Vec<u8> {
    pcap(Order::LITTLE, MICROSECONDS, link, packets)
}

/// On Ethernet.
pub(super) fn usual(packets: &[Packet]) -> Vec<u8> {
    of_link(ETHERNET, packets)
}

pub(super) fn pcap_big(packets: &[Packet]) -> Vec<u8> {
    pcap(BIG, MICROSECONDS, ETHERNET, packets)
}

pub(super) fn pcap_nanoseconds(packets: &[Packet]) -> Vec<u8> {
    pcap(Order::LITTLE, NANOSECONDS, ETHERNET, packets)
}

pub(super) fn pcap_big_nanoseconds(packets: &[Packet]) -> Vec<u8> {
    pcap(BIG, NANOSECONDS, ETHERNET, packets)
}

/// Time of a packet in units of which so many are a second.
fn units(packet: &Packet, per_second: u128) -> u64 {
    let nanos = u128::from(EPOCH) * 1_000_000_000 + packet.at.as_nanos();
    u64::try_from(nanos * per_second / 1_000_000_000).expect("a time of this century")
}

/// The number of Ethernet as pcapng has it.
const ETHERNET_16: u16 = 1;

/// One section, one interface with these options, time in units of which so many are a second.
fn pcapng(order: Order, options: &[(u16, &[u8])], per_second: u128, packets: &[Packet]) -> Vec<u8> {
    let mut file = [order.section(), order.interface(ETHERNET_16, 0, options)].concat();
    for packet in packets {
        file.extend(order.enhanced(0, units(packet, per_second), &packet.bytes));
    }
    file
}

pub(super) fn pcapng_little(packets: &[Packet]) -> Vec<u8> {
    pcapng(Order::LITTLE, &[], 1_000_000, packets)
}

pub(super) fn pcapng_big(packets: &[Packet]) -> Vec<u8> {
    pcapng(BIG, &[], 1_000_000, packets)
}

pub(super) fn pcapng_milliseconds(packets: &[Packet]) -> Vec<u8> {
    pcapng(Order::LITTLE, &[(OPTION_RESOLUTION, &[3])], 1_000, packets)
}

pub(super) fn pcapng_nanoseconds(packets: &[Packet]) -> Vec<u8> {
    pcapng(BIG, &[(OPTION_RESOLUTION, &[9])], 1_000_000_000, packets)
}

/// 2^-10 s.
pub(super) fn pcapng_binary(packets: &[Packet]) -> Vec<u8> {
    pcapng(Order::LITTLE, &[(OPTION_RESOLUTION, &[0x80 | 10])], 1024, packets)
}

/// Time counted from the first second of the capture, which the interface tells.
pub(super) fn pcapng_offset(packets: &[Packet]) -> Vec<u8> {
    let offset = i64::try_from(EPOCH).expect("a time of this century");
    let order = Order::LITTLE;
    let mut file = [order.section(), order.interface(ETHERNET_16, 0, &[(OPTION_OFFSET, &order.i64(offset))])].concat();
    for packet in packets {
        let micros = u64::try_from(packet.at.as_micros()).expect("a short capture");
        file.extend(order.enhanced(0, micros, &packet.bytes));
    }
    file
}

/// Name, description, filter and system of the interface, a comment, and options nobody knows.
pub(super) fn pcapng_options(packets: &[Packet]) -> Vec<u8> {
    let options: [(u16, &[u8]); 6] = [
        (1, b"a comment of some length"),
        (2, b"eth0"),
        (3, b"towards the carrier"),
        (11, b"\0udp port 5060"),
        (12, b"Linux"),
        (0x8123, b"???"),
    ];
    pcapng(Order::LITTLE, &options, 1_000_000, packets)
}

/// Packets in turn from three interfaces, each with a unit of its own; the third carries them without a link layer.
pub(super) fn pcapng_interfaces(packets: &[Packet]) -> Vec<u8> {
    const RAW_IP: u16 = 101;
    const ETHERNET_HEADER: usize = 14;
    let order = Order::LITTLE;
    let mut file = [
        order.section(),
        order.interface(ETHERNET_16, 0, &[]),
        order.interface(ETHERNET_16, 0, &[(OPTION_RESOLUTION, &[9])]),
        order.interface(RAW_IP, 0, &[(OPTION_RESOLUTION, &[0x80 | 20])]),
    ]
    .concat();
    for (index, packet) in packets.iter().enumerate() {
        file.extend(match index % 3 {
            0 => order.enhanced(0, units(packet, 1_000_000), &packet.bytes),
            1 => order.enhanced(1, units(packet, 1_000_000_000), &packet.bytes),
            _ => order.enhanced(2, units(packet, 1 << 20), &packet.bytes[ETHERNET_HEADER..]),
        });
    }
    file
}

/// Two sections of known length and different byte order, blocks nobody knows between the packets.
pub(super) fn pcapng_sections(packets: &[Packet]) -> Vec<u8> {
    let (first, second) = packets.split_at(packets.len() / 2);
    let section = |order: Order, packets: &[Packet]| {
        let mut blocks = order.interface(ETHERNET_16, 0, &[]);
        for packet in packets {
            blocks.extend(order.block(0x0bad_cafe, b"nobody knows this"));
            blocks.extend(order.enhanced(0, units(packet, 1_000_000), &packet.bytes));
        }
        let len = i64::try_from(blocks.len()).expect("a short file");
        [order.section_of(len), blocks].concat()
    };
    [section(Order::LITTLE, first), section(BIG, second)].concat()
}

/// Obsolete packet blocks.
pub(super) fn pcapng_obsolete(packets: &[Packet]) -> Vec<u8> {
    let order = Order::LITTLE;
    let mut file = [order.section(), order.interface(ETHERNET_16, 0, &[])].concat();
    for packet in packets {
        let units = units(packet, 1_000_000);
        let len = u32::try_from(packet.bytes.len()).expect("one packet");
        let numbers = [(units >> 32) as u32, units as u32, len, len].map(|number| order.u32(number)).concat();
        // Interface 0, nothing dropped before.
        file.extend(order.block(2, &[&order.u16(0)[..], &order.u16(0), &numbers, &packet.bytes].concat()));
    }
    file
}

/// The first packet enhanced, the others simple: without a time of their own they have that of the first.
pub(super) fn pcapng_simple(packets: &[Packet]) -> Vec<u8> {
    let (first, others) = packets.split_at(1);
    let mut file = pcapng(Order::LITTLE, &[], 1_000_000, first);
    file.extend(others.iter().flat_map(|packet| Order::LITTLE.simple(&packet.bytes)));
    file
}

/// gzip (RFC 1952) of one member for each part, stored and not compressed (RFC 1951 §3.2.4): the same bytes whatever
/// compressor is at hand.
fn gzip(parts: &[&[u8]]) -> Vec<u8> {
    let member = |part: &&[u8]| {
        let len = u32::try_from(part.len()).expect("a short file");
        let stored = u16::try_from(len).expect("one stored block");
        [
            &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1][..],
            &stored.to_le_bytes(),
            &(!stored).to_le_bytes(),
            part,
            &crc32(part).to_le_bytes(),
            &len.to_le_bytes(),
        ]
        .concat()
    };
    parts.iter().flat_map(member).collect()
}

/// CRC-32 as in RFC 1952 §8.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    };
    !bytes.iter().fold(u32::MAX, step)
}

pub(super) fn gzip_pcap(packets: &[Packet]) -> Vec<u8> {
    gzip(&[&usual(packets)])
}

/// Two members, the border within a packet.
pub(super) fn gzip_pcapng(packets: &[Packet]) -> Vec<u8> {
    let file = pcapng_little(packets);
    let (left, right) = file.split_at(file.len() / 2);
    gzip(&[left, right])
}

/// Bytes of the last packet that are missing where a file is cut.
const MISSING: usize = 100;

/// Cut within the last packet.
pub(super) fn cut(packets: &[Packet]) -> Vec<u8> {
    shortened(usual(packets))
}

/// Cut within the last packet, which a comment follows.
pub(super) fn pcapng_cut(packets: &[Packet]) -> Vec<u8> {
    shortened(pcapng_little(packets))
}

/// The compressed data is cut within the last packet.
pub(super) fn gzip_cut(packets: &[Packet]) -> Vec<u8> {
    shortened(gzip_pcap(packets))
}

fn shortened(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() - MISSING);
    file
}

/// What stands behind a file that something else was written into.
const GARBAGE: &[u8] = b"\xff\xfe\xfd\xfcwhat follows is no packet but a line of a log, which is longer than a header";

/// Something else behind the last packet.
pub(super) fn garbage(packets: &[Packet]) -> Vec<u8> {
    [&usual(packets), GARBAGE].concat()
}

/// Something else behind the last block.
pub(super) fn pcapng_garbage(packets: &[Packet]) -> Vec<u8> {
    [&pcapng_little(packets), GARBAGE].concat()
}

#[cfg(test)]
mod tests {
    use super::crc32;

    #[test]
    fn the_checksum_is_that_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
