//! Capture duplicates: the same payload between the same addresses within a short window (`sip-metrics.md` 2.2 rule 1).
//!
//! A host that bridges, mirrors or tags sees a datagram several times. Datagrams in, "seen before" out. The table is as
//! large as the window has asked for so far, for each datagram asks it in another place: what is in the
//! cache answers at once. It is bounded: where the window holds more than its place, the oldest is overwritten and a copy
//! may be kept that should not be.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use foldhash::quality::RandomState;
use wire::{Datagram, Timestamp};

/// 32,768 datagrams: what a window of 20 ms holds at a million packets a second and a half more.
const MAX_SETS: usize = 8192;

/// 256 datagrams: what a window of 20 ms holds at a few thousand packets a second.
const MIN_SETS: usize = 64;

/// As many as a cache line holds.
const WAYS: usize = 4;

/// Remembers the datagrams of the last moments.
#[derive(Debug)]
pub(super) struct DuplicateFilter {
    window: Duration,
    /// Keyed, so that nobody can make a datagram that hides another. 64 bits: at a million datagrams a second, all
    /// different, one in thirty years is taken for a copy.
    hash: RandomState,
    /// Empty while the window is zero.
    seen: Vec<Set>,
    overwritten: u64,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Set([Seen; WAYS]);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    hash: u64,
    /// Time of the first copy.
    first: Timestamp,
}

impl Set {
    /// The way of the oldest, and its time.
    fn oldest(&self) -> (usize, Timestamp) {
        let Self(set) = self;
        let way = (0..WAYS).min_by_key(|&way| set[way].first).unwrap_or_default();
        (way, set[way].first)
    }
}

impl Seen {
    /// A copy would still be one.
    fn is_within(&self, window: Duration, now: Timestamp) -> bool {
        self.first != Timestamp::ZERO && now.since(self.first) <= window
    }
}

impl DuplicateFilter {
    /// A window of zero keeps every copy.
    pub fn new(window: Duration) -> Self {
        let mut filter = Self { window, hash: RandomState::default(), seen: Vec::new(), overwritten: 0 };
        filter.set_window(window);
        filter
    }

    pub fn set_window(&mut self, window: Duration) {
        self.window = window;
        if window.is_zero() {
            self.seen = Vec::new();
        } else if self.seen.is_empty() {
            self.seen = vec![Set::default(); MIN_SETS];
        }
    }

    /// Entries overwritten within the window.
    pub const fn overwritten(&self) -> u64 {
        self.overwritten
    }

    /// Whether `datagram` was seen within the window before `now`; if not, it counts as the first copy.
    pub fn is_repeat(&mut self, now: Timestamp, datagram: &Datagram<'_>) -> bool {
        if self.seen.is_empty() {
            return false;
        }
        let hash = self.hash(datagram);
        let window = self.window;
        for set in self.sets_of(hash) {
            let Set(set) = &mut self.seen[set];
            if let Some(seen) = set.iter_mut().find(|seen| seen.hash == hash) {
                let repeats = now.since(seen.first) <= window;
                if !repeats {
                    seen.first = now;
                }
                return repeats;
            }
        }
        while !self.put(Seen { hash, first: now }, now, self.seen.len() == MAX_SETS) {
            self.grow(now);
        }
        false
    }

    /// Makes the table twice as large.
    fn grow(&mut self, now: Timestamp) {
        let (sets, window) = (self.seen.len() * 2, self.window);
        let before = std::mem::replace(&mut self.seen, vec![Set::default(); sets]);
        for seen in before.iter().flat_map(|Set(set)| set).filter(|seen| seen.is_within(window, now)) {
            self.put(*seen, now, true);
        }
    }

    /// Puts a datagram in place of the oldest there; where that is within the window only if it `must`, which is counted.
    fn put(&mut self, seen: Seen, now: Timestamp, must: bool) -> bool {
        let window = self.window;
        let oldest = self.oldest(seen.hash);
        let taken = oldest.is_within(window, now);
        if !taken || must {
            *oldest = seen;
            self.overwritten += u64::from(taken);
        }
        !taken || must
    }

    /// The two sets a hash may be in; there is a table. With one alone some would be full when hardly any is in use.
    fn sets_of(&self, hash: u64) -> [usize; 2] {
        let last = self.seen.len() - 1;
        let one = hash as usize & last;
        [one, one ^ ((hash >> 32) as usize & last | 1)]
    }

    /// What gives way to a hash.
    fn oldest(&mut self, hash: u64) -> &mut Seen {
        let [one, other] = self.sets_of(hash);
        let first = |set: usize| self.seen[set].oldest();
        let (set, way) = if first(one).1 <= first(other).1 { (one, first(one).0) } else { (other, first(other).0) };
        let Set(set) = &mut self.seen[set];
        &mut set[way]
    }

