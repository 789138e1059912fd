//! Pages of a storage: the first that has room is found at once, and what emptied after a peak goes back to the allocator.

/// What a storage needs to know of its pages.
pub trait Page {
    /// Nothing in it is taken.
    fn is_empty(&self) -> bool;
    /// All of it is taken.
    fn is_full(&self) -> bool;
}

/// Pages by number. When more than two reserves of them are empty, one reserve stays: one page, and one for each `BUSY`
/// that are not empty, so that a load that swings does not allocate each time.
pub struct Pages<P, const BUSY: usize> {
    pages: Vec<Option<P>>,
    open: OpenPages,
    used: usize,
    empty: usize,
}

impl<P, const BUSY: usize> Default for Pages<P, BUSY> {
    fn default() -> Self {
        Self { pages: Vec::new(), open: OpenPages::default(), used: 0, empty: 0 }
    }
}

impl<P: Page, const BUSY: usize> Pages<P, BUSY> {
    /// Takes from the first page that has room, so that late pages empty first; from a `new` one where none has. `alloc` is
    /// given the page's number, too.
    pub fn alloc<R>(&mut self, new: impl FnOnce() -> P, alloc: impl FnOnce(usize, &mut P) -> R) -> R {
        let number = self.open.first().unwrap_or_else(|| {
            self.pages.push(None);
            self.open.add(self.pages.len() - 1);
            self.pages.len() - 1
        });
        let page = match &mut self.pages[number] {
            Some(page) => page,
            none => {
                self.used += 1;
                self.empty += 1;
                none.insert(new())
            }
        };
        self.empty -= usize::from(page.is_empty());
        let taken = alloc(number, page);
        if page.is_full() {
            self.open.remove(number);
        }
        taken
    }

    /// Gives back to a page that something was taken from. Returns whether pages went back to the allocator with it.
    pub fn free(&mut self, number: usize, free: impl FnOnce(&mut P)) -> bool {
        let page = self.pages[number].as_mut().expect("a taken place's page exists");
        free(page);
        self.open.add(number);
        if !page.is_empty() {
            return false;
        }
        self.empty += 1;
        self.trim()
    }

    fn trim(&mut self) -> bool {
        let reserve = 1 + (self.used - self.empty) / BUSY;
        if self.empty <= 2 * reserve {
            return false;
        }
        for page in self.pages.iter_mut().rev() {
            if self.empty <= reserve {
                break;
            }
            if page.as_ref().is_some_and(P::is_empty) {
                *page = None;
                self.empty -= 1;
                self.used -= 1;
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

impl<P, const BUSY: usize> Pages<P, BUSY> {
    /// The page of a number; `None` where there is none.
    pub fn get(&self, number: usize) -> Option<&P> {
        self.pages.get(number)?.as_ref()
    }

    /// All pages by number; `None` where there is none.
    pub fn iter(&self) -> impl Iterator<Item = Option<&P>> {
        self.pages.iter().map(Option::as_ref)
    }

    /// The same, to change what is taken in it.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut P> {
        self.pages.get_mut(number)?.as_mut()
    }

    /// Pages held.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.used
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

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
