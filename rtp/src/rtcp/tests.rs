use super::*;

/// A packet with its length, and so many blocks as `count` says.
fn packet(count: u8, kind: u8, words: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0x80 | count, kind];
    bytes.extend(u16::try_from(words.len()).expect("short").to_be_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes
}

fn sender() -> Vec<u8> {
    packet(1, 200, &[0xC1, 0x1111_2222, 0x3333_4444, 160, 10, 1600, 0xC2, 0x1A00_0001, 9, 24, 0xAABB_CCDD, 65_536])
}

fn extended() -> Vec<u8> {
    let voice = [
        0x0700_0008,
        0xC2,
        0x0D_05_80_01,
        0x003C_0FA0,
        0x0064_0028,
        0xEC_7F_7F_10,
        0x5D_7F_29_7F,
        0xB000_0028,
        0x0050_0078,
    ];
    let words = [&[0xC1_u32][..], &[0x0400_0002, 1, 2], &voice].concat();
    packet(0, 207, &words)
}

#[test]
fn reports_are_read_one_after_the_other() {
    let names = packet(1, 202, &[0xC1, 0x0104_6D65, 0x2E00_0000]);
    let datagram = [sender(), names, extended(), packet(0, 201, &[0xC1])].concat();
    let reports: Vec<_> = Compound::read(&datagram).expect("valid").reports().collect();
    let [
        Report::Sender { ssrc: 0xC1, ntp: 0x2222_3333, blocks },
        Report::Voice(voice),
        Report::Receiver { ssrc: 0xC1, .. },
    ] = reports.as_slice()
    else {
        panic!("{reports:?}");
    };
    let block = Block { ssrc: 0xC2, fraction_lost: 26, jitter: 24, last_sr: 0xAABB_CCDD, delay: 65_536 };
    assert_eq!(blocks.iter().collect::<Vec<_>>(), [block]);
    assert_eq!((voice.ssrc, voice.loss, voice.discard, voice.burst_density, voice.gap_density), (0xC2, 13, 5, 128, 1));
    assert_eq!((voice.burst_ms, voice.gap_ms, voice.round_trip_ms, voice.end_system_ms), (60, 4000, 100, 40));
    assert_eq!((voice.signal, voice.noise, voice.rerl, voice.gmin), (Some(-20), None, None, 16));
    assert_eq!((voice.r_factor, voice.external_r, voice.mos_lq, voice.mos_cq), (Some(93), None, Some(41), None));
    assert_eq!((voice.config, voice.buffer_ms), (0xB0, [40, 80, 120]));
}

#[test]
fn a_reduced_size_packet_may_stand_alone() {
    assert!(Compound::read(&packet(1, 205, &[1, 2])).is_ok_and(|compound| compound.reports().next().is_none()));
    assert!(Compound::read(&extended()).is_ok_and(|compound| compound.reports().count() == 1));
}

#[test]
fn padding_is_left_out_and_stands_only_at_the_end() {
    let mut padded = packet(0, 201, &[0xC1, 0, 0x0000_0008]);
    padded[0] |= 0x20;
    assert!(Compound::read(&padded).is_ok_and(|compound| compound.reports().count() == 1));
    assert_eq!(Compound::read(&[padded.clone(), sender()].concat()).err(), Some(RtcpError::Compound));
    for lie in [0, 9, 13, 255] {
        *padded.last_mut().expect("bytes") = lie;
        assert_eq!(Compound::read(&padded).err(), Some(RtcpError::Compound), "{lie}");
    }
}

#[test]
fn lengths_and_counts_that_lie_are_refused() {
    let good = sender();
    for end in 0..good.len() {
        assert_eq!(Compound::read(&good[..end]).err(), Some(RtcpError::Compound));
    }
    let changed = |place: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[place] = byte;
        Compound::read(&bytes).err()
    };
    for (place, byte) in [(0, 0x82), (0, 0x41), (1, 100), (2, 1), (3, 20), (3, 11), (3, 0)] {
        assert_eq!(changed(place, byte), Some(RtcpError::Compound), "{place}: {byte}");
    }
    assert_eq!(changed(0, 0x80), None);
}

#[test]
fn an_extended_report_that_lies_is_told_apart() {
    for (place, byte) in [(11, 3), (23, 7), (23, 9), (22, 1)] {
        let mut bytes = extended();
        bytes[place] = byte;
        assert_eq!(Compound::read(&bytes).err(), Some(RtcpError::Extended), "{place}");
    }
}