    fn hash(&self, datagram: &Datagram<'_>) -> u64 {
        let mut hasher = self.hash.build_hasher();
        for end in [datagram.source, datagram.destination] {
            match end.ip() {
                IpAddr::V4(address) => hasher.write_u64(u64::from(address.to_bits()) << 16 | u64::from(end.port())),
                IpAddr::V6(address) => {
                    hasher.write_u128(address.to_bits());
                    hasher.write_u16(end.port());
                }
            }
        }
        hasher.write(datagram.payload);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(payload: &[u8]) -> Datagram<'_> {
        Datagram {
            source: "192.0.2.1:5060".parse().expect("an address"),
            destination: "192.0.2.2:5060".parse().expect("an address"),
            payload,
            first: Timestamp::ZERO,
            truncated: false,
        }
    }

    fn at(micros: u64) -> Timestamp {
        Timestamp::from_nanos(1_767_225_600_000_000_000 + micros * 1000)
    }

    fn filter() -> DuplicateFilter {
        DuplicateFilter::new(Duration::from_millis(20))
    }

    #[test]
    fn the_window_is_measured_from_the_first_copy() {
        let mut filter = filter();
        let seen =
            [0, 15_000, 20_000, 20_001, 40_000, 40_002].map(|micros| filter.is_repeat(at(micros), &datagram(b"x")));
        assert_eq!(seen, [false, true, true, false, true, false]);
    }

    #[test]
    fn another_payload_address_or_port_is_another_datagram() {
        let mut filter = filter();
        assert!(!filter.is_repeat(at(0), &datagram(b"x")));
        assert!(!filter.is_repeat(at(0), &datagram(b"y")));
        let to = |text: &str| Datagram { destination: text.parse().expect("an address"), ..datagram(b"x") };
        for address in ["192.0.2.3:5060", "192.0.2.2:5061", "[::ffff:192.0.2.2]:5060", "[2001:db8::1]:5060"] {
            assert!(!filter.is_repeat(at(0), &to(address)), "{address}");
            assert!(filter.is_repeat(at(1), &to(address)), "{address}");
        }
        let back =
            Datagram { source: datagram(b"x").destination, destination: datagram(b"x").source, ..datagram(b"x") };
        assert!(filter.is_repeat(at(1), &datagram(b"x")));
        // Same addresses and ports the other way round.
        assert!(!filter.is_repeat(at(1), &back));
    }

    #[test]
    fn a_window_of_zero_keeps_every_copy() {
        let mut filter = DuplicateFilter::new(Duration::ZERO);
        assert!(!filter.is_repeat(at(0), &datagram(b"x")) && !filter.is_repeat(at(0), &datagram(b"x")));
        filter.set_window(Duration::from_millis(1));
        assert!(!filter.is_repeat(at(0), &datagram(b"x")) && filter.is_repeat(at(0), &datagram(b"x")));
        filter.set_window(Duration::ZERO);
        assert!(!filter.is_repeat(at(0), &datagram(b"x")));
    }

    #[test]
    fn the_table_is_no_larger_than_the_window_asks_for() {
        let mut filter = filter();
        for number in 0..100_000_u64 {
            assert!(!filter.is_repeat(at(number * 1_000), &datagram(&number.to_be_bytes())));
        }
        assert!(filter.seen.len() <= 2 * MIN_SETS && filter.overwritten() == 0, "{} sets", filter.seen.len());
        // Ten times as many: nothing that was seen is lost as it grows.
        for number in 0..100_000_u64 {
            let [now, earlier] = [number, number.saturating_sub(100)];
            assert!(!filter.is_repeat(at(100_000_000 + now * 100), &datagram(&(1 << 32 | now).to_be_bytes())));
            assert!(filter.is_repeat(at(100_000_000 + now * 100), &datagram(&(1 << 32 | earlier).to_be_bytes())));
        }
        assert!(filter.seen.len() <= 16 * MIN_SETS && filter.overwritten() == 0, "{} sets", filter.seen.len());
    }

    #[test]
    fn a_flood_of_a_million_a_second_takes_no_more_memory_and_still_finds_copies() {
        let mut filter = filter();
        for micros in 0..200_000_u64 {
            let payload = micros.to_be_bytes();
            assert!(!filter.is_repeat(at(micros), &datagram(&payload)));
            assert!(filter.is_repeat(at(micros), &datagram(&payload)));
        }
        assert_eq!(filter.seen.len(), MAX_SETS);
        assert!(filter.overwritten() > 0);
    }
}
