//! One WebSocket frame: its first bytes in, what they say out; its payload unmasked (RFC 6455 §5.2, §5.3).

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text or binary: a message begins. `compressed`: permessage-deflate (RFC 7692 §6).
    First {
        compressed: bool,
    },
    /// A message goes on.
    Continuation,
    Close,
    Ping,
    Pong,
}

/// What the first bytes of a frame say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    /// The message ends with this frame.
    pub last: bool,
    /// What the payload is masked with; only clients do.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the header: 2 to 14.
    pub size: usize,
    /// Bytes of payload that are announced, below 2^63; of control frames at most 125.
    pub len: u64,
}

/// No frame begins so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

const LAST: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;
const MAX_CONTROL: u64 = 125;

impl Header {
    /// `None`: more bytes are needed. A length in more bytes than it needs is read: some senders write so.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (last, compressed) = (first & LAST != 0, first & COMPRESSED != 0);
        let kind = match first & 0x0f {
            0 => Kind::Continuation,
            1 | 2 => Kind::First { compressed },
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => return Err(Malformed),
        };
        let is_control = matches!(kind, Kind::Close | Kind::Ping | Kind::Pong);
        // Only the first frame of a message tells that it is compressed.
        let may_be_compressed = matches!(kind, Kind::First { .. });
        if first & RESERVED != 0 || (compressed && !may_be_compressed) || (is_control && !last) {
            return Err(Malformed);
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let (len, mut size) = match second & !MASKED {
            126 => match bytes.get(2..4) {
                Some(len) => (u64::from(u16::from_be_bytes([len[0], len[1]])), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..).and_then(|rest| rest.first_chunk()) {
                Some(len) => (u64::from_be_bytes(*len), 10),
                None => return Ok(None),
            },
            len => (u64::from(len), 2),
        };
        if len >> 63 != 0 || (is_control && len > MAX_CONTROL) {
            return Err(Malformed);
        }
        let mut mask = None;
        if second & MASKED != 0 {
            let Some(key) = bytes.get(size..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
            (mask, size) = (Some(*key), size + key.len());
        }
        Ok(Some(Self { kind, last, mask, size, len }))
    }
}

/// Takes the mask off `payload`, or puts it on.
pub(super) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}
