//! Memory for many short byte strings: cells of a few sizes, in pages that go back to the allocator after a peak.

use std::num::NonZeroU32;

use crate::pages::{self, Pages};

/// A string's place: its class above, its index among those of the class below; never 0, so that none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell(NonZeroU32);

impl Cell {
    fn new(class: usize, index: u32) -> Self {
        let place = (class as u32 + 1) << INDEX_BITS | index;
        Self(NonZeroU32::new(place).expect("classes count from one here"))
    }

    fn class(self) -> usize {
        (self.0.get() >> INDEX_BITS) as usize - 1
    }

    fn index(self) -> usize {
        (self.0.get() & ((1 << INDEX_BITS) - 1)) as usize
    }
}

/// Strings of up to [`MAX_LEN`] bytes.
#[derive(Default)]
pub struct Cells {
    /// Cells of each size.
    classes: Vec<Pages<Page, 8>>,
}

struct Page {
    bytes: Box<[u8]>,
    live: u16,
    /// The first free cell; the first two bytes of each name the next.
    free: u16,
}

impl pages::Page for Page {
    fn is_empty(&self) -> bool {
        self.live == 0
    }

    fn is_full(&self) -> bool {
        self.free == FULL
    }
}

impl Cells {
    /// Keeps a copy of `bytes`; what is behind them in the cell is zero.
    pub fn insert(&mut self, bytes: &[u8]) -> Cell {
        debug_assert!(bytes.len() <= MAX_LEN, "whoever packs keeps to the bound");
        let class = bytes.len().div_ceil(STEP).max(1) - 1;
        if self.classes.is_empty() {
            self.classes.resize_with(MAX_LEN / STEP, Pages::default);
        }
        let index = self.classes[class].take(
            || Page::new(class),
            |number, page| {
                let index = number * per_page(class) + usize::from(page.free);
                let at = usize::from(page.free) * size(class);
                page.free = u16::from_le_bytes([page.bytes[at], page.bytes[at + 1]]);
                page.live += 1;
                index as u32
            },
        );
        let cell = Cell::new(class, index);
        let (into, rest) = self.bytes_mut(cell).split_at_mut(bytes.len());
        into.copy_from_slice(bytes);
        rest.fill(0);
        cell
    }

    /// The bytes of a cell.
    pub fn get(&self, cell: Cell) -> &[u8] {
        let class = cell.class();
        let (page, range) = place(cell);
        let page = self.classes[class].get(page).expect("a cell's page exists");
        &page.bytes[range]
    }

    fn bytes_mut(&mut self, cell: Cell) -> &mut [u8] {
        let (page, range) = place(cell);
        let page = self.classes[cell.class()].get_mut(page).expect("a cell's page exists");
        &mut page.bytes[range]
    }

    /// Gives a cell back.
    pub fn remove(&mut self, cell: Cell) {
        let per_page = per_page(cell.class());
        let (number, range) = place(cell);
        self.classes[cell.class()].give(number, |page| {
            page.bytes[range][..2].copy_from_slice(&page.free.to_le_bytes());
            page.free = (cell.index() % per_page) as u16;
            page.live -= 1;
        });
    }

    /// Bytes of all pages.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.classes.iter().map(|class| class.len() * PAGE).sum()
    }
}

impl Page {
    fn new(class: usize) -> Self {
        let mut bytes = vec![0; PAGE].into_boxed_slice();
        let cells = per_page(class);
        for cell in 0..cells {
            let next = if cell + 1 == cells { FULL } else { cell as u16 + 1 };
            bytes[cell * size(class)..][..2].copy_from_slice(&next.to_le_bytes());
        }
        Self { bytes, live: 0, free: 0 }
    }
}

const fn size(class: usize) -> usize {
    (class + 1) * STEP
}

const fn per_page(class: usize) -> usize {
    PAGE / size(class)
}

/// The page of a cell, and its bytes in it.
fn place(cell: Cell) -> (usize, std::ops::Range<usize>) {
    let (class, index) = (cell.class(), cell.index());
    let start = index % per_page(class) * size(class);
    (index / per_page(class), start..start + size(class))
}

/// Longest string.
pub const MAX_LEN: usize = 1024;
/// Sizes of cells are multiples of this.
const STEP: usize = 16;
/// Bytes of a page.
const PAGE: usize = 16 * 1024;
/// Bits of an index: 33 million cells of a class, as many as groups may rest.
const INDEX_BITS: u32 = 25;
/// In place of a free cell: there is none.
const FULL: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_string_is_kept_until_it_is_given_back_and_pages_are_then_freed(
            steps in prop::collection::vec((1usize..=MAX_LEN, any::<bool>(), any::<u8>()), 1..600),
        ) {
            let mut cells = Cells::default();
            let mut kept: Vec<(Cell, Vec<u8>)> = Vec::new();
            for (len, gives_back, byte) in steps {
                if gives_back && !kept.is_empty() {
                    let (cell, bytes) = kept.swap_remove(len % kept.len());
                    prop_assert_eq!(&cells.get(cell)[..bytes.len()], &bytes[..]);
                    cells.remove(cell);
                } else {
                    let bytes = vec![byte; len];
                    kept.push((cells.insert(&bytes), bytes));
                }
            }
            for (cell, bytes) in kept {
                prop_assert_eq!(&cells.get(cell)[..bytes.len()], &bytes[..]);
                cells.remove(cell);
            }
            // At most two empty pages of each size stay for the next.
            prop_assert!(cells.held() <= MAX_LEN / STEP * 2 * PAGE);
        }
    }

    #[test]
    fn a_peak_is_given_back() {
        let mut cells = Cells::default();
        let peak: Vec<Cell> = (0..10_000).map(|_| cells.insert(&[1; 200])).collect();
        assert!(cells.held() >= 10_000 * 200);
        peak.into_iter().for_each(|cell| cells.remove(cell));
        assert!(cells.held() <= 2 * PAGE);
    }
}
