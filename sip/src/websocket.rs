//! Framing in a WebSocket: the unread bytes of one direction in, where the next message ends out (RFC 6455 §5,
//! RFC 7118 §5, `sip-metrics.md` 1.7).
//!
//! A direction begins with a head of HTTP: the client asks for subprotocol `sip`, the server grants it. Each direction
//! is judged by its own bytes, so that one is understood without the other. Keeps positions, never bytes: a length is
//! believed only as far as bytes have come. A connection may be entered, and after a loss entered again, where a frame
//! begins that holds the beginning of a message.

mod frame;
mod upgrade;

use crate::limits::MAX_MESSAGE;
use crate::stream::{begins_message, header_len};
use frame::{Header, Kind, Malformed};
use upgrade::Sender;

/// Most bytes that the frames of one message take, control frames between them included.
const MAX_FRAMES: usize = 2 * MAX_MESSAGE;

/// So many bytes of a message tell what it is: the longest known method and its space, or the version.
const BEGINNING: usize = 16;

/// Finds messages in one direction of a WebSocket connection. A new one stands before the head of HTTP.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebSocket {
    state: State,
    /// Whose direction it is, once known: clients mask their frames, servers do not.
    sender: Option<Sender>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the head of HTTP; it does not end within the first `scanned` bytes.
    Head {
        scanned: usize,
    },
    Frames(Frames),
    /// So many more bytes are of no use; then a frame begins.
    Skip {
        left: u64,
        then: Place,
    },
    /// Anywhere.
    Lost,
}

/// At the frames of one message, or between messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frames {
    place: Place,
    /// Bytes of the frames that were looked at and belong to the message, headers and control frames included.
    scanned: usize,
    /// Bytes of payload among them.
    payload: usize,
    /// How many bytes ahead the frame ends that has begun, and what a frame behind it finds.
    end: Option<(u64, Place)>,
}

/// Where in the sequence of frames a frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Between,
    /// Frames of a message may follow whose beginning was given up.
    Orphaned,
    Message {
        compressed: bool,
    },
}

impl Default for State {
    fn default() -> Self {
        Self::Head { scanned: 0 }
    }
}

impl Frames {
    const fn at(place: Place) -> Self {
        Self { place, scanned: 0, payload: 0, end: None }
    }
}

/// What stands in front of the unread bytes. A length says how many of them are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebSocketStep {
    /// Nothing whole: more bytes are needed.
    More,
    /// The frames of one message; [`copy_message`] takes it out of them.
    Message(usize),
    /// The frames of one message that was compressed (permessage-deflate, RFC 7692) and cannot be read.
    Compressed(usize),
    /// A ping. Within a message no byte is done with yet.
    Ping(usize),
    /// The direction ends.
    Close(usize),
    /// Nothing to be counted: a head of HTTP, a pong, what was passed over.
    Skipped(usize),
    /// A message longer than 65,535 bytes, or in frames of more than twice that: it is passed over.
    TooLarge(usize),
    /// No frame where one should begin; the message it stands in is given up. From here on a frame that holds the
    /// beginning of a message is looked for.
    Malformed(usize),
    /// The stream begins with something else than an upgrade to SIP; nothing here is of use.
    NoUpgrade,
}

impl WebSocket {
    /// A connection of which the beginning was not seen, at a segment that begins with a head of HTTP or with a frame
    /// that holds the beginning of a message.
    pub fn entered(payload: &[u8]) -> Option<Self> {
        if upgrade::begins(payload) {
            return Some(Self::default());
        }
        match entrance(payload, None) {
            Entrance::Open(sender) => {
                Some(Self { state: State::Frames(Frames::at(Place::Between)), sender: Some(sender) })
            }
            Entrance::Unclear | Entrance::None => None,
        }
    }

    /// Bytes were lost: `missing` of them, counted from the first unread one, if that is known. Within one frame its
    /// end is still known; otherwise the next message is looked for.
    pub fn lose(&mut self, missing: Option<u64>) {
        let end = match self.state {
            State::Frames(frames) => frames.end,
            State::Skip { left, then } => Some((left, then)),
            State::Head { .. } | State::Lost => None,
        };
        self.state = match (missing, end) {
            (Some(missing), Some((end, then))) if missing <= end => State::Skip { left: end - missing, then },
            _ => State::Lost,
        };
    }

