//! The fixed header of RTP (RFC 3550 §5.1): the first 12 bytes of a datagram, and how long it is. Nothing behind them is
//! looked at.

/// Bytes of a packet that are looked at.
pub const HEADER_LEN: usize = 12;

/// What the fixed header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where speech begins after silence (RFC 3551 §4.1).
    pub marker: bool,
    /// 0 to 127, never 72 to 76.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Time stamp, in units of the payload type's clock.
    pub timestamp: u32,
    /// The source.
    pub ssrc: u32,
}

impl Header {
    /// Reads the header of a datagram of `len` bytes. `None` where it is no RTP (RFC 3550 A.1): another version, a payload
    /// type that would be RTCP's, or too short for what it says is in it.
    #[inline]
    pub fn read(first: &[u8; HEADER_LEN], len: usize) -> Option<Self> {
        let [flags, kind, s0, s1, t0, t1, t2, t3, i0, i1, i2, i3] = *first;
        let payload_type = kind & 0x7F;
        let sources = usize::from(flags & 0x0F) * 4;
        let extension = if flags & 0x10 != 0 { 4 } else { 0 };
        let padding = usize::from(flags & 0x20 != 0);
        let is_rtp = flags >> 6 == 2 && !(72..=76).contains(&payload_type);
        (is_rtp && len >= HEADER_LEN + sources + extension + padding).then_some(Self {
            marker: kind & 0x80 != 0,
            payload_type,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([i0, i1, i2, i3]),
        })
    }
}

/// Whether a datagram is RTCP rather than RTP, by its second byte (RFC 5761 §4).
#[inline]
pub fn is_rtcp(payload: &[u8]) -> bool {
    matches!(payload, [version, 192..=223, ..] if version >> 6 == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [u8; 12] = [0x80, 0x88, 0x03, 0xE8, 0, 0, 0, 160, 0xC1, 0, 0, 1];

    #[test]
    fn the_fields_are_read() {
        let header = Header::read(&FIRST, 172).expect("RTP");
        assert_eq!(header, Header { marker: true, payload_type: 8, sequence: 1000, timestamp: 160, ssrc: 0xC100_0001 });
    }

    #[test]
    fn other_versions_and_types_of_rtcp_are_no_rtp() {
        for (place, byte) in [(0, 0x40), (0, 0xC0), (1, 72), (1, 200), (1, 204)] {
            let mut first = FIRST;
            first[place] = byte;
            assert_eq!(Header::read(&first, 172), None, "{byte:#x}");
        }
    }

    #[test]
    fn the_length_has_to_cover_sources_extension_and_padding() {
        for (flags, least) in [(0x80, 12), (0x82, 20), (0x90, 16), (0xA0, 13), (0xBF, 77)] {
            let mut first = FIRST;
            first[0] = flags;
            assert!(Header::read(&first, least).is_some() && Header::read(&first, least - 1).is_none(), "{flags:#x}");
        }
    }

    #[test]
    fn rtcp_is_told_by_its_second_byte() {
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x81, 207, 0]));
        assert!(!is_rtcp(&[0x80, 0x80]) && !is_rtcp(&[0x00, 200]) && !is_rtcp(&[0x80]));
    }
}
