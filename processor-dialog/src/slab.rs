//! Places in pages: what the tables, the timers, the slots and the short lists are kept in.
//!
//! A place never moves while it is taken, the lowest free one is taken first, and pages that emptied after a peak go
//! back to the allocator. Steady traffic allocates nothing.

use crate::pages::{self, Pages};

/// Places for `T`; a free one keeps what was in it.
pub struct Slab<T> {
    pages: Pages<Box<Page<T>>, 4>,
    taken: usize,
}

struct Page<T> {
    places: [T; PAGE],
    /// A bit for each place that is taken.
    taken: [u64; WORDS],
    held: usize,
}

impl<T: Default> Page<T> {
    /// Apart from whoever takes a place: a page goes over the stack, whose room is made ready at each call.
    #[cold]
    #[inline(never)]
    fn new() -> Box<Self> {
        Box::new(Self { places: std::array::from_fn(|_| T::default()), taken: [0; WORDS], held: 0 })
    }
}

impl<T> pages::Page for Box<Page<T>> {
    fn is_empty(&self) -> bool {
        self.held == 0
    }

    fn is_full(&self) -> bool {
        self.held == PAGE
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Pages::default(), taken: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// Takes a free place, in the first page that has one, so that late pages empty first.
    pub fn take(&mut self) -> u32 {
        self.taken += 1;
        self.pages.take(Page::new, |number, page| {
            let word = page.taken.iter().position(|word| *word != u64::MAX).expect("the page has room");
            let bit = page.taken[word].trailing_ones() as usize;
            page.taken[word] |= 1 << bit;
            page.held += 1;
            (number * PAGE + word * BITS + bit) as u32
        })
    }

    /// Gives a place back that was taken. Returns whether pages went back to the allocator with it.
    pub fn give(&mut self, index: u32) -> bool {
        self.taken -= 1;
        let place = index as usize % PAGE;
        self.pages.give(index as usize / PAGE, |page| {
            page.taken[place / BITS] &= !(1 << (place % BITS));
            page.held -= 1;
        })
    }
}

impl<T> Slab<T> {
    /// Places taken.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// What is at a place, taken or not; `None` where there is no page.
    pub fn get(&self, index: u32) -> Option<&T> {
        let page = self.pages.get(index as usize / PAGE)?;
        Some(&page.places[index as usize % PAGE])
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let page = self.pages.get_mut(index as usize / PAGE)?;
        Some(&mut page.places[index as usize % PAGE])
    }

    /// Pages held.
    #[cfg(test)]
    pub fn pages(&self) -> usize {
        self.pages.len()
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, index: u32) -> &T {
        self.get(index).expect("a taken place's page exists")
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index).expect("a taken place's page exists")
    }
}

/// Places in a page. Where calls are followed most memory is in pages of some 100 KiB: of such the allocator has few in
/// one piece of memory, so that one that is still in use keeps few others from going back to the system.
const PAGE: usize = WORDS * BITS;
const WORDS: usize = 16;
const BITS: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_place_is_taken_and_a_peak_is_given_back() {
        let mut slab: Slab<u64> = Slab::default();
        let places: Vec<u32> = (0..10_000).map(|_| slab.take()).collect();
        assert!(places.iter().copied().eq(0..10_000));
        slab.give(77);
        slab.give(7_777);
        assert_eq!((slab.take(), slab.take(), slab.take()), (77, 7_777, 10_000));
        (0..=10_000).for_each(|place| _ = slab.give(place));
        assert!(slab.pages() <= 4, "{} pages", slab.pages());
        assert_eq!(slab.len(), 0);
    }
}
