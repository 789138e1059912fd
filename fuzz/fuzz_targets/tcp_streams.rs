//! Segments of TCP on a SIP port, half of the senders allowed a WebSocket too, in any order and of any content, through `intake::Intake`: no panic, every bound
//! holds, every frame is one message of its stream, nothing is left after its time.
//!
//! The input is cut into segments: flags, sender (16 of them), what is added to the sequence number of the last one
//! of this sender (signed), tenths of a second passed, two bytes of length, then that many bytes.
#![no_main]

use intake::{ClockMode, Intake, IntakeSettings};
use pipeline::FrameBatch;
use wire::{Link, Packet, Tap, Timestamp};

const SENDERS: usize = 16;
const MAX_STREAMS: usize = 8;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let ports = [5060].into_iter().collect();
    let settings = IntakeSettings {
        max_streams: MAX_STREAMS,
        ws_ports: (40_000 + SENDERS as u16 / 2..40_000 + SENDERS as u16).collect(),
        ..IntakeSettings::new(ClockMode::File, ports)
    };
    let mut intake = Intake::new(settings);
    let mut batch = FrameBatch::default();
    let mut sequences = [u32::MAX - 100; SENDERS];
    let (mut rest, mut tenths) = (input, 0);
    while let Some(([flags, sender, step, passed, len @ ..], tail)) = rest.split_first_chunk::<6>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(tail.len()).min(65_000);
        let (payload, tail) = tail.split_at(len);
        rest = tail;
        tenths += u64::from(*passed);
        let sender = usize::from(*sender) % SENDERS;
        let sequence = sequences[sender].wrapping_add_signed(i32::from(step.cast_signed()));
        sequences[sender] = sequence.wrapping_add(len as u32).wrapping_add(u32::from(flags & 2 != 0));
        let bytes = packet(40_000 + sender as u16, sequence, *flags, payload);
        let original_len = bytes.len() as u32;
        let at = Timestamp::from_nanos(tenths * 100_000_000);
        batch.clear();
        intake.packet(
            &Packet { at, link: Link::RawIp, interface: 0, bytes: &bytes, original_len, tap: Tap::Between },
            &mut batch,
        );
        for frame in &batch.frames {
            let message = batch.message(frame);
            assert!(!message.is_empty() && message.len() <= sip::MAX_STREAM_MESSAGE);
            assert!(!matches!(message[0], b'\r' | b'\n'));
            assert!(frame.first <= frame.at && frame.at == batch.now);
        }
        assert!(number(&intake, "otelcol_receiver_streams") <= MAX_STREAMS as f64);
        assert!(number(&intake, "otelcol_receiver_stream_bytes") <= (MAX_STREAMS * 1024 * 1024) as f64);
    }
    // Packets of no interest move the time on: the first ends streams that waited for a hole, the second forgets them.
    for later in [100_000, 200_000] {
        let at = Timestamp::from_nanos((tenths + later) * 100_000_000);
        intake.packet(
            &Packet { at, link: Link::RawIp, interface: 0, bytes: &[], original_len: 0, tap: Tap::Between },
            &mut batch,
        );
    }
    assert_eq!(number(&intake, "otelcol_receiver_streams"), 0.0);
    assert_eq!(number(&intake, "otelcol_receiver_stream_bytes"), 0.0);
});

/// An IPv4 packet from 192.0.2.1 to port 5060 of 192.0.2.2.
fn packet(port: u16, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = 40 + payload.len() as u16;
    let mut bytes = vec![0x45, 0, (len >> 8) as u8, len as u8, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    bytes.extend(port.to_be_bytes());
    bytes.extend(5060_u16.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes.extend(payload);
    bytes
}

fn number(intake: &Intake, name: &str) -> f64 {
    let mut all = Vec::new();
    intake.telemetry(&mut all);
    all.iter().find(|number| number.name == name).expect("it is told").value
}
