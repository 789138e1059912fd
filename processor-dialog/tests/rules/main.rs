//! The rules of `sip-metrics.md` 2 to 4, each as a text ladder: real SIP bytes through the real parser, the
//! dialog processor and the recorder, and what is then exported.

mod attempts;
mod bounds;
mod calls;
mod delays;
mod dialogs;
mod expect;
mod flows;
mod forks;
mod ids;
mod labels;
mod ladders;
mod live;
mod pieces;
mod privacy;
mod queues;
mod random;
mod reasons;
mod recorded;
mod records;
mod registrations;
mod requests;
mod sent;
mod sessions;
mod spans;
mod traffic;
mod transactions;
mod trunks;
