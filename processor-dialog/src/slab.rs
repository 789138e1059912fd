//! Places in pages: what the tables, the timers, the slots and the short lists are kept in.
//!
//! A place never moves while it is taken, the lowest free one is taken first, and pages that emptied after a peak go
//! back to the allocator. Steady traffic allocates nothing.

use crate::pages::{self, Pages};

/// Places for `T`; a free one keeps what was in it.
pub struct Slab<T> {
    pages: Pages<Page<T>, 4>,
    taken: usize,
}

struct Page<T> {
    places: Box<[T]>,
    /// A bit for each place that is taken.
    taken: [u64; MAX_PLACES / BITS],
    held: usize,
}

impl<T> pages::Page for Page<T> {
    fn is_empty(&self) -> bool {
        self.held == 0
    }

    fn is_full(&self) -> bool {
        self.held == self.places.len()
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Pages::default(), taken: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// Takes a free place, in the first page that has one, so that late pages empty first.
    pub fn alloc(&mut self) -> u32 {
        self.taken += 1;
        let new = || Page {
            places: std::iter::repeat_with(T::default).take(Self::PLACES).collect(),
            taken: [0; MAX_PLACES / BITS],
            held: 0,
        };
        self.pages.alloc(new, |number, page| {
            let word = page.taken.iter().position(|word| *word != u64::MAX).expect("the page has room");
            let bit = page.taken[word].trailing_ones() as usize;
            page.taken[word] |= 1 << bit;
            page.held += 1;
            (number * Self::PLACES + word * BITS + bit) as u32
        })
    }

    /// Frees a place that was taken. Returns whether pages went back to the allocator with it.
    pub fn free(&mut self, index: u32) -> bool {
        self.taken -= 1;
        let place = index as usize % Self::PLACES;
        self.pages.free(index as usize / Self::PLACES, |page| {
            page.taken[place / BITS] &= !(1 << (place % BITS));
            page.held -= 1;
        })
    }
}

impl<T> Slab<T> {
    /// Places in a page: as many as make about 100 KiB. Of such pages the allocator has few in one piece of memory, so that
    /// one that is still in use keeps few others from going back to the system.
    const PLACES: usize = {
        let mut places = MAX_PLACES;
        while places > BITS && places * size_of::<T>() > PAGE_BYTES {
            places /= 2;
        }
        places
    };

    /// Places taken.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// The places that are taken.
    pub fn taken(&self) -> impl Iterator<Item = u32> {
        let pages = self.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page?)));
        pages.flat_map(|(number, page)| {
            let taken = |place: &usize| page.taken[place / BITS] >> (place % BITS) & 1 == 1;
            (0..Self::PLACES).filter(taken).map(move |place| (number * Self::PLACES + place) as u32)
        })
    }

    /// What is at a place, taken or not; `None` where there is no page.
    pub fn get(&self, index: u32) -> Option<&T> {
        let page = self.pages.get(index as usize / Self::PLACES)?;
        Some(&page.places[index as usize % Self::PLACES])
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let page = self.pages.get_mut(index as usize / Self::PLACES)?;
        Some(&mut page.places[index as usize % Self::PLACES])
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

/// Most places in a page.
const MAX_PLACES: usize = 1024;
/// About the bytes of a page.
const PAGE_BYTES: usize = 128 << 10;
const BITS: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_place_is_taken_and_a_peak_is_given_back() {
        let mut slab: Slab<u64> = Slab::default();
        let places: Vec<u32> = (0..10_000).map(|_| slab.alloc()).collect();
        assert!(places.iter().copied().eq(0..10_000));
        slab.free(77);
        slab.free(7_777);
        assert_eq!((slab.alloc(), slab.alloc(), slab.alloc()), (77, 7_777, 10_000));
        (0..=10_000).for_each(|place| _ = slab.free(place));
        assert!(slab.pages() <= 4, "{} pages", slab.pages());
        assert_eq!(slab.len(), 0);
    }
}
