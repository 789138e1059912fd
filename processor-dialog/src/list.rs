//! Lists whose first element stands in their owner: most calls have one attempt, one dialog, one transaction a request.
//!
//! What comes beyond is linked behind it, in nodes of one pool for all lists of a kind, so that neither a list nor its
//! growth is an allocation.

use std::marker::PhantomData;
use std::num::NonZeroU32;

use crate::slab::Slab;

/// Elements linked in a pool, the newest first.
#[derive(Debug)]
pub struct Chain<T> {
    head: Link,
    of: PhantomData<T>,
}

/// Elements, the newest first; one that came while the list was empty stands in the list itself.
#[derive(Debug)]
pub struct List<T> {
    first: Option<T>,
    more: Chain<T>,
}

/// The node behind; none at the end of a chain.
type Link = Option<NonZeroU32>;

/// Where an element stands in its list, as long as it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(Link);

/// The elements of all chains of a kind.
pub struct Pool<T> {
    nodes: Slab<Node<T>>,
}

struct Node<T> {
    value: Option<T>,
    next: Link,
}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self { head: None, of: PhantomData }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { first: None, more: Chain::default() }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { value: None, next: None }
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { nodes: Slab::default() }
    }
}

impl<T> Pool<T> {
    /// Elements held.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    fn node(&self, at: NonZeroU32) -> &Node<T> {
        &self.nodes[at.get() - 1]
    }

    fn node_mut(&mut self, at: NonZeroU32) -> &mut Node<T> {
        &mut self.nodes[at.get() - 1]
    }
}

impl<T> Chain<T> {
    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Adds an element before all others.
    pub fn push(&mut self, pool: &mut Pool<T>, value: T) -> At {
        let index = pool.nodes.alloc();
        pool.nodes[index] = Node { value: Some(value), next: self.head };
        self.head = NonZeroU32::new(index + 1);
        At(self.head)
    }

    /// The elements and where they stand, the newest first.
    pub fn iter<'a>(&self, pool: &'a Pool<T>) -> impl Iterator<Item = (At, &'a T)> + use<'a, T> {
        let mut next = self.head;
        std::iter::from_fn(move || {
            let at = next?;
            let node = pool.node(at);
            next = node.next;
            Some((At(Some(at)), node.value.as_ref().expect(LINKED)))
        })
    }

    /// The newest element that fits.
    pub fn find(&self, pool: &Pool<T>, fits: impl Fn(&T) -> bool) -> Option<At> {
        self.iter(pool).find(|(_, value)| fits(value)).map(|(at, _)| at)
    }

    /// Where the newest element stands; `None` when the chain is empty.
    pub fn newest(&self) -> Option<At> {
        self.head.map(|head| At(Some(head)))
    }

    /// Where the only element stands; `None` when there is none, or another one.
    pub fn only(&self, pool: &Pool<T>) -> Option<At> {
        let head = self.head?;
        pool.node(head).next.is_none().then_some(At(Some(head)))
    }

    /// The element at a place.
    pub fn get<'a>(&self, pool: &'a Pool<T>, at: At) -> &'a T {
        pool.node(at.0.expect(FOUND)).value.as_ref().expect(LINKED)
    }

    /// The element at a place, to change it.
    pub fn get_mut<'a>(&self, pool: &'a mut Pool<T>, at: At) -> &'a mut T {
        pool.node_mut(at.0.expect(FOUND)).value.as_mut().expect(LINKED)
    }

    /// Changes every element, the newest first.
    pub fn for_each(&self, pool: &mut Pool<T>, mut change: impl FnMut(&mut T)) {
        let mut next = self.head;
        while let Some(at) = next {
            let node = pool.node_mut(at);
            next = node.next;
            change(node.value.as_mut().expect(LINKED));
        }
    }

    /// Takes out the newest element; `None` when there is none.
    pub fn pop(&mut self, pool: &mut Pool<T>) -> Option<T> {
        let newest = self.newest()?;
        Some(self.remove(pool, newest))
    }

    /// Takes an element out.
    pub fn remove(&mut self, pool: &mut Pool<T>, at: At) -> T {
        let gone = at.0.expect(FOUND);
        let node = std::mem::take(pool.node_mut(gone));
        if self.head == Some(gone) {
            self.head = node.next;
        } else {
            let behind = |at: NonZeroU32| pool.node(at).next;
            let mut before = self.head.expect(FOUND);
            while behind(before) != Some(gone) {
                before = behind(before).expect(FOUND);
            }
            pool.node_mut(before).next = node.next;
        }
        pool.nodes.free(gone.get() - 1);
        node.value.expect(LINKED)
    }
}

