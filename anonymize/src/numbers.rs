//! Ports and sequence numbers: what has to stay a number, of at most four digits.

use std::collections::HashMap;

use sip::Message;

use crate::keyed::Keyed;

/// Ports: those of four digits stay, others become such as nobody uses, pairs of an even and the odd one above it as pairs.
#[derive(Debug)]
pub(crate) struct Ports {
    keyed: Keyed,
    /// Messages are only noted.
    pub noting: bool,
    /// Pairs of four digits that are taken.
    used: Vec<bool>,
    /// Upper halves of ports above, and what stands for them.
    known: HashMap<u16, u16>,
}

impl Ports {
    pub fn new(keyed: Keyed) -> Self {
        let pairs = usize::from(MAX_PORT / 2) + 1;
        let used = (0..pairs).map(|pair| pair < usize::from(FIRST_PORT / 2)).collect();
        Self { keyed, noting: false, used, known: HashMap::new() }
    }

    pub fn port(&mut self, port: u16) -> u16 {
        if port <= MAX_PORT {
            if self.noting {
                self.used[usize::from(port / 2)] = true;
            }
            return port;
        }
        if self.noting {
            return MAX_PORT;
        }
        let pair = match self.known.get(&(port / 2)) {
            Some(pair) => *pair,
            None => {
                let pair = self.free(port / 2);
                self.known.insert(port / 2, pair);
                pair
            }
        };
        pair * 2 + port % 2
    }

    /// A pair that is not taken; once all are, one that is.
    fn free(&mut self, pair: u16) -> u16 {
        let number = (MAX_PORT - FIRST_PORT).div_ceil(2);
        let start = (self.keyed.number(&[b"port", &pair.to_le_bytes()]) % u64::from(number)) as u16;
        let all = (0..number).map(|step| FIRST_PORT / 2 + (start + step) % number);
        let found = all.clone().find(|pair| !self.used[usize::from(*pair)]);
        let pair = found.or_else(|| all.clone().next()).expect("there are pairs");
        self.used[usize::from(pair)] = true;
        pair
    }
}

/// Sequence numbers (CSeq, RAck): of who began high all are lowered by the same, so that their order stays.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    /// The lowest of a Call-ID and From tag.
    lowest: HashMap<Box<[u8]>, u32>,
}

impl Sequences {
    pub fn note(&mut self, message: &Message<'_>) {
        let number = message.cseq.number;
        if number > MAX_NUMBER && self.lowest.len() < MAX_SENDERS {
            let lowest = self.lowest.entry(sender(message)).or_insert(number);
            *lowest = number.min(*lowest);
        }
    }

    /// What stands for the number of a request of the sender of this one.
    pub fn number(&self, message: &Message<'_>, number: u32) -> u32 {
        if number <= MAX_NUMBER {
            return number;
        }
        let lowest = self.lowest.get(&sender(message)).copied().unwrap_or_default();
        number.checked_sub(lowest).map_or(number, |above| above + 1) % (MAX_NUMBER + 1)
    }
}

/// Call-ID and tag; no tag holds NUL.
fn sender(message: &Message<'_>) -> Box<[u8]> {
    [message.call_id, b"\0", message.from.tag].concat().into()
}

/// A number that only has to be the same where it was the same.
pub(crate) fn short(number: u32) -> u32 {
    number % (MAX_NUMBER + 1)
}

/// A number of seconds that means something: at most a week.
pub(crate) fn seconds(number: u64) -> u64 {
    number.min(7 * 24 * 3600)
}

/// The last of four digits.
const MAX_PORT: u16 = 9999;
/// Below are those of services (RFC 6335 §6).
const FIRST_PORT: u16 = 1024;
const MAX_NUMBER: u32 = 9999;
/// Most senders whose numbers are noted.
const MAX_SENDERS: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stay_pairs_and_meet_nobody() {
        let mut ports = Ports::new(Keyed::new(b"key"));
        ports.noting = true;
        (1024..5000).for_each(|port| _ = ports.port(port));
        ports.noting = false;
        let mut met = std::collections::BTreeSet::new();
        for port in (40_000..44_000).step_by(2) {
            let (even, odd) = (ports.port(port), ports.port(port + 1));
            assert!((5000..=9999).contains(&even) && odd == even + 1 && even % 2 == 0, "{even} {odd}");
            assert!(met.insert(even));
            assert_eq!(ports.port(port), even);
        }
        assert_eq!([0, 9, 5060, 9999].map(|port| ports.port(port)), [0, 9, 5060, 9999]);
    }

    #[test]
    fn more_ports_than_there_are_share() {
        let mut ports = Ports::new(Keyed::new(b"key"));
        assert!((10_000..=65_535).all(|port| (1024..=9999).contains(&ports.port(port))));
    }
}
