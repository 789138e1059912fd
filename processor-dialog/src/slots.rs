//! Slots: who is counted. One is opened for what a request starts and is shared by all that inherits its labels.

use pipeline::Slot;

use crate::slab::Slab;

/// Counts who holds each slot. A slot given back is reused from the next batch on, because the facts of this
/// batch still name it.
#[derive(Default)]
pub struct Slots {
    holders: Slab<u32>,
    freed: Vec<u32>,
}

impl Slots {
    /// A slot with one holder.
    pub fn open(&mut self) -> Slot {
        let index = self.holders.alloc();
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
            self.freed.push(slot.0);
        }
    }

    /// A new batch begins: what was given back may be opened again.
    pub fn next_batch(&mut self) {
        for slot in self.freed.drain(..) {
            self.holders.free(slot - 1);
        }
    }

    /// Slots in use.
    pub fn len(&self) -> usize {
        self.holders.len() - self.freed.len()
    }
}

impl call_records::SlotHolder for Slots {
    fn hold(&mut self, slot: Slot) -> Slot {
        self.hold(slot)
    }

    fn release(&mut self, slot: Slot) {
        self.release(slot);
    }
}
