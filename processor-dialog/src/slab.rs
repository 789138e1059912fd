//! Places in pages: what the tables, the timers and the short lists are kept in.
//!
//! A place never moves while it is taken, the lowest free one is taken first, and pages that emptied after a peak go
//! back to the allocator. Steady traffic allocates nothing.

use crate::open_pages::OpenPages;

/// Places for `T`; a free one keeps what was in it.
pub struct Slab<T> {
    pages: Vec<Option<Box<Page<T>>>>,
    open: OpenPages,
    used_pages: usize,
    empty_pages: usize,
    taken: usize,
}

struct Page<T> {
    places: [T; PAGE],
    /// A bit for each place that is taken.
    taken: u64,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), open: OpenPages::default(), used_pages: 0, empty_pages: 0, taken: 0 }
    }
}

impl<T: Default> Slab<T> {
    /// Takes a free place, in the first page that has one, so that late pages empty first.
    pub fn take(&mut self) -> u32 {
        let number = self.open.first().unwrap_or_else(|| {
            self.pages.push(None);
            self.open.add(self.pages.len() - 1);
            self.pages.len() - 1
        });
        let page = match &mut self.pages[number] {
            Some(page) => page,
            none => {
                self.used_pages += 1;
                self.empty_pages += 1;
                none.insert(Box::new(Page { places: std::array::from_fn(|_| T::default()), taken: 0 }))
            }
        };
        let place = page.taken.trailing_ones() as usize;
        self.empty_pages -= usize::from(page.taken == 0);
        page.taken |= 1 << place;
        if page.taken == u64::MAX {
            self.open.remove(number);
        }
        self.taken += 1;
        (number * PAGE + place) as u32
    }

    /// Gives a place back that was taken. Returns whether pages went back to the allocator with it.
    pub fn give(&mut self, index: u32) -> bool {
        let (number, place) = (index as usize / PAGE, index as usize % PAGE);
        let page = self.pages[number].as_mut().expect("a taken place's page exists");
        page.taken &= !(1 << place);
        self.taken -= 1;
        self.open.add(number);
        if page.taken != 0 {
            return false;
        }
        self.empty_pages += 1;
        self.free_pages()
    }

    /// Frees empty pages beyond a reserve, so that a load that swings does not allocate each time.
    fn free_pages(&mut self) -> bool {
        let reserve = 1 + (self.used_pages - self.empty_pages) / 4;
        if self.empty_pages <= 2 * reserve {
            return false;
        }
        for page in self.pages.iter_mut().rev() {
            if self.empty_pages <= reserve {
                break;
            }
            if page.as_ref().is_some_and(|page| page.taken == 0) {
                *page = None;
                self.empty_pages -= 1;
                self.used_pages -= 1;
            }
        }
        let used = self.pages.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.pages.truncate(used);
        self.open.truncate(used);
        if self.pages.capacity() > 64 && used < self.pages.capacity() / 4 {
            self.pages.shrink_to(2 * used);
        }
        true
    }
}

impl<T> Slab<T> {
    /// Places taken.
    pub fn len(&self) -> usize {
        self.taken
    }

    /// What is at a place, taken or not; `None` where there is no page.
    pub fn get(&self, index: u32) -> Option<&T> {
        let page = self.pages.get(index as usize / PAGE)?.as_ref()?;
        Some(&page.places[index as usize % PAGE])
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let page = self.pages.get_mut(index as usize / PAGE)?.as_mut()?;
        Some(&mut page.places[index as usize % PAGE])
    }

    /// Pages held.
    #[cfg(test)]
    pub fn pages(&self) -> usize {
        self.pages.iter().flatten().count()
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

/// Places in a page: as many as a word has bits.
const PAGE: usize = u64::BITS as usize;

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
