//! Slots: who is counted. One is opened for what a request starts and is shared by all that inherits its labels.

use pipeline::Slot;

use crate::slab::Slab;

/// Counts who holds each slot. A slot given back is reused from the next batch on, because the facts of this
/// batch still name it.
#[derive(Default)]
pub struct Slots {
    holders: Slab<u32>,
    given_back: Vec<u32>,
}

impl Slots {
    /// A slot with one holder.
    pub fn open(&mut self) -> Slot {
        let index = self.holders.take();
        self.holders[index] = 1;
        Slot(index + 1)
    }

    /// One more holder.
    pub fn hold(&mut self, slot: Slot) -> Slot {
        if slot != Slot::OTHER {
            self.holders[slot.0 - 1] += 1;
        }
        slot
    }

    /// One holder fewer.
    pub fn release(&mut self, slot: Slot) {
        if slot == Slot::OTHER {
            return;
        }
        let holders = &mut self.holders[slot.0 - 1];
        *holders -= 1;
        if *holders == 0 {
            self.given_back.push(slot.0);
        }
    }

    /// A new batch begins: what was given back may be opened again.
    pub fn next_batch(&mut self) {
        for slot in self.given_back.drain(..) {
            self.holders.give(slot - 1);
        }
    }

    /// Slots in use.
    pub fn len(&self) -> usize {
        self.holders.len() - self.given_back.len()
    }
}
