//! Where media may go: sets of ports and of addresses that a filter in the kernel looks in before all else.
//!
//! Each has 65,536 bits, 8 KiB: one of destination ports, one of destination addresses folded to 16 bits. Both are true of
//! every endpoint that is put in; of others they may be true too, and whoever reads looks closer. A filter's own memory is
//! written to directly, without a system call, once a receiver has handed it over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Address;

/// Words of 64 bits in each set; bit `n` is bit `n % 64` of word `n / 64`.
pub const WORDS: usize = 65_536 / 64;

/// Memory that a filter looks in, mapped into this process. Several sets may have it at once; who dies leaves it as it is.
pub trait MediaFilter: Send {
    /// The set of ports.
    fn ports(&self) -> &[AtomicU64; WORDS];
    /// The set of addresses, by [`address_bit`].
    fn addresses(&self) -> &[AtomicU64; WORDS];
}

/// The bit of an address: its four 32-bit words (of IPv4 the address alone), in network byte order, joined by exclusive
/// or and multiplied by 0x9E3779B1; the upper half of that.
pub fn address_bit(address: &Address) -> u16 {
    let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| address.ip[at + byte]));
    let folded = match address.ip {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, ..] => word(12),
        _ => word(0) ^ word(4) ^ word(8) ^ word(12),
    };
    (folded.wrapping_mul(0x9E37_79B1) >> 16) as u16
}

/// The sets, and how many endpoints stand behind each bit. Shared by the processors that know endpoints and the receivers
/// that have a filter.
#[derive(Default)]
pub struct MediaPorts(Mutex<Sets>);

#[derive(Default)]
struct Sets {
    ports: Counted,
    addresses: Counted,
    filters: Vec<Box<dyn MediaFilter>>,
}

/// A set that knows how often each bit was put in.
struct Counted(Box<[u32]>);

impl Default for Counted {
    fn default() -> Self {
        Self(vec![0; WORDS * 64].into())
    }
}

impl Counted {
    fn add(&mut self, bit: u16) -> bool {
        let count = &mut self.0[usize::from(bit)];
        *count += 1;
        *count == 1
    }

    fn remove(&mut self, bit: u16) -> bool {
        let count = &mut self.0[usize::from(bit)];
        debug_assert!(*count > 0, "more was taken out than put in");
        *count = count.saturating_sub(1);
        *count == 0
    }
}

impl MediaPorts {
    /// Media may go there from now on.
    pub fn put(&self, address: &Address) {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (port, bit) = (address.port, address_bit(address));
        if sets.ports.add(port) {
            sets.filters.iter().for_each(|filter| set(filter.ports(), port, true));
        }
        if sets.addresses.add(bit) {
            sets.filters.iter().for_each(|filter| set(filter.addresses(), bit, true));
        }
    }

    /// One that was put in is gone.
    pub fn take(&self, address: &Address) {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (port, bit) = (address.port, address_bit(address));
        if sets.ports.remove(port) {
            sets.filters.iter().for_each(|filter| set(filter.ports(), port, false));
        }
        if sets.addresses.remove(bit) {
            sets.filters.iter().for_each(|filter| set(filter.addresses(), bit, false));
        }
    }

    /// Media may go to every even port above 1023 of every address from now on; `false` takes that back, once for each time
    /// it was said.
    pub fn open(&self, wanted: bool) {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Sets { ports, addresses, filters } = &mut *sets;
        let change = |set: &mut Counted, bit| if wanted { set.add(bit) } else { set.remove(bit) };
        for bit in (1024..=u16::MAX).step_by(2) {
            if change(ports, bit) {
                filters.iter().for_each(|filter| self::set(filter.ports(), bit, wanted));
            }
        }
        for bit in 0..=u16::MAX {
            if change(addresses, bit) {
                filters.iter().for_each(|filter| self::set(filter.addresses(), bit, wanted));
            }
        }
    }

