//! A table that grows without moving what it holds, so that readers need no lock.

use std::sync::OnceLock;

/// Up to [`Pages::CAPACITY`] values by index, made on first use and never dropped before the table.
#[derive(Debug)]
pub struct Pages<T> {
    pages: Box<[OnceLock<Page<T>>; PAGES]>,
}

type Page<T> = Box<[OnceLock<T>; PAGE]>;

const PAGES: usize = 64;
const PAGE: usize = 64;

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { pages: Box::new([const { OnceLock::new() }; PAGES]) }
    }
}

impl<T> Pages<T> {
    /// How many values it can hold.
    pub const CAPACITY: usize = PAGES * PAGE;

    /// The value at `index`, if it was made.
    pub fn get(&self, index: usize) -> Option<&T> {
        self.pages.get(index / PAGE)?.get()?[index % PAGE].get()
    }

    /// The value at `index`, made if it was not. Panics at or above the capacity.
    pub fn get_or_init(&self, index: usize, make: impl FnOnce() -> T) -> &T {
        let page = self.pages[index / PAGE].get_or_init(|| Box::new([const { OnceLock::new() }; PAGE]));
        page[index % PAGE].get_or_init(make)
    }
}
