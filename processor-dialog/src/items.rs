//! Items of a transaction: the request, its ACK, each different response (`sip-metrics.md` 2.2), each with the
//! five-tuple of its first sighting and whether it was counted for the logical request (2.4).
//!
//! An ordinary INVITE has four: they stand in the transaction itself. What is beyond goes into a chain.

use crate::chain::{Chain, Node, Pool};
use crate::key::Mark;

/// One item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// What it is: 48 bits.
    pub mark: Mark,
    /// The five-tuple of its first sighting.
    pub tuple: u32,
    /// It is counted for the logical request.
    pub counted: bool,
}

/// At most [`MAX_ITEMS`]. They must be given back with [`Items::clear`].
#[derive(Default)]
pub struct Items {
    /// Marks, with [`COUNTED`] where that is so.
    marks: [u64; AT_HAND],
    tuples: [u32; AT_HAND],
    more: Chain,
    len: u8,
    counted: u8,
}

impl Items {
    /// How many.
    pub fn len(&self) -> usize {
        self.len.into()
    }

    /// Remembers one that is not in it; `false` when [`MAX_ITEMS`] are remembered.
    pub fn add(&mut self, pool: &mut Pool, item: Item) -> bool {
        let place = self.len();
        if place == MAX_ITEMS {
            return false;
        }
        let mark = if item.counted { item.mark | COUNTED } else { item.mark };
        match (self.marks.get_mut(place), self.tuples.get_mut(place)) {
            (Some(at), Some(tuple)) => (*at, *tuple) = (mark, item.tuple),
            _ => pool.push(&mut self.more, Node { value: mark, of: item.tuple }),
        }
        self.len += 1;
        self.counted += u8::from(item.counted);
        true
    }

    /// The one added last is counted for the logical request.
    pub fn count_last(&mut self, pool: &mut Pool) {
        let place = self.len().saturating_sub(1);
        let mark = match self.marks.get_mut(place) {
            Some(mark) => mark,
            None => match pool.first_mut(self.more) {
                Some(node) => &mut node.value,
                None => return,
            },
        };
        self.counted += u8::from(*mark & COUNTED == 0);
        *mark |= COUNTED;
    }

    /// Whether the one with a mark is counted. Where none is, none is looked at.
    pub fn is_counted(&self, pool: &Pool, mark: Mark) -> bool {
        self.counted > 0 && self.find(pool, mark).is_some_and(|item| item.counted)
    }

    /// All of them.
    pub fn iter<'a>(&'a self, pool: &'a Pool) -> impl Iterator<Item = Item> + 'a {
        let at_hand = self.marks.iter().zip(self.tuples).take(self.len());
        let at_hand = at_hand.map(|(mark, tuple)| (*mark, tuple));
        let more = pool.iter(self.more).map(|node| (node.value, node.of));
        at_hand.chain(more).map(|(mark, tuple)| Item { mark: mark & !COUNTED, tuple, counted: mark & COUNTED != 0 })
    }

    /// The one with a mark.
    pub fn find(&self, pool: &Pool, mark: Mark) -> Option<Item> {
        self.iter(pool).find(|item| item.mark == mark)
    }

    /// Forgets all.
    pub fn clear(&mut self, pool: &mut Pool) {
        pool.clear(&mut self.more);
        (self.len, self.counted) = (0, 0);
    }
}

/// Most items remembered of one transaction; of one logical request as many are counted.
pub const MAX_ITEMS: usize = 64;
/// Those that need no chain.
const AT_HAND: usize = 4;
/// Above the 48 bits of a mark.
const COUNTED: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_may_be_are_found_and_counted_one_by_one() {
        let (mut pool, mut items) = (Pool::default(), Items::default());
        let item = |number: u64| Item { mark: number * 7, tuple: number as u32, counted: number.is_multiple_of(5) };
        for number in 0..MAX_ITEMS as u64 {
            assert_eq!(items.find(&pool, item(number).mark), None);
            assert!(items.add(&mut pool, item(number)));
            if number % 3 == 0 {
                items.count_last(&mut pool);
            }
            assert_eq!(items.len(), number as usize + 1);
        }
        assert!(!items.add(&mut pool, item(99)));
        for number in 0..MAX_ITEMS as u64 {
            let counted = number % 3 == 0 || number % 5 == 0;
            assert_eq!(items.find(&pool, item(number).mark), Some(Item { counted, ..item(number) }));
            assert_eq!(items.is_counted(&pool, item(number).mark), counted);
        }
        assert_eq!(items.iter(&pool).count(), MAX_ITEMS);
        items.clear(&mut pool);
        assert_eq!((items.len(), items.iter(&pool).count(), pool.held()), (0, 0, 0));
    }
}
