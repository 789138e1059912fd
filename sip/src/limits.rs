//! Bounds of a message (`sip-metrics.md` 1.8): beyond them it is [`TooLarge`](crate::ParseError::TooLarge).

/// Longest message in a datagram or in a WebSocket, bytes.
pub const MAX_MESSAGE: usize = 65_535;
/// Longest message on a stream, bytes.
pub const MAX_STREAM_MESSAGE: usize = 262_144;
/// Most header fields of a message.
pub const MAX_FIELDS: usize = 256;
/// Most Vias of a message.
pub const MAX_VIAS: u16 = 70;
