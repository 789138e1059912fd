//! The two formats of capture files, number by number and in either byte order: classic pcap and pcapng
//! (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng). Values in, bytes out; nothing is checked, so that tests can write
//! what no program would.

/// Magic number of a classic file whose fractions of a second are microseconds.
pub const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// Magic number of a classic file whose fractions of a second are nanoseconds.
pub const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// Numbers in the byte order of a file.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The most significant byte comes first.
    pub big: bool,
}

impl Order {
    /// Little endian, then big endian.
    pub const BOTH: [Self; 2] = [Self { big: false }, Self { big: true }];
    /// As nearly all machines write.
    pub const LITTLE: Self = Self { big: false };

    /// The bytes of a number.
    pub fn u16(self, number: u16) -> [u8; 2] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// The bytes of a number.
    pub fn u32(self, number: u32) -> [u8; 4] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// The bytes of a number.
    pub fn i64(self, number: i64) -> [u8; 8] {
        if self.big { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// The header of a classic file.
    pub fn pcap(self, magic: u32, link_type: u32) -> Vec<u8> {
        let numbers = [magic, 0, 0, 262_144, link_type].map(|number| self.u32(number)).concat();
        [&numbers[..4], &self.u16(2), &self.u16(4), &numbers[4..]].concat()
    }

    /// A packet of a classic file.
    pub fn record(self, seconds: u64, fraction: u32, bytes: &[u8]) -> Vec<u8> {
        self.cut_record(seconds, fraction, bytes, bytes.len())
    }

    /// A packet of a classic file that had `original_len` bytes on the wire.
    ///
    /// # Panics
    /// When the time is after 2106 or a length exceeds 32 bits.
    pub fn cut_record(self, seconds: u64, fraction: u32, bytes: &[u8], original_len: usize) -> Vec<u8> {
        let len = |len: usize| u32::try_from(len).expect("short");
        let seconds = u32::try_from(seconds).expect("before 2106");
        let numbers = [seconds, fraction, len(bytes.len()), len(original_len)];
        [&numbers.map(|number| self.u32(number)).concat(), bytes].concat()
    }

    /// A block of a pcapng file.
    ///
    /// # Panics
    /// When it exceeds 32 bits, as all that write blocks do.
    pub fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = body.len().next_multiple_of(4) - body.len();
        let total = self.u32(u32::try_from(body.len() + padding + 12).expect("short"));
        [&self.u32(kind)[..], &total, body, &vec![0; padding], &total].concat()
    }

    /// The header of a section of unknown length.
    pub fn section(self) -> Vec<u8> {
        self.section_of(-1)
    }

    /// The header of a section whose blocks are of `len` bytes together.
    pub fn section_of(self, len: i64) -> Vec<u8> {
        let body = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &self.i64(len)].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// The description of an interface; `options` are code and value.
    pub fn interface(self, link_type: u16, snap_len: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = [&self.u16(link_type)[..], &[0, 0], &self.u32(snap_len)].concat();
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(u16::try_from(value.len()).expect("short")));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(1, &body)
    }

    /// An enhanced packet with a comment behind it; `units` is its time in the unit of its interface.
    pub fn enhanced(self, interface: u32, units: u64, bytes: &[u8]) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).expect("short");
        let numbers = [interface, (units >> 32) as u32, units as u32, len, len].map(|number| self.u32(number)).concat();
        let padding = vec![0; bytes.len().next_multiple_of(4) - bytes.len()];
        let comment = [&self.u16(1)[..], &self.u16(5), b"hello\0\0\0", &[0; 4]].concat();
        self.block(6, &[&numbers[..], bytes, &padding, &comment].concat())
    }

    /// A simple packet: no time, no interface.
    pub fn simple(self, bytes: &[u8]) -> Vec<u8> {
        self.block(3, &[&self.u32(u32::try_from(bytes.len()).expect("short"))[..], bytes].concat())
    }
}
