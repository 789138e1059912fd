//! The vocabulary of facts that are counted.

use crate::facts::Slot;

/// One fact about one slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Whose labels it is counted under.
    pub slot: Slot,
    /// What happened.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fact {
    /// A SIP message was parsed: `packets_total`.
    Parsed,
}
