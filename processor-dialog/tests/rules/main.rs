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
mod labels;
mod random;
mod reasons;
mod registrations;
mod sessions;
mod transactions;
