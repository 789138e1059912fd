//! Which pages of a storage have room: a bit for each, so that the first is found without a look at those that are full.

/// The numbers of the pages that have room.
#[derive(Default)]
pub struct OpenPages {
    words: Vec<u64>,
    /// No word below this one has a bit.
    first: usize,
}

impl OpenPages {
    /// The first page that has room.
    pub fn first(&mut self) -> Option<usize> {
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
    pub fn add(&mut self, page: usize) {
        let word = page / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (page % 64);
        self.first = self.first.min(word);
    }

    /// A page is full.
    pub fn remove(&mut self, page: usize) {
        self.words[page / 64] &= !(1 << (page % 64));
    }

    /// There are so many pages.
    pub fn truncate(&mut self, pages: usize) {
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
