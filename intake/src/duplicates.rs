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
    /// Nanoseconds.
    window: u64,
    /// Keyed, so that nobody can make a datagram that hides another. 64 bits: at a million datagrams a second, all
    /// different, one in thirty years is taken for a copy.
    hash: RandomState,
    /// Empty while the window is zero.
    seen: Vec<Set>,
    overwritten: u64,
}

/// The latest first, so that what gives way is the last.
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
    /// Where a hash is.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        self.0.iter().position(|seen| seen.hash == hash)
    }

    /// Puts the latest in place of the one at `way`.
    #[inline]
    fn put(&mut self, way: usize, seen: Seen) {
        self.0.copy_within(..way, 1);
        self.0[0] = seen;
    }
}

impl Seen {
    /// A copy would still be one.
    #[inline]
    fn is_within(&self, window: u64, now: Timestamp) -> bool {
        self.first != Timestamp::ZERO && now.as_nanos().saturating_sub(self.first.as_nanos()) <= window
    }
}

impl DuplicateFilter {
    /// A window of zero keeps every copy.
    pub fn new(window: Duration) -> Self {
        let mut filter = Self { window: 0, hash: RandomState::default(), seen: Vec::new(), overwritten: 0 };
        filter.set_window(window);
        filter
    }

    pub fn set_window(&mut self, window: Duration) {
        self.window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
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
        let seen = Seen { hash: self.hash(datagram), first: now };
        for set in self.sets_of(seen.hash) {
            let set = &mut self.seen[set];
            if let Some(way) = set.find(seen.hash) {
                let repeats = set.0[way].is_within(self.window, now);
                if !repeats {
                    set.put(way, seen);
                }
                return repeats;
            }
        }
        while !self.put(seen, now, self.seen.len() == MAX_SETS) {
            self.grow(now);
        }
        false
    }

    /// Makes the table twice as large, or as much larger as holds all that is within the window.
    #[cold]
    fn grow(&mut self, now: Timestamp) {
        let (mut sets, window) = (self.seen.len(), self.window);
        let before = std::mem::take(&mut self.seen);
        let mut kept: Vec<Seen> = before.into_iter().flat_map(|Set(set)| set).collect();
        kept.retain(|seen| seen.is_within(window, now));
        kept.sort_unstable_by_key(|seen| seen.first);
        loop {
            sets *= 2;
            self.seen = vec![Set::default(); sets];
            if kept.iter().all(|seen| self.put(*seen, now, sets == MAX_SETS)) {
                return;
            }
        }
    }

    /// Puts a datagram in place of the oldest there; where that is within the window only if it `must`, which is counted.
    #[inline]
    fn put(&mut self, seen: Seen, now: Timestamp, must: bool) -> bool {
        let [one, other] = self.sets_of(seen.hash).map(|set| (self.seen[set].0[WAYS - 1], set));
        let (oldest, set) = if one.0.first <= other.0.first { one } else { other };
        let taken = oldest.is_within(self.window, now);
        if !taken || must {
            self.seen[set].put(WAYS - 1, seen);
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
            missing: 0,
            identification: 0,
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
    fn growing_loses_nothing() {
        // Each has a key of its own, and so other datagrams share their places.
        for _ in 0..300 {
            let mut filter = filter();
            let payloads = || (0..2_000_u64).map(u64::to_be_bytes);
            for payload in payloads() {
                assert!(!filter.is_repeat(at(1), &datagram(&payload)));
            }
            assert_eq!(payloads().filter(|payload| !filter.is_repeat(at(1), &datagram(payload))).count(), 0);
            assert_eq!(filter.overwritten(), 0);
        }
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