    /// From now on a filter is kept up to date; what was put in before is in it when this returns.
    pub fn show_in(&self, filter: Box<dyn MediaFilter>) {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let present = |set: &Counted| (0..=u16::MAX).filter(|bit| set.0[usize::from(*bit)] > 0).collect::<Vec<u16>>();
        present(&sets.ports).into_iter().for_each(|bit| set(filter.ports(), bit, true));
        present(&sets.addresses).into_iter().for_each(|bit| set(filter.addresses(), bit, true));
        sets.filters.push(filter);
    }

    /// Whether media may go there.
    pub fn holds(&self, address: &Address) -> bool {
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sets.ports.0[usize::from(address.port)] > 0 && sets.addresses.0[usize::from(address_bit(address))] > 0
    }
}

impl std::fmt::Debug for MediaPorts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MediaPorts").finish_non_exhaustive()
    }
}

/// The kernel only reads, and one bit does not depend on another.
fn set(words: &[AtomicU64; WORDS], bit: u16, value: bool) {
    let (word, mask) = (&words[usize::from(bit) / 64], 1 << (bit % 64));
    if value {
        word.fetch_or(mask, Ordering::Relaxed);
    } else {
        word.fetch_and(!mask, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use super::*;

    type Words = [AtomicU64; WORDS];

    /// A filter whose memory the test looks at.
    struct Shown(Arc<(Words, Words)>);

    impl MediaFilter for Shown {
        fn ports(&self) -> &Words {
            &self.0.0
        }

        fn addresses(&self) -> &Words {
            &self.0.1
        }
    }

    fn shown() -> Arc<(Words, Words)> {
        let zeros = || [const { AtomicU64::new(0) }; WORDS];
        Arc::new((zeros(), zeros()))
    }

    fn address(text: &str) -> Address {
        text.parse::<SocketAddr>().expect("an address").into()
    }

    fn bits(words: &Words) -> Vec<usize> {
        let is_set = |bit: &usize| words[bit / 64].load(Ordering::Relaxed) >> (bit % 64) & 1 == 1;
        (0..65_536).filter(is_set).collect()
    }

    #[test]
    fn a_bit_stays_as_long_as_an_endpoint_stands_behind_it() {
        let (ports, memory) = (MediaPorts::default(), shown());
        let [one, two] = ["192.0.2.1:4000", "192.0.2.2:4000"].map(address);
        ports.put(&one);
        ports.show_in(Box::new(Shown(Arc::clone(&memory))));
        assert_eq!((bits(&memory.0), bits(&memory.1)), (vec![4000], vec![usize::from(address_bit(&one))]));
        ports.put(&two);
        ports.take(&one);
        assert_eq!((bits(&memory.0), bits(&memory.1)), (vec![4000], vec![usize::from(address_bit(&two))]));
        assert!(ports.holds(&two) && !ports.holds(&one) && !ports.holds(&address("192.0.2.2:4001")));
        ports.take(&two);
        assert_eq!((bits(&memory.0), bits(&memory.1)), (vec![], vec![]));
    }

    #[test]
    fn several_filters_show_the_same() {
        let (ports, memories) = (MediaPorts::default(), [shown(), shown()]);
        memories.iter().for_each(|memory| ports.show_in(Box::new(Shown(Arc::clone(memory)))));
        ports.put(&address("[2001:db8::1]:65535"));
        assert!(memories.iter().all(|memory| bits(&memory.0) == [65_535] && bits(&memory.1).len() == 1));
    }

    /// What the program in the kernel computes.
    #[test]
    fn the_bit_of_an_address_is_fixed() {
        assert_eq!(address_bit(&address("192.0.2.1:1")), (0xC000_0201_u32.wrapping_mul(0x9E37_79B1) >> 16) as u16);
        let v6 = 0x2001_0DB8_u32 ^ 1;
        assert_eq!(address_bit(&address("[2001:db8::1]:1")), (v6.wrapping_mul(0x9E37_79B1) >> 16) as u16);
    }
}
