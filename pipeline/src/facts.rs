//! Facts: what processors state about the frames of one batch, in the past tense.
//!
//! The dialog processor opens a [`Slot`] for what a request starts and states its [`Origin`] once; enrich
//! gives the slot its labels; every later event on the slot inherits them by index.

use std::net::IpAddr;
use std::ops::Range;

use crate::affinity::Steered;
use crate::call::Call;
use crate::event::{Event, Fact, Slot};
use crate::labels::LabelSet;
use crate::media::{Heard, MediaFact, Note};
use crate::refused::Newest;

/// Where a slot's request came from: what enrichment looks at, stated once per slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The slot that waits for labels.
    pub slot: Slot,
    /// Source address of the request.
    pub address: IpAddr,
    /// The User-Agent value in [`Facts::text`], unfolded; empty when the request has none.
    pub user_agent: Range<usize>,
}

/// What is known after a batch. Reused: [`Facts::clear`] keeps memory and the slots' labels.
#[derive(Debug, Default)]
pub struct Facts {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Slots opened in this batch.
    pub origins: Vec<Origin>,
    /// Text the origins and notes refer to. Bytes from the wire: never logged.
    pub text: Vec<u8>,
    /// Calls that ended, or went as far as a piece goes, in this batch; empty unless somebody asked for calls.
    pub calls: Vec<Call>,
    /// What a processor of media states, in order; none unless one is in the pipeline.
    pub heard: Vec<Heard>,
    /// What a processor of media is told of calls, in order; none unless one is in the pipeline.
    pub notes: Vec<Note>,
    /// Where calls went, in the order of the frames; none unless a processor of affinity is in the pipeline.
    pub steered: Vec<Steered>,
    /// The newest messages that could not be read, as privacy shows them.
    pub refused: Newest,
    labels: Vec<LabelSet>,
}

impl Facts {
    /// Empties the batch; labels of slots stay.
    pub fn clear(&mut self) {
        self.events.clear();
        self.origins.clear();
        self.text.clear();
        self.calls.clear();
        self.notes.clear();
        self.heard.clear();
        self.steered.clear();
        self.refused.clear();
    }

    /// Becomes a copy of a batch, for a branch of the graph: slots keep the labels this branch gave them, those
    /// opened in the batch get the other's.
    pub fn copy_from(&mut self, other: &Self) {
        self.copy_calls_from(other);
        self.events.clone_from(&other.events);
        self.heard.clone_from(&other.heard);
    }

    /// The same without events, for a branch that counts nothing.
    pub fn copy_calls_from(&mut self, other: &Self) {
        self.events.clear();
        self.heard.clear();
        self.origins.clone_from(&other.origins);
        self.text.clone_from(&other.text);
        self.calls.clone_from(&other.calls);
        self.notes.clone_from(&other.notes);
        self.steered.clone_from(&other.steered);
        self.refused.clone_from(&other.refused);
        for origin in &other.origins {
            self.label(origin.slot, other.labels(origin.slot));
        }
    }

    /// Adds text from the wire; where it is.
    pub fn add_text(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        start..self.text.len()
    }

    /// States one fact.
    pub fn push(&mut self, slot: Slot, fact: Fact) {
        self.events.push(Event { slot, fact });
    }

    /// States one fact about media.
    pub fn hear(&mut self, slot: Slot, fact: MediaFact) {
        self.heard.push(Heard { slot, fact });
    }

    /// Opens `slot` with labels `other`/`other` until a later stage knows better.
    pub fn open(&mut self, slot: Slot, address: IpAddr, user_agent: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(user_agent);
        self.label(slot, LabelSet::OTHER);
        self.origins.push(Origin { slot, address, user_agent: start..self.text.len() });
    }

    /// Gives a slot its labels. [`Slot::OTHER`] cannot be changed.
    pub fn label(&mut self, slot: Slot, labels: LabelSet) {
        if slot == Slot::OTHER {
            return;
        }
        let index = slot.0 as usize;
        if self.labels.len() <= index {
            self.labels.resize(index + 1, LabelSet::OTHER);
        }
        self.labels[index] = labels;
    }

    /// The labels of a slot.
    pub fn labels(&self, slot: Slot) -> LabelSet {
        self.labels.get(slot.0 as usize).copied().unwrap_or_default()
    }
}
