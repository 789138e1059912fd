//! Messages that could not be read, for people: the way from a counter to what it counted.
//!
//! So many of the newest, and of each its first line: whoever counts thousands needs to see a few.

use std::collections::VecDeque;
use std::net::SocketAddr;

use sip::ParseError;
use wire::Timestamp;

use crate::frame::{SipFrame, Transport};

/// A message that was counted in `parse_errors_total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When its last packet came, on the clock people see.
    pub at: Timestamp,
    /// Sender.
    pub source: SocketAddr,
    /// Recipient.
    pub destination: SocketAddr,
    /// How it travelled.
    pub transport: Transport,
    /// Why it cannot be used.
    pub reason: ParseError,
    /// Its first line without line end, cut at [`MAX_LINE`]: bytes of the wire, never logged. Empty where it may not be shown.
    pub line: Box<[u8]>,
}

impl Refused {
    /// The message of a frame; or what stands in a frame's place, with its addresses and times.
    pub fn new(message: &[u8], frame: &SipFrame, reason: ParseError) -> Self {
        let start = message.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(message.len());
        let line = message[start..].split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        Self {
            at: Timestamp::from_nanos(frame.at.as_nanos().saturating_add_signed(frame.wall_offset)),
            source: frame.source,
            destination: frame.destination,
            transport: frame.transport,
            reason,
            line: line[..line.len().min(MAX_LINE)].into(),
        }
    }
}

/// The newest messages that could not be read, in order.
#[derive(Clone, Debug, Default)]
pub struct Newest(VecDeque<Refused>);

impl Newest {
    /// Takes one; the oldest of too many goes.
    pub fn push(&mut self, refused: Refused) {
        if self.0.len() == MAX_REFUSED {
            self.0.pop_front();
        }
        self.0.push_back(refused);
    }

    /// Each, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Refused> {
        self.0.iter()
    }

    /// None is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets all go.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Most messages kept.
pub const MAX_REFUSED: usize = 20;
/// Most bytes kept of a first line.
pub const MAX_LINE: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_with_their_first_line() {
        let address = SocketAddr::from(([192, 0, 2, 1], 5060));
        let frame = SipFrame { wall_offset: 5, ..SipFrame::datagram(address, address, Timestamp::from_nanos(10)) };
        let mut newest = Newest::default();
        for number in 0..25 {
            let message = format!("\r\nHELLO {number} {}\r\nVia: x\r\n", "x".repeat(200));
            newest.push(Refused::new(message.as_bytes(), &frame, ParseError::StartLine));
        }
        let kept: Vec<&Refused> = newest.iter().collect();
        assert_eq!(kept.len(), MAX_REFUSED);
        assert!(kept[0].line.starts_with(b"HELLO 5 x") && kept[19].line.starts_with(b"HELLO 24 x"));
        assert_eq!((kept[0].line.len(), kept[0].at.as_nanos()), (MAX_LINE, 15));
    }
}
