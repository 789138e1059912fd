//! What must hold for every datagram, whatever the bytes: shared by the property tests and the fuzz target.

use rtp::rtcp::Report;
use rtp::{Compound, HEADER_LEN, Header};

/// Reads `datagram` as RTCP and as RTP.
pub fn check(datagram: &[u8]) {
    if let Ok(compound) = Compound::read(datagram) {
        assert!(datagram.len().is_multiple_of(4) && rtp::is_rtcp(datagram));
        // A block of a report takes 24 bytes at least, one of voice 36.
        let mut bytes = 0;
        for report in compound.reports() {
            bytes += match report {
                Report::Sender { blocks, .. } | Report::Receiver { blocks, .. } => 8 + 24 * blocks.iter().count(),
                Report::Voice(voice) => {
                    assert!(voice.mos_lq.is_none_or(|mos| (10..=50).contains(&mos)));
                    assert!(voice.mos_cq.is_none_or(|mos| (10..=50).contains(&mos)));
                    assert!(voice.r_factor.is_none_or(|rating| rating <= 100));
                    36
                }
            };
        }
        assert!(bytes <= datagram.len());
    }
    if let Some(first) = datagram.first_chunk::<HEADER_LEN>()
        && let Some(header) = Header::read(first, datagram.len())
    {
        assert!(header.payload_type < 128 && datagram[0] >> 6 == 2);
    }
}
