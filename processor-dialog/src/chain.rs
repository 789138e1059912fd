//! Short lists that hang on an entry (Vias below a transaction's, its items beyond the first, delays of an attempt), kept as
//! chains of small nodes in one pool, so that neither a list nor its growth is an allocation.

use crate::fetch::fetch;
use crate::slab::Slab;

/// A list's head; empty by default. It must be given back with [`Pool::clear`].
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    head: u32,
}

impl Default for Chain {
    fn default() -> Self {
        Self { head: NIL }
    }
}

/// One element: a value and what it is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The value: a hash, a delay in nanoseconds, a handle.
    pub value: u64,
    /// What it belongs to: a hash of a five-tuple, of a tag.
    pub of: u32,
}

/// The nodes of all chains.
#[derive(Default)]
pub struct Pool {
    nodes: Slab<Link>,
}

/// An element, and the one behind it.
#[derive(Default)]
struct Link {
    node: Node,
    next: u32,
}

impl Pool {
    /// Puts an element at the front.
    pub fn push(&mut self, chain: &mut Chain, node: Node) {
        let index = self.nodes.take();
        self.nodes[index] = Link { node, next: chain.head };
        chain.head = index;
    }

    /// The elements, the latest first.
    pub fn iter(&self, chain: Chain) -> impl Iterator<Item = Node> + '_ {
        let mut next = chain.head;
        std::iter::from_fn(move || {
            if next == NIL {
                return None;
            }
            let link = &self.nodes[next];
            next = link.next;
            Some(link.node)
        })
    }

    /// Asks for the latest element to be brought near.
    pub fn fetch(&self, chain: Chain) {
        if let Some(link) = self.nodes.get(chain.head) {
            fetch(link);
        }
    }

    /// The latest element.
    pub fn first_mut(&mut self, chain: Chain) -> Option<&mut Node> {
        self.nodes.get_mut(chain.head).map(|link| &mut link.node)
    }

    /// Takes the latest element off.
    pub fn pop(&mut self, chain: &mut Chain) -> Option<Node> {
        if chain.head == NIL {
            return None;
        }
        let index = chain.head;
        let Link { node, next } = self.nodes[index];
        chain.head = next;
        self.nodes.give(index);
        Some(node)
    }

    /// Nodes in lists.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.nodes.len()
    }

    /// Empties the list and takes its nodes back.
    pub fn clear(&mut self, chain: &mut Chain) {
        while self.pop(chain).is_some() {}
    }
}

const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_go_round_between_lists_and_back_to_the_allocator_after_a_peak() {
        let mut pool = Pool::default();
        let (mut a, mut b) = (Chain::default(), Chain::default());
        for value in 0..10_000 {
            pool.push(if value % 2 == 0 { &mut a } else { &mut b }, Node { value, of: 1 });
        }
        assert_eq!(pool.pop(&mut a), Some(Node { value: 9_998, of: 1 }));
        pool.clear(&mut a);
        assert_eq!(pool.iter(b).count(), 5_000);
        pool.clear(&mut b);
        assert_eq!(pool.iter(b).count(), 0);
        assert!(pool.nodes.pages() <= 4);
        pool.push(&mut a, Node { value: 1, of: 2 });
        assert_eq!(pool.iter(a).map(|node| node.value).collect::<Vec<_>>(), [1]);
    }
}
