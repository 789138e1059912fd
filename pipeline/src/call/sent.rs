//! Messages of a call as they were sent, where somebody asked for them, and when they were sent again.
//!
//! Bytes of the wire, without credentials: for those who may see numbers, never for logs.

use wire::Timestamp;

/// What the messages of a ladder were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Each message of the ladder in its order: start line, header fields and, where bodies are kept, its body. `None` where
    /// there was no room for it. No element at all where messages are not kept.
    pub messages: Vec<Option<Box<[u8]>>>,
    /// When messages of the ladder were sent again, in order; those beyond a bound are only counted.
    pub repeats: Vec<Repeat>,
}

/// A message was sent again on the same hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// Which: an index into the ladder.
    pub message: u16,
    /// The time of the packet that completed it, on the clock people see.
    pub at: Timestamp,
    /// What was sent, where that was not the same again and messages are kept.
    pub other: Option<Box<[u8]>>,
}

impl Sent {
    /// There is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.repeats.is_empty()
    }

    /// The message at a place of the ladder; `None` where it was not kept.
    pub fn message(&self, place: usize) -> Option<&[u8]> {
        self.messages.get(place)?.as_deref()
    }

    /// When the message at a place of the ladder was sent again.
    pub fn repeats_of(&self, place: usize) -> impl Iterator<Item = &Repeat> {
        self.repeats.iter().filter(move |repeat| usize::from(repeat.message) == place)
    }

    /// Adds what was sent of a ladder of `later` messages that follows one of `before`.
    pub fn append(&mut self, before: usize, sent: &Self, later: usize) {
        if !self.messages.is_empty() || !sent.messages.is_empty() {
            self.messages.resize(before, None);
            self.messages.extend(sent.messages.iter().cloned());
            self.messages.resize(before + later, None);
        }
        let moved =
            |repeat: &Repeat| Repeat { message: repeat.message.saturating_add(before as u16), ..repeat.clone() };
        self.repeats.extend(sent.repeats.iter().map(moved));
    }

    /// The same for a ladder whose message `n` was message `places[n]` of this one's. Messages that are not named are left out.
    pub fn rearranged(&self, places: &[usize]) -> Self {
        let messages = match self.messages.is_empty() {
            true => Vec::new(),
            false => places.iter().map(|place| self.messages.get(*place).cloned().flatten()).collect(),
        };
        let mut repeats: Vec<Repeat> = self.repeats.clone();
        repeats.retain_mut(|repeat| {
            let place = places.iter().position(|place| *place == usize::from(repeat.message));
            repeat.message = place.unwrap_or_default() as u16;
            place.is_some()
        });
        Self { messages, repeats }
    }

    /// Leaves messages out from the front until all are at most so many bytes.
    pub fn limit(&mut self, most: usize) {
        let mut beyond = self.bytes().saturating_sub(most);
        for message in &mut self.messages {
            if beyond == 0 {
                return;
            }
            beyond = beyond.saturating_sub(message.take().map_or(0, |message| message.len()));
        }
    }

    /// Bytes of messages.
    pub fn bytes(&self) -> usize {
        let repeats = self.repeats.iter().filter_map(|repeat| repeat.other.as_ref());
        self.messages.iter().flatten().chain(repeats).map(|message| message.len()).sum()
    }
}

/// Most bytes of messages kept of one call.
pub const MAX_SENT: usize = 64 << 10;
/// Most bytes of messages kept of all calls that are up, and of all that are shown after their end.
pub const MAX_SENT_IN_ALL: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(messages: &[Option<&str>], repeats: &[u16]) -> Sent {
        let repeat = |message: &u16| Repeat { message: *message, at: Timestamp::ZERO, other: None };
        Sent {
            messages: messages.iter().map(|message| message.map(|text| text.as_bytes().into())).collect(),
            repeats: repeats.iter().map(repeat).collect(),
        }
    }

    #[test]
    fn ladders_that_follow_each_other_keep_their_messages_and_repeats() {
        let mut first = sent(&[Some("a"), None], &[1]);
        first.append(2, &sent(&[Some("b")], &[0]), 1);
        assert_eq!(first, sent(&[Some("a"), None, Some("b")], &[1, 2]));
        let mut none = Sent::default();
        none.append(2, &sent(&[], &[0]), 1);
        assert_eq!(none, sent(&[], &[2]));
        none.append(3, &sent(&[Some("c")], &[]), 1);
        assert_eq!(none, sent(&[None, None, None, Some("c")], &[2]));
    }

    #[test]
    fn another_order_takes_messages_and_repeats_along() {
        let mut before = sent(&[Some("a"), Some("b"), Some("c")], &[0, 2]);
        before.limit(3);
        assert_eq!(before.rearranged(&[2, 1]), sent(&[Some("c"), Some("b")], &[0]));
        before.limit(1);
        assert_eq!(before, sent(&[None, None, Some("c")], &[0, 2]));
    }
}
