//! Which backend of a balanced service took a dialog, and what the balancer breaks (`steering.md` 2).
//!
//! Frames of UDP in, facts about services out; nothing is changed and nothing sent. A request seen twice, first to one
//! address and then to another, shows a service and its backend; what became of the dialogs of a service is followed from
//! there. Sans-io: time is that of the capture. Every table is bounded, and what it turned away is counted.
//!
//! | what | where |
//! |---|---|
//! | keys and their check | `config` |
//! | services, their backends, how one is learned | `services` |
//! | the same payload seen again | `sightings` |
//! | clients of a service, and their calls within the window | `flows` |
//! | dialogs, and requests that wait for an answer | `dialogs`, `transactions` |
//! | the rules: what a request or response means | `state`, `requests`, `responses` |
//! | what is told whoever asks | `report` |

mod config;
mod dialogs;
mod flows;
mod hash;
mod processor;
mod report;
mod requests;
mod responses;
mod services;
mod sightings;
mod state;
mod transactions;

pub use config::{Backend, Config, Service, Settings};
pub use processor::Affinity;
