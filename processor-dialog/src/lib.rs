//! Transactions, dialogs, attempts, registrations: SIP frames in, facts out.
//!
//! Sans-io: `now` is the capture time of the frame, so a replayed file and the live wire state the same facts.
//! What comes in is a batch of frames, what goes out are [`pipeline::Facts`]: what was seen for the first time,
//! what it turned out to be, how long it took. It never reads a clock, waits, logs or keeps a byte of the wire. The rules
//! are those of `sip-metrics.md` sections 2 to 4.
//!
//! A message goes from `dispatch` to its `call`, the one record of everything under its Call-ID, and takes a `turn` there:
//! `on_request` or `on_response`; what falls due takes its own, `on_due`. A turn asks the rules, each of which knows one
//! thing: `transaction`, `request`, `attempt`, `dialog`, `session`, `registration`. Records of calls look on; they are
//! another crate's, `call-records`.

mod ack;
mod attempt;
mod bindings;
mod bye;
mod call;
mod calls;
mod causes;
mod config;
mod dialog;
mod dispatch;
mod failed;
mod forget;
mod hash;
mod idle;
mod index;
mod list;
mod notes;
mod observed;
mod on_ack;
mod on_due;
mod on_queue;
mod on_request;
mod on_response;
mod on_trunk;
mod processor;
mod queue;
mod queues;
mod registration;
mod request;
mod requests;
mod session;
mod slab;
mod slots;
mod stands;
mod transaction;
mod trunk;
mod turn;
mod waiting;
mod wheel;

pub use config::{Config, MAX_CALLS, Queue};
pub use processor::Dialogs;
