//! Load: the same call again and again, begun at an even rate, so that at any time some begin, some go on and some
//! end. The time is that of the load; making the next message allocates nothing.

use std::net::SocketAddr;
use std::time::Duration;

use crate::play;

/// A call that is repeated.
pub struct Traffic {
    messages: Vec<Message>,
    calls_per_second: u64,
    calls: u64,
}

/// A message of the call.
struct Message {
    bytes: Vec<u8>,
    /// Where the number of the call stands.
    places: Vec<usize>,
    source: SocketAddr,
    destination: SocketAddr,
    /// Calls that begin between the call's first message and this one.
    delay: u64,
}

impl Traffic {
    /// Calls as in `ladder`, in which `@` stands for the number of the call, so many a second.
    ///
    /// # Panics
    /// Where [`play`] does.
    #[track_caller]
    pub fn new(ladder: &str, calls_per_second: u64) -> Self {
        let message = |step: crate::Step| {
            let starts = 0..step.bytes.len().saturating_sub(NUMBER.len());
            let places = starts.filter(|start| step.bytes[*start..].starts_with(NUMBER.as_bytes())).collect();
            let delay = step.at.as_nanos() as u64 * calls_per_second / 1_000_000_000;
            Message { bytes: step.bytes, places, source: step.source, destination: step.destination, delay }
        };
        let messages = play(&ladder.replace('@', NUMBER)).into_iter().map(message).collect();
        Self { messages, calls_per_second, calls: 0 }
    }

    /// Messages of a call.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// How long the load has lasted.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.calls * 1_000_000_000 / self.calls_per_second)
    }

    /// One more call begins, and others go on: what is sent until the next, with its sender and recipient.
    pub fn next_call(&mut self, mut take: impl FnMut(&[u8], SocketAddr, SocketAddr)) {
        for message in &mut self.messages {
            let Some(call) = self.calls.checked_sub(message.delay) else { continue };
            let mut digits = *b"n00000000n";
            let mut rest = call;
            for digit in digits[1..9].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
            for place in &message.places {
                message.bytes[*place..][..digits.len()].copy_from_slice(&digits);
            }
            take(&message.bytes, message.source, message.destination);
        }
        self.calls += 1;
    }
}

/// What is put in place of the number, and found again: no header field has it otherwise.
const NUMBER: &str = "n99999999n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_begin_at_an_even_rate_and_go_on_beside_each_other() {
        let mut traffic = Traffic::new("0 alice -> bob INVITE call=@\n 2 alice <- bob 486 call=@", 1);
        let mut seen = Vec::new();
        for _ in 0..3 {
            traffic.next_call(|bytes, source, _| {
                let text = String::from_utf8_lossy(bytes);
                let number = text.split("Call-ID: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
                seen.push((number.to_owned(), text.starts_with("SIP/2.0 486"), source.port()));
            });
        }
        let seen: Vec<_> = seen.iter().map(|(number, is_final, _)| (number.as_str(), *is_final)).collect();
        assert_eq!(seen, [("n00000000n", false), ("n00000001n", false), ("n00000002n", false), ("n00000000n", true)]);
        assert_eq!(traffic.now(), Duration::from_secs(3));
    }
}
