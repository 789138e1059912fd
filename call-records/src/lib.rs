//! Records of whole calls, where somebody asked for them: one under each Call-ID, from its first INVITE until nothing can
//! join it any more, and one of each single request outside calls.
//!
//! Looks on: after each message [`Records`] is given the message, what it turned out to be (a [`Sighting`]) and what
//! changed (a list of [`Change`]s). It decides nothing about calls and nobody asks it. This is the one place that keeps
//! values of the wire. What comes under a Call-ID after its record has left (a late repeat, a request within a dialog that
//! nobody saw begin) is in no record; another initial INVITE begins another record of the same trace.
//!
//! | file | what it is about |
//! |---|---|
//! | `change` | what is looked on at |
//! | `records`, `timers` | all records; what each is told, and when it leaves |
//! | `call`, `begin` | what is kept of a call while it is up, and what its first INVITE says |
//! | `timeline`, `sessions` | what a message adds: transactions, ringing, the ladder; answered intervals |
//! | `unanswered` | transactions without a final |
//! | `lifetime` | when a call is over, and when its record leaves |
//! | `pieces` | what leaves: hops under each other, pieces of long calls, privacy |
//! | `single` | requests outside calls |
//! | `live`, `headers` | for those who look at calls: those that are up, and what their messages said |
//! | `kept`, `credentials` | messages as they were sent; what is blanked of them |
//! | `identity`, `privacy`, `config` | ids; what may be shown, and where the call's names stand in a text; what is configured |

mod begin;
mod budget;
mod call;
mod challenged;
mod change;
mod config;
mod credentials;
mod headers;
mod identity;
mod kept;
mod lifetime;
mod live;
mod observed;
mod pieces;
mod privacy;
mod records;
mod report;
mod reused;
mod sessions;
mod single;
mod timeline;
mod timers;
mod unanswered;

/// The values of all header fields of a message, cleared of the people in it, at most `max` bytes of each. For fuzzing.
pub fn cleared(message: &sip::Message<'_>, privacy: &Privacy, max: usize) -> Vec<Box<str>> {
    let mut own = privacy::Own::default();
    own.learn(message, privacy);
    message.fields().map(|(_, value)| privacy.cleared(value, max, &own)).collect()
}

pub use change::{CallId, Change, DialogId, RequestId, Sighting, SightingKind, TransactionId};
pub use config::{Addresses, CallIds, Config, Emit, Ladder, Numbers, Privacy, Raw, SpanIds, TraceId, TraceSource};
pub use identity::trace_id;
pub use observed::{Observed, SlotHolder, Waits};
pub use records::Records;
pub use report::Report;

/// Adds an element, with room for as many as there usually are, then for little more: most lists of a call stay short,
/// and there are many calls.
fn push_tight<T>(list: &mut Vec<T>, element: T, usual: usize) {
    if list.len() == list.capacity() {
        let more = if list.is_empty() { usual } else { list.len().div_ceil(4) };
        list.reserve_exact(more);
    }
    list.push(element);
}
