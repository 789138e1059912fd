//! Entries in the order in which they were put in, each of which can be taken out: two links per entry, by index.

/// Ends a chain.
const NONE: u32 = u32::MAX;

/// A doubly linked list of indexes, each at most once in it.
#[derive(Debug)]
pub(super) struct Queue {
    /// By index.
    links: Vec<Links>,
    first: u32,
    last: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Links {
    before: u32,
    after: u32,
    linked: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { links: Vec::new(), first: NONE, last: NONE, len: 0 }
    }
}

impl Queue {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The one that was put in longest ago.
    pub fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    pub fn contains(&self, id: u32) -> bool {
        self.links.get(id as usize).is_some_and(|links| links.linked)
    }

    /// Puts in `id`, which is not in it, as the last.
    pub fn push(&mut self, id: u32) {
        let index = id as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, Links { before: NONE, after: NONE, linked: false });
        }
        debug_assert!(!self.links[index].linked, "an entry is in a queue once");
        self.links[index] = Links { before: self.last, after: NONE, linked: true };
        match self.last {
            NONE => self.first = id,
            last => self.links[last as usize].after = id,
        }
        self.last = id;
        self.len += 1;
    }

    /// Takes out `id`, which is in it.
    pub fn remove(&mut self, id: u32) {
        let Links { before, after, linked } = self.links[id as usize];
        debug_assert!(linked, "only what is in a queue is taken out");
        match before {
            NONE => self.first = after,
            before => self.links[before as usize].after = after,
        }
        match after {
            NONE => self.last = before,
            after => self.links[after as usize].before = before,
        }
        self.links[id as usize].linked = false;
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_first_comes_first_and_any_can_be_taken_out() {
        let mut queue = Queue::default();
        for id in [3, 0, 5, 1] {
            queue.push(id);
        }
        queue.remove(5);
        queue.remove(3);
        queue.push(3);
        let mut order = Vec::new();
        while let Some(id) = queue.first() {
            queue.remove(id);
            order.push(id);
        }
        assert_eq!((order, queue.len(), queue.contains(3)), (vec![0, 1, 3], 0, false));
    }
}