impl<T> List<T> {
    /// One with a single element.
    pub fn of(value: T) -> Self {
        Self { first: Some(value), more: Chain::default() }
    }

    /// Where the only element stands; `None` when there is none, or another one.
    pub fn only(&self, pool: &Pool<T>) -> Option<At> {
        if self.first.is_none() { self.more.only(pool) } else { self.more.is_empty().then_some(At(None)) }
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }

    /// Where the newest element stands; `None` when the list is empty.
    pub fn newest(&self) -> Option<At> {
        (!self.is_empty()).then_some(At(self.more.head))
    }

    /// Adds an element before all others.
    pub fn push(&mut self, pool: &mut Pool<T>, value: T) -> At {
        if self.is_empty() {
            self.first = Some(value);
            return At(None);
        }
        self.more.push(pool, value)
    }

    /// The elements and where they stand, the newest first.
    pub fn iter<'a>(&'a self, pool: &'a Pool<T>) -> impl Iterator<Item = (At, &'a T)> {
        self.more.iter(pool).chain(self.first.as_ref().map(|first| (At(None), first)))
    }

    /// The newest element that fits.
    pub fn find(&self, pool: &Pool<T>, fits: impl Fn(&T) -> bool) -> Option<At> {
        self.iter(pool).find(|(_, value)| fits(value)).map(|(at, _)| at)
    }

    /// The element at a place.
    pub fn get<'a>(&'a self, pool: &'a Pool<T>, at: At) -> &'a T {
        match at.0 {
            None => self.first.as_ref().expect(FOUND),
            Some(_) => self.more.get(pool, at),
        }
    }

    /// The element at a place, to change it.
    pub fn get_mut<'a>(&'a mut self, pool: &'a mut Pool<T>, at: At) -> &'a mut T {
        match at.0 {
            None => self.first.as_mut().expect(FOUND),
            Some(_) => self.more.get_mut(pool, at),
        }
    }

    /// Changes every element, the newest first.
    pub fn for_each(&mut self, pool: &mut Pool<T>, mut change: impl FnMut(&mut T)) {
        self.more.for_each(pool, &mut change);
        self.first.iter_mut().for_each(change);
    }

    /// Takes an element out.
    pub fn remove(&mut self, pool: &mut Pool<T>, at: At) -> T {
        match at.0 {
            None => self.first.take().expect(FOUND),
            Some(_) => self.more.remove(pool, at),
        }
    }

    /// Takes out the newest element; `None` when the list is empty.
    pub fn pop(&mut self, pool: &mut Pool<T>) -> Option<T> {
        self.more.pop(pool).or_else(|| self.first.take())
    }
}

/// Places come from a search of the same list.
const FOUND: &str = "an element was found there";
/// Only nodes with a value are linked.
const LINKED: &str = "a linked node has a value";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_newest_first_and_leave_from_anywhere() {
        let (mut pool, mut list) = (Pool::default(), List::default());
        for number in 0..5 {
            list.push(&mut pool, number);
        }
        let all = |list: &List<i32>, pool: &Pool<i32>| list.iter(pool).map(|(_, value)| *value).collect::<Vec<_>>();
        assert_eq!(all(&list, &pool), [4, 3, 2, 1, 0]);
        for (gone, rest) in [(2, vec![4, 3, 1, 0]), (0, vec![4, 3, 1]), (4, vec![3, 1])] {
            let at = list.find(&pool, |value| *value == gone).expect("it is there");
            assert_eq!(list.remove(&mut pool, at), gone);
            assert_eq!(all(&list, &pool), rest);
        }
        // The place in the owner stays empty until the list is: the order is that of age.
        list.push(&mut pool, 9);
        list.for_each(&mut pool, |value| *value += 1);
        assert_eq!((all(&list, &pool), pool.len()), (vec![10, 4, 2], 3));
        while list.pop(&mut pool).is_some() {}
        assert!(list.is_empty() && pool.len() == 0);
    }
}
