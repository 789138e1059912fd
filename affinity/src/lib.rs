//! Which backend a SIP dialog belongs to, as a program in the kernel would decide it.
//!
//! [`Glance`] finds the few fields of a datagram that decide, within the bounds a kernel has; [`Key`] makes the hash of a
//! Call-ID that is the same on every node; [`Maglev`] shares the hashes out among backends. Pure: no clock, no log, no
//! input or output; [`steer`] is what such a program obeys and decides. Bytes are hostile: nothing here panics, and nothing
//! looks at more than [`WINDOW`] bytes.

pub mod control;
mod glance;
mod hash;
mod maglev;
pub mod policy;
pub mod steer;

pub use glance::{CALL_ID, Glance, Start, Via, WINDOW};
pub use hash::{CallHash, Key};
pub use maglev::{Maglev, SLOTS};
