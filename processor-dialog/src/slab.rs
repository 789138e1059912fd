//! Places in pages: what the tables, the timers, the slots and the short lists are kept in.
//!
//! A place never moves while it is taken, the lowest free one is taken first, and pages that emptied after a peak go
//! back to the allocator. Steady traffic allocates nothing.

/// Places for `T`; a free one keeps what was in it.
pub struct Slab<T> {
    /// By number; empty where there is none.
    pages: Vec<Box<[T]>>,
    /// Which of their places are taken.
    taken: Vec<Taken>,
    open: OpenPages,
    /// Pages that are there, and those of them in which nothing is taken.
    used: usize,
    empty: usize,
    len: usize,
}

/// The places of a page that are taken.
#[derive(Clone, Copy)]
struct Taken {
    /// A bit for each.
    bits: [u64; MAX_PLACES / BITS],
    held: usize,
}

impl Taken {
    const NONE: Self = Self { bits: [0; MAX_PLACES / BITS], held: 0 };
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), taken: Vec::new(), open: OpenPages::default(), used: 0, empty: 0, len: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// Takes a free place, in the first page that has one, so that late pages empty first.
    pub fn alloc(&mut self) -> u32 {
        let number = self.open.first().unwrap_or_else(|| {
            self.pages.push(Box::default());
            self.taken.push(Taken::NONE);
            self.open.add(self.pages.len() - 1);
            self.pages.len() - 1
        });
        if self.pages[number].is_empty() {
            self.pages[number] = std::iter::repeat_with(T::default).take(Self::PLACES).collect();
            self.used += 1;
            self.empty += 1;
        }
        let page = &mut self.taken[number];
        self.empty -= usize::from(page.held == 0);
        let word = page.bits.iter().position(|word| *word != u64::MAX).expect("the page has room");
        let bit = page.bits[word].trailing_ones() as usize;
        page.bits[word] |= 1 << bit;
        page.held += 1;
        if page.held == Self::PLACES {
            self.open.remove(number);
        }
        self.len += 1;
        (number * Self::PLACES + word * BITS + bit) as u32
    }

    /// Frees a place that was taken. Returns whether pages went back to the allocator with it.
    pub fn free(&mut self, index: u32) -> bool {
        let (number, place) = (index as usize / Self::PLACES, index as usize % Self::PLACES);
        let page = &mut self.taken[number];
        page.bits[place / BITS] &= !(1 << (place % BITS));
        page.held -= 1;
        self.len -= 1;
        self.open.add(number);
        if page.held > 0 {
            return false;
        }
        self.empty += 1;
        self.trim()
    }

    /// Where more than two reserves of pages are empty, one reserve stays: a page, and one for each [`BUSY`] that are not
    /// empty, so that a load that swings does not allocate each time.
    fn trim(&mut self) -> bool {
        let reserve = 1 + (self.used - self.empty) / BUSY;
        if self.empty <= 2 * reserve {
            return false;
        }
        for (page, taken) in self.pages.iter_mut().zip(&self.taken).rev() {
            if self.empty <= reserve {
                break;
            }
            if taken.held == 0 && !page.is_empty() {
                *page = Box::default();
                self.empty -= 1;
                self.used -= 1;
            }
        }
        let used = self.pages.iter().rposition(|page| !page.is_empty()).map_or(0, |last| last + 1);
        self.pages.truncate(used);
        self.taken.truncate(used);
        self.open.truncate(used);
        if self.pages.capacity() > 64 && used < self.pages.capacity() / 4 {
            self.pages.shrink_to(2 * used);
            self.taken.shrink_to(2 * used);
        }
        true
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
        self.len
    }

    /// The places that are taken.
    pub fn taken(&self) -> impl Iterator<Item = u32> {
        self.taken.iter().enumerate().flat_map(|(number, page)| {
            let taken = |place: &usize| page.bits[place / BITS] >> (place % BITS) & 1 == 1;
            (0..Self::PLACES).filter(taken).map(move |place| (number * Self::PLACES + place) as u32)
        })
    }

    /// What is at a place, taken or not; `None` where there is no page.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.pages.get(index as usize / Self::PLACES)?.get(index as usize % Self::PLACES)
    }

    /// The same, to change it.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.pages.get_mut(index as usize / Self::PLACES)?.get_mut(index as usize % Self::PLACES)
    }

    /// Pages held.
    #[cfg(test)]
    pub fn pages(&self) -> usize {
        self.used
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        self.get(index).expect(TAKEN)
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index).expect(TAKEN)
    }
}

/// The numbers of the pages that have room: a bit for each, so that the first is found without a look at those that are full.
#[derive(Default)]
struct OpenPages {
    words: Vec<u64>,
    /// No word below this one has a bit.
    first: usize,
}

impl OpenPages {
    /// The first page that has room.
    fn first(&mut self) -> Option<usize> {
        while self.first < self.words.len() {
            let word = self.words[self.first];
            if word != 0 {
                return Some(self.first * 64 + word.trailing_zeros() as usize);
            }
            self.first += 1;
        }
        None
    }

    /// A page has room.
    fn add(&mut self, page: usize) {
        let word = page / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (page % 64);
        self.first = self.first.min(word);
    }

    /// A page is full.
    fn remove(&mut self, page: usize) {
        self.words[page / 64] &= !(1 << (page % 64));
    }

    /// There are so many pages.
    fn truncate(&mut self, pages: usize) {
        self.words.truncate(pages.div_ceil(64));
        if !pages.is_multiple_of(64)
            && let Some(last) = self.words.get_mut(pages / 64)
        {
            *last &= (1 << (pages % 64)) - 1;
        }
        self.first = self.first.min(self.words.len());
    }
}

/// A place is asked for while it is taken.
const TAKEN: &str = "a taken place's page exists";
/// Most places in a page.
const MAX_PLACES: usize = 1024;
/// About the bytes of a page.
const PAGE_BYTES: usize = 128 << 10;
const BITS: usize = u64::BITS as usize;
/// For each so many pages in use one that is empty stays.
const BUSY: usize = 4;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn the_first_is_the_lowest_of_those_that_have_room(
            steps in prop::collection::vec((0usize..300, 0u8..8), 1..200),
        ) {
            let (mut pages, mut expected) = (OpenPages::default(), BTreeSet::new());
            for (page, step) in steps {
                match step {
                    0 => {
                        pages.truncate(page);
                        expected.split_off(&page);
                    }
                    1..5 => {
                        pages.add(page);
                        expected.insert(page);
                    }
                    _ => if let Some(first) = expected.pop_first() {
                        pages.remove(first);
                    }
                }
                prop_assert_eq!(pages.first(), expected.first().copied());
            }
        }
    }
}
