//! Transactions, dialogs, attempts, registrations: SIP frames in, facts out.
//!
//! Sans-io: `now` is the capture time of the frame, so a replayed file and the live wire state the same facts.
//! What comes in is a batch of frames, what goes out are [`pipeline::Facts`]: what was seen for the first time,
//! what it turned out to be, how long it took. It never reads a clock, waits, logs or keeps a byte of the wire,
//! but for records of calls where those were asked for. The rules are those of `sip-metrics.md` sections 2 to 4.
//!
//! A message goes from `ahead` over `state` to `transaction` (is it new?), and from there to what it is about:
//! `invite` and `attempt`, `dialog`, `bye` and `session`, `registration`. `calls` looks on. What is over and only
//! kept to absorb repeats is packed by `rest`.

mod ahead;
mod attempt;
mod bye;
mod call_table;
pub mod calls;
mod causes;
mod chain;
mod config;
mod dialog;
mod entries;
mod fetch;
mod group;
mod index;
mod invite;
mod items;
mod key;
mod logical_request;
mod order;
mod pages;
mod processor;
mod registration;
mod rest;
mod session;
mod slab;
mod slots;
mod state;
mod table;
mod transaction;
mod transaction_table;
mod wheel;

pub use config::{Config, MAX_CALLS};
pub use processor::Dialogs;