    /// Looks at `unread`: all bytes not done with yet, perhaps more than last time.
    pub fn step(&mut self, unread: &[u8]) -> WebSocketStep {
        loop {
            let step = match self.state {
                State::Head { scanned } => Some(self.head(unread, scanned)),
                State::Frames(frames) => self.frame(unread, frames),
                State::Skip { left: 0, then } => {
                    self.state = State::Frames(Frames::at(then));
                    None
                }
                State::Skip { .. } if unread.is_empty() => Some(WebSocketStep::More),
                State::Skip { left, then } => {
                    let skipped = left.min(unread.len() as u64);
                    self.state = State::Skip { left: left - skipped, then };
                    Some(WebSocketStep::Skipped(skipped as usize))
                }
                State::Lost => self.search(unread),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn head(&mut self, unread: &[u8], scanned: usize) -> WebSocketStep {
        let Some(head) = header_len(unread, scanned) else {
            if !upgrade::may_begin(unread) || unread.len() > upgrade::MAX_HEAD {
                return WebSocketStep::NoUpgrade;
            }
            self.state = State::Head { scanned: unread.len() };
            return WebSocketStep::More;
        };
        if head > upgrade::MAX_HEAD || !upgrade::begins(unread) {
            return WebSocketStep::NoUpgrade;
        }
        let Some(sender) = upgrade::read(&unread[..head]) else { return WebSocketStep::NoUpgrade };
        self.sender = Some(sender);
        self.state = State::Frames(Frames::at(Place::Between));
        WebSocketStep::Skipped(head)
    }

    /// Looks at the frame behind those that were looked at.
    fn frame(&mut self, unread: &[u8], frames: Frames) -> Option<WebSocketStep> {
        let Frames { place, scanned, payload, .. } = frames;
        let bytes = &unread[scanned..];
        if place == Place::Between && upgrade::may_begin(bytes) {
            // No frame begins so: the server did not grant the upgrade, and the client asks again.
            if !upgrade::begins(bytes) {
                return Some(WebSocketStep::More);
            }
            self.state = State::default();
            return None;
        }
        let header = match Header::read(bytes) {
            Ok(Some(header)) if self.sender.is_none_or(|sender| sender == sender_of(&header)) => header,
            Ok(None) => {
                self.state = State::Frames(Frames { end: None, ..frames });
                return Some(WebSocketStep::More);
            }
            Ok(Some(_)) | Err(Malformed) => return Some(self.malformed(scanned)),
        };
        self.sender = Some(sender_of(&header));
        let of_message = match (header.kind, place) {
            (Kind::First { compressed }, Place::Between | Place::Orphaned) => Some(Place::Message { compressed }),
            (Kind::Continuation, Place::Message { .. }) => Some(place),
            (Kind::Continuation, Place::Orphaned) => {
                self.state = State::Skip { left: header.size as u64 + header.len, then: behind(&header, place) };
                return None;
            }
            (Kind::First { .. }, Place::Message { .. }) | (Kind::Continuation, Place::Between) => {
                return Some(self.malformed(scanned));
            }
            (Kind::Close | Kind::Ping | Kind::Pong, _) => None,
        };
        // No overflow: a length is below 2^63.
        let end = (scanned + header.size) as u64 + header.len;
        let limit_met = of_message.is_some() && payload as u64 + header.len > MAX_MESSAGE as u64;
        if limit_met || end > MAX_FRAMES as u64 {
            self.state = State::Skip { left: end - scanned as u64, then: behind(&header, place) };
            return Some(WebSocketStep::TooLarge(scanned));
        }
        if (unread.len() as u64) < end {
            self.state = State::Frames(Frames { end: Some((end, behind(&header, place))), ..frames });
            return Some(WebSocketStep::More);
        }
        let end = end as usize;
        let Some(message) = of_message else { return self.control(header.kind, frames, end) };
        if !header.last {
            let payload = payload + header.len as usize;
            self.state = State::Frames(Frames { place: message, scanned: end, payload, end: None });
            return None;
        }
        self.state = State::Frames(Frames::at(Place::Between));
        Some(match message {
            Place::Message { compressed: true } => WebSocketStep::Compressed(end),
            _ => WebSocketStep::Message(end),
        })
    }

    /// After a whole control frame, which ends at `end`. Within a message it waits with its frames.
    fn control(&mut self, kind: Kind, frames: Frames, end: usize) -> Option<WebSocketStep> {
        let in_message = matches!(frames.place, Place::Message { .. });
        let (scanned, done) = if in_message { (end, 0) } else { (0, end) };
        self.state = State::Frames(Frames { scanned, end: None, ..frames });
        match kind {
            Kind::Close => Some(WebSocketStep::Close(end)),
            Kind::Ping => Some(WebSocketStep::Ping(done)),
            _ if in_message => None,
            _ => Some(WebSocketStep::Skipped(done)),
        }
    }

    /// After `scanned` bytes of frames that are in order.
    fn malformed(&mut self, scanned: usize) -> WebSocketStep {
        self.state = State::Lost;
        WebSocketStep::Malformed(scanned)
    }

    /// Looks for a frame that holds the beginning of a message.
    fn search(&mut self, unread: &[u8]) -> Option<WebSocketStep> {
        for at in 0..unread.len() {
            match entrance(&unread[at..], self.sender) {
                Entrance::None => continue,
                Entrance::Unclear => {}
                Entrance::Open(sender) => {
                    self.sender = Some(sender);
                    self.state = State::Frames(Frames::at(Place::Between));
                }
            }
            return match (self.state, at) {
                (State::Lost, 0) => Some(WebSocketStep::More),
                (_, 0) => None,
                _ => Some(WebSocketStep::Skipped(at)),
            };
        }
        Some(if unread.is_empty() { WebSocketStep::More } else { WebSocketStep::Skipped(unread.len()) })
    }
}

/// Appends the message whose frames [`WebSocketStep::Message`] has told, without masks.
pub fn copy_message(frames: &[u8], message: &mut Vec<u8>) {
    let mut rest = frames;
    while let Ok(Some(header)) = Header::read(rest) {
        let end = header.size + usize::try_from(header.len).expect("a message's frames are in memory");
        if matches!(header.kind, Kind::First { .. } | Kind::Continuation) {
            let start = message.len();
            message.extend_from_slice(&rest[header.size..end]);
            if let Some(mask) = header.mask {
                frame::unmask(&mut message[start..], mask);
            }
        }
        rest = &rest[end..];
    }
}

/// What a frame finds behind one that is passed over.
fn behind(header: &Header, place: Place) -> Place {
    match (header.kind, place) {
        (Kind::First { .. } | Kind::Continuation, _) if header.last => Place::Between,
        (Kind::First { .. } | Kind::Continuation, _) | (_, Place::Orphaned | Place::Message { .. }) => Place::Orphaned,
        (_, Place::Between) => Place::Between,
    }
}

fn sender_of(header: &Header) -> Sender {
    if header.mask.is_some() { Sender::Client } else { Sender::Server }
}

/// Whether a stream can be entered at a place.
enum Entrance {
    None,
    /// More bytes are needed to tell.
    Unclear,
    Open(Sender),
}

/// Whether a frame begins here that holds the beginning of a message; a rule for the sender of it when he is known.
fn entrance(bytes: &[u8], sender: Option<Sender>) -> Entrance {
    let header = match Header::read(bytes) {
        Ok(Some(header)) => header,
        Ok(None) => return Entrance::Unclear,
        Err(Malformed) => return Entrance::None,
    };
    let (of_sender, len) = (sender_of(&header), header.len);
    if header.kind != (Kind::First { compressed: false })
        || sender.is_some_and(|sender| sender != of_sender)
        || !(BEGINNING as u64..=MAX_MESSAGE as u64).contains(&len)
    {
        return Entrance::None;
    }
    let Some(mut beginning) = bytes[header.size..].first_chunk::<BEGINNING>().copied() else {
        return Entrance::Unclear;
    };
    if let Some(mask) = header.mask {
        frame::unmask(&mut beginning, mask);
    }
    if begins_message(&beginning) { Entrance::Open(of_sender) } else { Entrance::None }
}

#[cfg(test)]
mod tests;
