//! Short lists that hang on an entry (items of a transaction, Vias below it, delays of an attempt), kept as
//! chains of small nodes in one pool, so that neither a list nor its growth is an allocation.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The value: a hash, a delay in nanoseconds, a handle.
    pub value: u64,
    /// What it belongs to: a hash of a five-tuple, of a tag.
    pub of: u32,
}

/// The nodes of all chains. Grows to the most nodes ever needed at once.
#[derive(Default)]
pub struct Pool {
    nodes: Vec<(Node, u32)>,
    free: Chain,
}

impl Pool {
    /// Puts an element at the front.
    pub fn push(&mut self, chain: &mut Chain, node: Node) {
        let index = match self.free.head {
            NIL => {
                self.nodes.push((node, NIL));
                (self.nodes.len() - 1) as u32
            }
            index => {
                self.free.head = self.nodes[index as usize].1;
                index
            }
        };
        self.nodes[index as usize] = (node, chain.head);
        chain.head = index;
    }

    /// The elements, the latest first.
    pub fn iter(&self, chain: Chain) -> impl Iterator<Item = Node> + '_ {
        let mut next = chain.head;
        std::iter::from_fn(move || {
            if next == NIL {
                return None;
            }
            let (node, after) = self.nodes[next as usize];
            next = after;
            Some(node)
        })
    }

    /// Takes the latest element off.
    pub fn pop(&mut self, chain: &mut Chain) -> Option<Node> {
        if chain.head == NIL {
            return None;
        }
        let index = chain.head;
        let (node, after) = self.nodes[index as usize];
        chain.head = after;
        self.nodes[index as usize].1 = self.free.head;
        self.free.head = index;
        Some(node)
    }

    /// Empties the list and takes its nodes back. When none are in use any more, their memory goes too.
    pub fn clear(&mut self, chain: &mut Chain) {
        while self.pop(chain).is_some() {}
    }
}

const NIL: u32 = u32::MAX;
