//! What was decided about calls of which more pieces follow: bounded, nearly in the order they were last asked for.
//!
//! Two generations: a new or asked-for decision is in the young one; when that is full, the old one is forgotten
//! and the young one becomes old. So a call that is asked for now and then stays, and one whose last piece never
//! came is forgotten in the end.

use std::collections::HashMap;

use pipeline::call::ladder::SpanId;

/// Most decisions held. One takes about 50 bytes.
pub const MAX_DECISIONS: usize = 500_000;

/// A call, whichever trace it may have joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The trace id its own Call-ID gives.
    pub trace: [u8; 16],
    /// The span of the call as a whole.
    pub span: SpanId,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is sent; the threshold is there when chance decided.
    Keep(Option<u64>),
    /// It is not.
    Drop,
}

/// Decisions about calls that go on.
#[derive(Debug)]
pub(crate) struct Decisions {
    young: HashMap<Key, Decision>,
    old: HashMap<Key, Decision>,
    /// Most in one generation.
    most: usize,
    forgotten: u64,
}

impl Decisions {
    /// None yet; at most `most` of them, or a little fewer.
    pub fn new(most: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), most: most / 2, forgotten: 0 }
    }

    /// What was decided before about this call.
    pub fn recall(&mut self, key: &Key) -> Option<Decision> {
        if let Some(decision) = self.young.get(key) {
            return Some(*decision);
        }
        let decision = self.old.remove(key)?;
        self.remember(*key, decision);
        Some(decision)
    }

    /// For the next piece of this call.
    pub fn remember(&mut self, key: Key, decision: Decision) {
        if self.young.len() >= self.most && !self.young.contains_key(&key) {
            self.forgotten += self.old.len() as u64;
            std::mem::swap(&mut self.old, &mut self.young);
            self.young.clear();
        }
        self.young.insert(key, decision);
    }

    /// That was its last piece.
    pub fn forget(&mut self, key: &Key) {
        if self.young.remove(key).is_none() {
            self.old.remove(key);
        }
        if self.len() == 0 {
            // What a busy hour took is given back.
            self.young.shrink_to(SMALL);
            self.old.shrink_to(SMALL);
        }
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// How many were forgotten for lack of room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// Room that is kept when nothing is held.
const SMALL: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> Key {
        Key { trace: [number; 16], span: SpanId([1; 8]) }
    }

    #[test]
    fn a_decision_is_kept_until_it_is_forgotten() {
        let mut decisions = Decisions::new(10);
        decisions.remember(key(1), Decision::Keep(Some(7)));
        decisions.remember(key(2), Decision::Drop);
        assert_eq!(decisions.recall(&key(1)), Some(Decision::Keep(Some(7))));
        assert_eq!(decisions.recall(&key(2)), Some(Decision::Drop));
        assert_eq!(decisions.recall(&key(3)), None);
        decisions.forget(&key(1));
        assert_eq!(decisions.recall(&key(1)), None);
        assert_eq!((decisions.len(), decisions.forgotten()), (1, 0));
    }

    #[test]
    fn the_calls_of_one_trace_are_apart() {
        let mut decisions = Decisions::new(10);
        decisions.remember(key(1), Decision::Drop);
        assert_eq!(decisions.recall(&Key { span: SpanId([2; 8]), ..key(1) }), None);
    }

    #[test]
    fn beyond_the_bound_those_idle_longest_are_forgotten_and_counted() {
        let mut decisions = Decisions::new(10);
        for number in 0..100 {
            decisions.remember(key(number), Decision::Drop);
            assert_eq!(decisions.recall(&key(0)), Some(Decision::Drop), "it is asked for all the time");
            assert!(decisions.len() <= 10);
        }
        assert_eq!(decisions.recall(&key(1)), None);
        assert_eq!(decisions.len() as u64 + decisions.forgotten(), 100);
    }
}
