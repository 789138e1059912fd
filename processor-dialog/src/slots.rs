//! Slots: who is counted. One is opened for what a request starts and is shared by all that inherits its labels.

use pipeline::Slot;

/// Counts who holds each slot. A slot given back is reused from the next batch on, because the facts of this
/// batch still name it.
#[derive(Default)]
pub struct Slots {
    holders: Vec<u32>,
    free: Vec<u32>,
    given_back: Vec<u32>,
}

impl Slots {
    /// A slot with one holder.
    pub fn open(&mut self) -> Slot {
        if let Some(index) = self.free.pop() {
            self.holders[index as usize - 1] = 1;
            return Slot(index);
        }
        self.holders.push(1);
        Slot(self.holders.len() as u32)
    }

    /// One more holder.
    pub fn hold(&mut self, slot: Slot) -> Slot {
        if slot != Slot::OTHER {
            self.holders[slot.0 as usize - 1] += 1;
        }
        slot
    }

    /// One holder fewer.
    pub fn release(&mut self, slot: Slot) {
        if slot == Slot::OTHER {
            return;
        }
        let holders = &mut self.holders[slot.0 as usize - 1];
        *holders -= 1;
        if *holders == 0 {
            self.given_back.push(slot.0);
        }
    }

    /// A new batch begins: what was given back may be opened again.
    pub fn next_batch(&mut self) {
        self.free.append(&mut self.given_back);
    }

    /// Slots in use.
    pub fn len(&self) -> usize {
        self.holders.len() - self.free.len() - self.given_back.len()
    }
}
